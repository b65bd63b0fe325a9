"""``tensorgate replay`` against real servers: what was recorded is asked again, and the answers are compared."""

import asyncio
import json
import shutil
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorflow_serving.apis import classification_pb2, prediction_service_pb2_grpc, regression_pb2

from service.codecs.prediction_log import encode_log
from service.codecs.recorded_json import encode_line
from service.codecs.tfrecord import frame
from service.commands.main import main
from service.core.record import Record
from service.core.tensors import NUMPY_DTYPES
from tests import savedmodels, upstream_models, zoo_models
from tests.conftest import Served, serving
from tests.processes import free_port
from tests.real_server import RealServer, serving_models
from tests.upstream_stubs import examples, predict

WAYS = [("http", "tfserving"), ("http", "open-inference"), ("grpc", "tfserving"), ("grpc", "open-inference")]
FORMATS: Mapping[str, Callable[[Record], bytes]] = {
    "tfrecord": lambda record: frame(encode_log(record)),
    "jsonl": encode_line,
}


def url(server: Served | RealServer, scheme: str) -> str:
    runtime = server.runtime
    return f"{scheme}://127.0.0.1:{runtime.grpc_port if scheme == 'grpc' else runtime.rest_port}"


async def replay(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, Any]:
    """Runs the command; returns its status, and its report or what it complained of."""
    capsys.readouterr()
    status = await asyncio.to_thread(main, ["replay", *map(str, arguments), "--json"])
    said = capsys.readouterr()
    return status, json.loads(said.out) if said.out else said.err


def written(folder: Path, *records: Record, kind: str = "tfrecord") -> Path:
    file = folder / f"records.{kind}"
    file.write_bytes(b"".join(map(FORMATS[kind], records)))
    return file


def double(number: float, **fields: Any) -> Record:
    known: dict[str, Any] = {"outputs": {"y": np.array([number * 2], np.float32)}}
    return Record("double", "serving_default", {"x": np.array([number], np.float32)}, **(known | fields))


@asynccontextmanager
async def logged(folder: Path, models: Path, **settings: Any) -> AsyncIterator[RealServer]:
    async with serving_models(models, request_log=folder / "log", **settings) as server:
        yield server


@pytest.mark.parametrize("kind", ["tfrecord", "jsonl"])
async def test_what_a_server_answered_it_answers_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    models = tmp_path / "models"
    upstream_models.save_half_plus_two(models / "half" / "1")
    zoo_models.save_zoo(models)
    async with logged(tmp_path, models, request_log_format=kind) as server:
        stub: Any = prediction_service_pb2_grpc.PredictionServiceStub(server.channel)
        await stub.Classify(examples(classification_pb2.ClassificationRequest(), "half", "classify_x_to_y", 1.0, 2.0))
        await stub.Regress(examples(regression_pb2.RegressionRequest(), "half", "regress_x_to_y2", 4.0))
        await stub.Predict(predict("pair", left=np.ones((2, 2), np.float32), right=np.array([1, 2])))
        await stub.Predict(predict("words", text=["grün".encode(), b"\xff\x00"]))
        await stub.Predict(predict("scalar", x=np.float32(2)))
        await stub.Predict(predict("modes", "negate", x=np.array([np.nan, np.inf, 0.1], np.float32)))
        request = predict("vector", x=np.ones(3, np.float32))
        request.output_filter.append("total")
        await stub.Predict(request)
        complex_ones = {"complex64", "complex128"}
        for dtype in set(zoo_models.NUMBERS) - complex_ones:
            await stub.Predict(predict("numbers", dtype, x=np.array([1, 0, 1]).astype(NUMPY_DTYPES[dtype])))
        body = {"instances": [1.0, 2.0, 5.0]}
        assert (await server.rest.post("/v1/models/half:predict", json=body)).status_code == 200
    expected = 8 + len(zoo_models.NUMBERS) - len(complex_ones)
    async with serving_models(models) as server:
        for scheme, protocol in WAYS:
            status, report = await replay(
                capsys, tmp_path / "log", "--against", url(server, scheme), "--protocol", protocol
            )
            assert (status, report["equal"], report["codes"]) == (0, expected, {"ok": expected}), (protocol, report)


