"""grpc-web in Chromium, on a page of another origin: both ports of a server, binary and text."""

import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import numpy as np
import pytest
from google.protobuf.message import Message
from google.rpc import status_pb2
from grpc_health.v1 import health_pb2
from playwright.sync_api import Page

from service.wire import open_inference_pb2 as pb
from tests.browser import needs_chromium, running_browser
from tests.clients import status_outcome
from tests.foreign.process import SCRIPTS, environment_folder
from tests.processes import ServerProcess, server_process

INFER, STREAM = (f"inference.GRPCInferenceService/{name}" for name in ("ModelInfer", "ModelStreamInfer"))
WATCH = "grpc.health.v1.Health/Watch"
FORMATS = ("binary", "text")
OK, UNKNOWN, DEADLINE_EXCEEDED, NOT_FOUND = 0, 2, 4, 5
SECONDS = 10
Json = dict[str, Any]

pytestmark = needs_chromium


@dataclass(frozen=True)
class Door:
    """A port of a server, as a page sees it."""

    page: Page
    url: str

    def call(self, method: str, message: Message, format_: str, **options: Any) -> Json:
        """Has the page call a method; answers are bytes."""
        order = {"url": f"{self.url}/{method}", "message": b64encode(message.SerializeToString()).decode()}
        order |= {"format": format_, "metadata": {}} | options
        told: Json = self.page.evaluate("order => call(order)", order)
        told["answers"] = [b64decode(answer) for answer in told["answers"]]
        return told


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """Serves a page with the client."""
    client = environment_folder("node") / "node_modules/grpc-web/index.esm.js"
    files = {
        "/": ("text/html", b'<!doctype html><script type="module" src="/speak.js"></script>'),
        "/speak.js": ("text/javascript", (SCRIPTS / "speak_grpc_web.js").read_bytes()),
        "/grpc-web.js": ("text/javascript", client.read_bytes()),
    }

    class Files(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            media_type, data = files.get(self.path, ("text/plain", b""))
            self.send_response(200 if data else 404)
            self.send_header("content-type", media_type)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Files) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def page(origin: str) -> Iterator[Page]:
    with running_browser() as browser:
        page = browser.new_page()
        page.goto(origin)
        page.wait_for_function("typeof window.call === 'function'")
        yield page


@pytest.fixture(scope="module")
def server(origin: str) -> Iterator[ServerProcess]:
    with server_process("--backend", "tests.fakes:FakeBackend", "--cors-origins", origin) as server:
        server.announcement()
        yield server


@pytest.fixture(params=["rest", "grpc"])
def port(request: pytest.FixtureRequest) -> str:
    """Names the port that is asked."""
    return str(request.param)


@pytest.fixture
def door(page: Page, server: ServerProcess, port: str) -> Door:
    return Door(page, url_of(server, port))


def url_of(server: ServerProcess, port: str) -> str:
    return server.rest if port == "rest" else f"http://{server.grpc}"


def double(*values: float, model: str = "double") -> pb.ModelInferRequest:
    x = {"name": "x", "datatype": "FP32", "shape": [len(values)]}
    return pb.ModelInferRequest(
        model_name=model, inputs=[x], raw_input_contents=[np.array(values, np.float32).tobytes()]
    )


def doubled(answer: pb.ModelInferResponse) -> list[float]:
    values: list[float] = np.frombuffer(answer.raw_output_contents[0], np.float32).tolist()
    return values


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("count", [1, 2, 3, 250_000])
def test_an_answer(door: Door, format_: str, count: int) -> None:
    told = door.call(INFER, double(*range(count)), format_, metadata={"x-request-id": "mine-1"})
    assert (told["code"], told["trailers"]["x-request-id"]) == (OK, "mine-1")
    [answer] = map(pb.ModelInferResponse.FromString, told["answers"])
    assert doubled(answer) == [2 * number for number in range(count)]


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("stream", [False, True])
def test_an_error_has_its_message_and_details(door: Door, format_: str, stream: bool) -> None:
    sent = {"stream": stream, "metadata": {"x-request-id": "mine-2", "triton_grpc_error": "true"}}
    told = door.call(STREAM if stream else INFER, double(1, model="nope ☂"), format_, **sent)
    assert (told["code"], told["answers"]) == (NOT_FOUND, [])
    status = status_pb2.Status.FromString(b64decode(told["trailers"]["grpc-status-details-bin"] + "=="))
    assert (status.code, status.message) == (told["code"], told["details"])
    outcome = status_outcome(status)
    assert (outcome.code, outcome.where, outcome.request_id) == ("model_not_found", ("model",), "mine-2")
    assert "got 'nope ☂'" in told["details"]


@pytest.mark.parametrize("format_", FORMATS)
def test_a_stream_of_answers(door: Door, format_: str) -> None:
    told = door.call(STREAM, double(1.5), format_, stream=True)
    assert told["code"] == OK
    [answer] = map(pb.ModelStreamInferResponse.FromString, told["answers"])
    assert doubled(answer.infer_response) == [3]


def test_a_stream_shows_each_answer_as_it_comes(door: Door) -> None:
    told = door.call(WATCH, health_pb2.HealthCheckRequest(), "text", stream=True, enough=1)
    [state] = map(health_pb2.HealthCheckResponse.FromString, told["answers"])
    assert state.status == health_pb2.HealthCheckResponse.SERVING
    assert "code" not in told  # it was given up, not over


@pytest.mark.parametrize("format_", FORMATS)
def test_a_call_ends_with_its_deadline(door: Door, format_: str) -> None:
    deadline = {"deadline": str(1000 * time.time() + 500)}
    told = door.call(WATCH, health_pb2.HealthCheckRequest(), format_, stream=True, metadata=deadline)
    assert told["code"] == DEADLINE_EXCEEDED


def test_what_a_page_gives_up_is_over(page: Page, server: ServerProcess) -> None:
    sample = f'tensorgate_requests_total{{code="cancelled",method="{WATCH}"'

    def given_up() -> float:
        lines = httpx.get(server.rest + "/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(sample))

    before = given_up()
    Door(page, server.rest).call(WATCH, health_pb2.HealthCheckRequest(), "text", stream=True, enough=1)
    end = time.monotonic() + SECONDS
    while given_up() == before:
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture(scope="module", params=["", "http://127.0.0.1, https://pages.example"], ids=["none", "others"])
def closed_server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """Serves no page of this origin."""
    origins = ("--cors-origins", request.param) if request.param else ()
    with server_process("--backend", "tests.fakes:FakeBackend", *origins) as server:
        server.announcement()
        yield server


@pytest.mark.parametrize("format_", FORMATS)
def test_a_page_of_an_origin_that_is_not_named_is_refused(
    page: Page, closed_server: ServerProcess, port: str, format_: str
) -> None:
    told = Door(page, url_of(closed_server, port)).call(INFER, double(1), format_)
    assert (told["code"], told["answers"]) == (UNKNOWN, [])
    assert "http status code: 0" in told["details"]  # the browser shows no answer
