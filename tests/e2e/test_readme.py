"""The README, typed as it stands, against a server of the two default models."""

import json
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf import json_format

from service.commands.main import _parser
from tensorgate.v1 import tensorgate_pb2 as pb
from tensorgate.v1.tensorgate_pb2_grpc import TensorgateServiceStub
from tests.processes import ROOT, ServerProcess

pytestmark = pytest.mark.timeout(900)  # the first test may wait for both default trainings
README = (ROOT / "README.md").read_text()
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
ANSWER, MISTAKE = (json.loads(text) for kind, text in BLOCKS if kind == "json")


def commands(program: str) -> list[str]:
    """Returns the shell commands of the README that begin with that program, without their comments."""
    lines = "".join(text for kind, text in BLOCKS if kind == "sh").replace("\\\n", " ").splitlines()
    return [re.sub(r"\s+#.*", "", line) for line in lines if line.startswith(program)]


CURL = commands("curl")
_NOT_QUESTIONS = {"check", "serve", "train"}
"""Commands that are more than a question to a server that runs; tests of their own run them."""
QUESTIONS = [command for command in commands(".venv/bin/tensorgate") if command.split()[1] not in _NOT_QUESTIONS]
OTHERS = [command for command in commands(".venv/bin/tensorgate") if command.split()[1] in _NOT_QUESTIONS]


def shell(server: ServerProcess, command: str) -> str:
    """Runs a command of the README against the server's own addresses."""
    command = command.replace("http://127.0.0.1:8000", server.rest).replace("127.0.0.1:8001", server.grpc)
    command = command.replace(".venv/bin/tensorgate", f"TENSORGATE_ADDRESS={server.grpc} {sys.executable} -m service")
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on this machine")
@pytest.mark.parametrize("command", CURL)
def test_curl(server: ServerProcess, command: str) -> None:
    answer = json.loads(shell(server, command))
    if '"x"' in command:
        assert answer | {"request_id": ""} == MISTAKE | {"request_id": ""}
    elif "/v1/models/digits:predict" in command:
        [prediction] = answer["predictions"]
        assert prediction["classes"][max(range(10), key=prediction["scores"].__getitem__)] == "7"
    elif "/v2/models/digits" in command:
        assert [tensor["datatype"] for tensor in answer["inputs"]] == ["FP32"]
    elif "classify" in command:
        [[best], [shown]] = (result["classes"] for said in (answer, ANSWER) for result in said["results"])
        assert best == {"label": "7", "score": pytest.approx(shown["score"], abs=0.05)}
        assert answer | {"results": []} == ANSWER | {"results": []}
    else:
        [forecast] = answer["forecasts"]
        assert len(forecast["values"]) == 5
        values = [quantile["values"] for quantile in forecast["quantiles"]]
        assert all(low <= high for one, next_one in pairwise(values) for low, high in zip(one, next_one, strict=True))


def test_python(server: ServerProcess) -> None:
    program = next(text for kind, text in BLOCKS if kind == "python").replace("127.0.0.1:8001", server.grpc)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    label, score = done.stdout.splitlines()[0].split()
    over_rest = httpx.post(
        server.rest + "/api/v1/models/digits/classify",
        content=(ROOT / "examples/seven.png").read_bytes(),
        headers={"content-type": "image/png"},
    ).json()
    assert over_rest["results"][0]["classes"][0] == {"label": label, "score": float(score)}


def test_grpcurl_messages(server: ServerProcess) -> None:
    [text] = re.findall(r'-d "(.*)"\s', "".join(commands("grpcurl")))
    message = subprocess.run(["bash", "-c", f'echo "{text}"'], cwd=ROOT, capture_output=True, text=True, check=True)
    request = json_format.Parse(message.stdout, pb.ClassifyRequest())
    with grpc.insecure_channel(server.grpc) as channel:
        stub: Any = TensorgateServiceStub(channel)  # type: ignore[no-untyped-call]
        answer = stub.Classify(request, timeout=10)
    assert answer.results[0].classes[0].label == "7"


@pytest.mark.skipif(shutil.which("grpcurl") is None, reason="no grpcurl on this machine")
@pytest.mark.parametrize("command", commands("grpcurl"))
def test_grpcurl(server: ServerProcess, command: str) -> None:
    assert re.search(r'TensorgateService|"label": "7"', shell(server, command))


@pytest.mark.parametrize("command", QUESTIONS)
def test_questions(server: ServerProcess, command: str) -> None:
    assert re.search("image_classifier|7 |[+]5", shell(server, command))


@pytest.mark.parametrize("command", OTHERS)
def test_other_commands_are_understood(command: str) -> None:
    arguments = command.split()[1:]
    assert _parser(arguments[0]).parse_args(arguments).command == arguments[0]


def test_metrics_have_counted_them(server: ServerProcess) -> None:
    httpx.get(server.rest + "/api/v1/models").raise_for_status()
    text = httpx.get(server.rest + "/metrics").text
    assert re.search(r'tensorgate_requests_total\{code="ok".*protocol="rest"\} [1-9]', text)
    assert 'tensorgate_model_state{model_name="digits",model_version="1",state="AVAILABLE"} 1.0' in text