async def test_a_written_log_warms_a_version_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = tmp_path / "models"
    first = savedmodels.save_shades(models / "shades" / "1")
    second = tmp_path / "second"
    shutil.copytree(first, second)
    async with logged(tmp_path, models) as server:
        images = {"images": [{"pixels": np.zeros((4, 4)).tolist()}] * 2}
        assert (await server.rest.post("/api/v1/models/shades/classify", json=images)).status_code == 200
        stub: Any = prediction_service_pb2_grpc.PredictionServiceStub(server.channel)
        await stub.Predict(predict("shades", images=savedmodels.black(3)))
    [log] = (tmp_path / "log").glob("*.tfrecord")
    (second / "assets.extra").mkdir()
    shutil.copy(log, second / "assets.extra" / "tf_serving_warmup_requests")
    second.rename(models / "shades" / "2")
    with _warm_ups() as counted:
        async with serving_models(models) as server:
            newest = server.runtime.catalog.versions("shades")[-1]
            assert (newest.version, newest.error) == (2, "")
            file = models / "shades" / "2" / "assets.extra" / "tf_serving_warmup_requests"
            status, report = await replay(capsys, file, "--against", url(server, "http"))
            assert (status, report["equal"]) == (0, 2)
    assert counted == [2]


@contextmanager
def _warm_ups() -> Iterator[list[int]]:
    """Yields how many requests each version is warmed up with."""
    from service.backends.savedmodel import warmup

    original, counted = warmup.replay, list[int]()

    def counting(*arguments: Any) -> Any:
        found = original(*arguments)
        counted.append(found[0])
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(warmup, "replay", counting)
        yield counted


async def test_a_model_that_answers_otherwise_is_found_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with serving(request_log=tmp_path / "log") as served:
        for step in range(3):
            body = {"series": [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0 + step]]}
            assert (await served.rest.post("/api/v1/models/steps/forecast", json=body)).status_code == 200
    async with serving() as served:
        served.backend.spread = 0.5
        for scheme, protocol in WAYS:
            arguments = (tmp_path / "log", "--against", url(served, scheme), "--protocol", protocol)
            status, report = await replay(capsys, *arguments)
            assert (status, report["different"], report["equal"]) == (1, 3, 0)
            difference = report["differences"][0]
            assert (difference["output"], difference["index"], difference["count"]) == ("quantiles", [0, 0, 0], 9)
            assert (difference["expected"], difference["got"], difference["size"]) == ("-3.0", "-2.5", 0.5)
            assert (difference["record"], difference["offset"]) == (1, 0)
            assert (await replay(capsys, *arguments, "--atol", 0.5))[0] == 0


async def test_two_servers_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path, *(double(number, outputs=None) for number in range(5)))
    models = tmp_path / "models"
    zoo_models.save_versions(models / "double", 1, 2)
    async with serving() as one, serving_models(models, version_policy="all") as other:
        both = (file, "--against", url(one, "http"), "--baseline")
        status, report = await replay(capsys, *both, url(one, "grpc"))
        assert (status, report["equal"]) == (0, 5)
        assert report["latency_seconds"].keys() == {"against", "baseline"}
        status, report = await replay(capsys, *both, url(other, "grpc"))
        assert (status, report["equal"], report["different"]) == (1, 1, 4)  # twice 2 is 2 + 2
        versions = ("--against", url(other, "http"), "--model-version", 1, "--baseline", url(other, "http"))
        assert (await replay(capsys, file, *versions))[1]["different"] == 5
        assert (await replay(capsys, file, *versions, "--baseline-version", 1))[1]["equal"] == 5
        status, report = await replay(capsys, file, "--against", url(one, "http"))
        assert (status, report["not_compared"]) == (0, 5)


