"""curl and h2load against a running server: REST on both ports by each HTTP that they speak, and gRPC over HTTP/2."""

import json
import re
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from service.wire import open_inference_pb2 as pb
from tests.processes import ServerProcess, server_process

SECONDS = 30
METHODS = "inference.GRPCInferenceService"
GRPC = ("-H", "content-type: application/grpc", "-H", "te: trailers")
COUNT, MESSAGES = 200, 20
SAYS = "\n%{http_version} %{http_code}"
"""What curl is to write after the body."""

needs_curl = pytest.mark.skipif(
    shutil.which("curl") is None, reason="no curl on this machine (Debian: apt-get install curl)"
)
needs_h2load = pytest.mark.skipif(
    shutil.which("h2load") is None, reason="no h2load on this machine (Debian: apt-get install nghttp2-client)"
)


@pytest.fixture(scope="module")
def server(grpc_server: str) -> Iterator[ServerProcess]:
    with server_process("--backend", "tests.fakes:FakeBackend", "--grpc-server", grpc_server) as server:
        server.announcement()
        yield server


def run(*command: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)


def curl(*arguments: str) -> tuple[bytes, str, int]:
    """Returns the body that came, the version of HTTP that it came by, and the status."""
    done = run("curl", "--silent", "--show-error", "--write-out", SAYS, *arguments)
    assert done.returncode == 0, done.stderr
    body, _, told = done.stdout.rpartition(b"\n")
    version, status = told.decode().split()
    return body, version, int(status)


def asked_over_rest(base: str, how: str, version: str, folder: Path) -> None:
    """Asks in all ways that curl has to send a body."""
    ready, *told = curl(how, f"{base}/v2/models/double/ready")
    assert (json.loads(ready)["ready"], *told) == (True, version, 200)
    head, *told = curl(how, "--head", f"{base}/v2/models/double/ready")
    assert told == [version, 200]
    assert head.rstrip().splitlines()[-1].count(b":") == 1  # there are headers alone
    for count in (1, 300_000):  # for the longer one it waits for leave to send it
        document = {"inputs": [{"name": "x", "shape": [count], "datatype": "FP32", "data": [1.5] * count}]}
        (folder / "body").write_text(json.dumps(document))
        for body in (("--data-binary", f"@{folder / 'body'}"), ("-X", "POST", "-T", str(folder / "body"))):
            for chunked in (), ("-H", "transfer-encoding: chunked"):
                answer, *told = curl(how, *body, *chunked, f"{base}/v2/models/double/infer")
                assert told == [version, 200], answer
                assert json.loads(answer)["outputs"][0]["data"] == [3] * count
    problem, *told = curl(how, f"{base}/v2/models/nope/ready")
    assert (json.loads(problem)["code"], *told) == ("model_not_found", version, 404)


@needs_curl
@pytest.mark.over_rest
@pytest.mark.parametrize("how", ["--http1.1", "--http1.0", "--http2"])
def test_the_rest_port_speaks_http_1(server: ServerProcess, how: str, tmp_path: Path) -> None:
    asked_over_rest(server.rest, how, "1.1", tmp_path)


@needs_curl
@pytest.mark.over_rest
def test_the_rest_port_ends_a_connection_of_http_2(server: ServerProcess) -> None:
    done = run("curl", "--silent", "--show-error", "--http2-prior-knowledge", f"{server.rest}/v2")
    assert (done.returncode != 0, done.stdout) == (True, b"")
    assert curl(f"{server.rest}/v2")[2] == 200


@needs_curl
@pytest.mark.over_rest
@pytest.mark.parametrize(("how", "version"), [("--http1.1", "1.1"), ("--http2-prior-knowledge", "2")])
def test_h2corns_port_answers_rest_too(server: ServerProcess, how: str, version: str, tmp_path: Path) -> None:
    asked_over_rest(f"http://{server.grpc}", how, version, tmp_path)


@needs_curl
@pytest.mark.over_rest
def test_h2corns_port_upgrades_to_http_2_but_knows_no_http_1_0(server: ServerProcess) -> None:
    url = f"http://{server.grpc}/v2/models/double/ready"
    assert curl("--http2", url)[1:] == ("2", 200)
    assert curl("--http1.0", url)[2] == 400


def question(model: str = "double") -> bytes:
    """Returns a message as gRPC frames it."""
    x = {"name": "x", "datatype": "FP32", "shape": [2]}
    return framed(pb.ModelInferRequest(model_name=model, inputs=[x], raw_input_contents=[raw(1, 2)]))


def answer() -> pb.ModelInferResponse:
    y = {"name": "y", "datatype": "FP32", "shape": [2]}
    return pb.ModelInferResponse(model_name="double", model_version="1", outputs=[y], raw_output_contents=[raw(2, 4)])


def raw(*values: float) -> bytes:
    return np.array(values, np.float32).tobytes()


def framed(message: pb.ModelInferRequest | pb.ModelInferResponse | pb.ModelStreamInferResponse) -> bytes:
    data = message.SerializeToString()
    return struct.pack(">BI", 0, len(data)) + data


@needs_curl
def test_grpc_by_curl(server: ServerProcess, tmp_path: Path) -> None:
    def called(data: bytes) -> tuple[bytes, dict[str, str]]:
        """Returns the body and, by name, headers and trailers."""
        (tmp_path / "message").write_bytes(data)
        head = ("--dump-header", str(tmp_path / "head"))
        url = f"http://{server.grpc}/{METHODS}/ModelInfer"
        told = curl("--http2-prior-knowledge", *GRPC, "--data-binary", f"@{tmp_path / 'message'}", *head, url)
        assert told[1:] == ("2", 200)
        lines = (line.partition(":") for line in (tmp_path / "head").read_text().splitlines())
        return told[0], {name: value.strip() for name, _, value in lines}

    body, headers = called(question())
    assert (body, headers["grpc-status"], headers["content-type"]) == (framed(answer()), "0", "application/grpc")
    body, headers = called(question("nope"))
    assert (body, headers["grpc-status"]) == (b"", "5")
    assert headers["grpc-message"].startswith("model: expected one of the models served")
    assert headers["grpc-status-details-bin"]


@needs_h2load
def test_calls_by_h2load(server: ServerProcess, tmp_path: Path) -> None:
    assert data_by_h2load(server, "ModelInfer", question(), COUNT, tmp_path) == COUNT * len(framed(answer()))


@needs_h2load
def test_streams_by_h2load(server: ServerProcess, tmp_path: Path) -> None:
    last = answer()
    last.parameters["triton_final_response"].bool_param = True
    size = len(framed(pb.ModelStreamInferResponse(infer_response=last)))
    data = data_by_h2load(server, "ModelStreamInfer", question() * MESSAGES, COUNT // MESSAGES, tmp_path)
    assert data == COUNT * size


def data_by_h2load(server: ServerProcess, method: str, body: bytes, count: int, folder: Path) -> int:
    """Returns the bytes of all bodies that came; how a call ended h2load does not see."""
    (folder / "body").write_bytes(body)
    load = ("-n", str(count), "-c", "2", "-m", "10", "-d", str(folder / "body"))
    done = run("h2load", *load, *GRPC, f"http://{server.grpc}/{METHODS}/{method}")
    told = done.stdout.decode()
    assert f"{count} succeeded, 0 failed, 0 errored, 0 timeout" in told, told
    found = re.search(r"\((\d+)\) data", told)
    assert found is not None, told
    return int(found[1])