@pytest.mark.parametrize("kind", ["tfrecord", "jsonl"])
async def test_damaged_records_are_told_and_the_rest_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    file = written(tmp_path, *map(double, range(3)), kind=kind)
    data = bytearray(file.read_bytes())
    data[len(data) // 3 + 20] ^= 0x80
    file.write_bytes(data)
    async with serving() as served:
        status, report = await replay(capsys, file, "--against", url(served, "http"))
    assert (status, report["equal"], report["damaged"]) == (1, 2, 1)
    assert report["damage"][0]["record"] == 2
    assert report["damage"][0]["offset"] > 0


async def test_failures_are_told_by_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    unknown = Record("unknown", "serving_default", {"x": np.ones(1, np.float32)})
    file = written(tmp_path, double(1), unknown)
    async with serving() as served:
        for scheme, protocol in WAYS:
            status, report = await replay(capsys, file, "--against", url(served, scheme), "--protocol", protocol)
            assert (status, report["equal"], report["failed"]) == (1, 1, 1)
            assert report["codes"] == {"ok": 1, "HTTP 404" if scheme == "http" else "NOT_FOUND": 1}
            assert report["failures"][0]["record"] == 2
        aim = ("--model", "double", "--rate", 1000, "--limit", 2, "--concurrency", 1)
        assert (await replay(capsys, file, "--against", url(served, "http"), *aim))[0] == 0


async def test_what_cannot_be_sent_is_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    redacted = Record("double", "serving_default", {"x": np.ones(1, np.float32)}, redacted=("x",))
    file = written(tmp_path, double(1), redacted, kind="jsonl")
    odd = written(tmp_path, Record("double", "serving_default", {"x": np.ones(1, np.complex64)}))
    async with serving() as served:
        status, report = await replay(capsys, file, odd, "--against", url(served, "http"))
    assert (status, report["sent"], report["skipped"]) == (0, 1, 2)
    assert "inputs are redacted" in report["reasons"]


@pytest.mark.parametrize("scheme", ["http", "grpc"])
async def test_the_protocol_is_found_out(tmp_path: Path, capsys: pytest.CaptureFixture[str], scheme: str) -> None:
    file = written(tmp_path, double(1))
    async with serving() as served:
        assert main(["replay", str(file), "--against", "ftp://x"]) == 1
        status = await asyncio.to_thread(main, ["replay", str(file), "--against", url(served, scheme)])
        said = capsys.readouterr()
        assert status == 0
        assert f"{url(served, scheme)} is asked by tfserving" in said.err
        for words in ("sent", "equal", "p99", "ok"):
            assert words in said.out


class OnlyOpenInference(BaseHTTPRequestHandler):
    """Speaks the Open Inference Protocol, doubles, and ends each connection after an answer without saying so."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(200 if self.path == "/v2/health/live" else 404, b"{}")

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        [given] = request["inputs"]
        output = given | {"name": "y", "data": [2 * number for number in given["data"]]}
        self._answer(200, json.dumps({"outputs": [output]}).encode())
        self.close_connection = True

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Says nothing."""


async def test_so_is_that_of_another_server_whose_connections_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, *map(double, range(10)))
    with ThreadingHTTPServer(("127.0.0.1", 0), OnlyOpenInference) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        status, report = await replay(capsys, file, "--against", f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert (status, report["equal"]) == (0, 10)


@pytest.mark.parametrize(
    "arguments",
    [
        ["{file}", "--against", "http://127.0.0.1:{port}"],
        ["{file}", "--against", "grpc://127.0.0.1:{port}"],
        ["{file}", "--against", "grpc://127.0.0.1"],
        ["{file}", "--against", "nonsense"],
        ["{file}", "--against", "http://127.0.0.1:{port}", "--protocol", "open-inference", "--model-label", "stable"],
        ["{folder}/nope", "--against", "http://127.0.0.1:{port}"],
        ["{folder}/empty", "--against", "http://127.0.0.1:{port}"],
    ],
)
async def test_what_cannot_be_asked_is_said_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    file, port = written(tmp_path, double(1)), free_port()
    (tmp_path / "empty").mkdir()
    status, said = await replay(capsys, *(text.format(file=file, folder=tmp_path, port=port) for text in arguments))
    assert status == 1
    assert said.startswith("tensorgate: ")
    assert said.count("\n") == 1


async def test_a_server_that_is_gone_is_a_failure_of_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path, double(1), double(2))
    for scheme, code in (("http", "unreachable"), ("grpc", "UNAVAILABLE")):
        options = ("--against", f"{scheme}://127.0.0.1:{free_port()}", "--protocol", "tfserving")
        status, report = await replay(capsys, file, *options)
        assert (status, report["codes"]) == (1, {code: 2})


@pytest.mark.parametrize("option", ["--rate", "--limit", "--concurrency", "--rtol", "--timeout"])
def test_nonsense_is_wrong_usage(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["replay", "file", "--against", "http://h:1", option, "-1"])
    assert ended.value.code == 2
    assert "usage: tensorgate replay" in capsys.readouterr().err
