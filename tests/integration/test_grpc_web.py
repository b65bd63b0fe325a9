"""gRPC-Web, as browsers speak gRPC, on both ports: through the whole stack."""

import asyncio
import struct
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from google.protobuf.message import Message
from google.rpc import status_pb2
from grpc_health.v1 import health_pb2

from tensorgate.v1 import tensorgate_pb2 as pb
from tests.clients import classify_request, status_outcome
from tests.conftest import Served, serving, until

TYPED, HEALTH = "tensorgate.v1.TensorgateService", "grpc.health.v1.Health"
CLASSIFY, STREAM, CHECK, WATCH = f"{TYPED}/Classify", f"{TYPED}/ClassifyStream", f"{HEALTH}/Check", f"{HEALTH}/Watch"
BINARY, TEXT = "application/grpc-web+proto", "application/grpc-web-text"
BLACK, WHITE = ({"pixels": [[value] * 4] * 4} for value in (0, 255))
CLASSIFY_BLACK = classify_request("shades", images=[BLACK])
ORIGIN = "https://pages.example"
PREFLIGHT = {
    "origin": ORIGIN,
    "access-control-request-method": "POST",
    "access-control-request-headers": "content-type,x-grpc-web,x-user-agent,grpc-timeout,x-request-id",
}
_TRAILERS = 0x80


@dataclass(frozen=True)
class Answer:
    """What came back: messages, and the trailers that the body ends with."""

    messages: list[bytes]
    trailers: dict[str, str]


@pytest.fixture(scope="module")
async def served() -> AsyncIterator[Served]:
    async with serving(cors_origins=f"https://other.example, {ORIGIN}") as served:
        yield served


@pytest.fixture(params=["rest_port", "grpc_port"])
def port(request: pytest.FixtureRequest) -> str:
    """Names the port that is asked."""
    return str(request.param)


def base_of(served: Served, port: str) -> str:
    return f"http://127.0.0.1:{getattr(served.runtime, port)}"


def frame(message: Message) -> bytes:
    data = message.SerializeToString()
    return struct.pack(">BI", 0, len(data)) + data


async def post(
    url: str, content: Any, content_type: str = BINARY, headers: Mapping[str, str] | None = None
) -> httpx.Response:
    async with httpx.AsyncClient(timeout=20) as client:
        sent = {"content-type": content_type, "x-grpc-web": "1", **(headers or {})}
        response = await client.post(url, content=content, headers=sent)
    assert response.status_code == 200
    assert response.headers["content-type"] == content_type
    return response


async def ask(served: Served, port: str, method: str, *messages: Message, content_type: str = BINARY) -> Answer:
    body = b"".join(map(frame, messages))
    content = b64encode(body) if content_type == TEXT else body
    return read(await post(f"{base_of(served, port)}/{method}", content, content_type))


def read(response: httpx.Response) -> Answer:
    """Reads the frames of a body; the one with the trailers is the last."""
    data = response.content
    if response.headers["content-type"] == TEXT:  # each part has padding of its own
        data = b"".join(b64decode(data[start : start + 4]) for start in range(0, len(data), 4))
    messages, trailers = [], None
    while data:
        assert trailers is None
        flag, size = struct.unpack_from(">BI", data)
        content, data = data[5 : 5 + size], data[5 + size :]
        if flag == _TRAILERS:
            lines = (line.partition(": ") for line in content.decode().splitlines())
            trailers = {name: value for name, _, value in lines}
        else:
            messages.append(content)
    assert trailers is not None
    return Answer(messages, trailers)


def labels(message: bytes) -> list[str]:
    return [result.classes[0].label for result in pb.ClassifyResponse.FromString(message).results]


@pytest.mark.parametrize("content_type", [BINARY, TEXT])
async def test_an_answer_and_how_the_call_ended(served: Served, port: str, content_type: str) -> None:
    answer = await ask(served, port, CLASSIFY, CLASSIFY_BLACK, content_type=content_type)
    assert [labels(message) for message in answer.messages] == [["dark"]]
    assert answer.trailers["grpc-status"] == "0"
    assert answer.trailers["x-request-id"]


@pytest.mark.parametrize("content_type", [BINARY, TEXT])
async def test_an_error_has_its_details(served: Served, port: str, content_type: str) -> None:
    request = classify_request("nope ☂", images=[BLACK])
    answer = await ask(served, port, CLASSIFY, request, content_type=content_type)
    assert answer.messages == []
    details = answer.trailers["grpc-status-details-bin"]
    outcome = status_outcome(status_pb2.Status.FromString(b64decode(details + "==")))
    assert (answer.trailers["grpc-status"], outcome.code, outcome.where) == ("5", "model_not_found", ("model",))
    assert unquote(answer.trailers["grpc-message"]) == outcome.message
    assert "got 'nope ☂'" in outcome.message


@pytest.mark.parametrize("content_type", [BINARY, TEXT])
async def test_a_stream_of_requests_is_answered_in_order(served: Served, port: str, content_type: str) -> None:
    requests = [classify_request("shades", images=images) for images in ([BLACK], [], [WHITE])]
    answer = await ask(served, port, STREAM, *requests, content_type=content_type)
    outcomes = [pb.ClassifyStreamResponse.FromString(message) for message in answer.messages]
    assert [each.WhichOneof("outcome") for each in outcomes] == ["response", "error", "response"]
    assert answer.trailers["grpc-status"] == "0"


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_base64_may_come_in_parts_with_padding_of_their_own(served: Served, port: str, size: int) -> None:
    text = b"".join(b64encode(bytes([byte])) for byte in frame(CLASSIFY_BLACK)) + b64encode(frame(CLASSIFY_BLACK))

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(text), size):
            yield text[start : start + size]

    answer = read(await post(f"{base_of(served, port)}/{STREAM}", pieces(), TEXT))
    assert len(answer.messages) == 2
    assert answer.trailers["grpc-status"] == "0"


@pytest.mark.parametrize("text", [b"A", b"=", b"AA=A", b"====", b"AAA==", b"AA A", b"AAA\n", b"%AAA", b"\xff" * 4])
async def test_what_is_no_base64_is_refused(served: Served, port: str, text: bytes) -> None:
    answer = read(await post(f"{base_of(served, port)}/{CLASSIFY}", b64encode(frame(CLASSIFY_BLACK)) + text, TEXT))
    assert (answer.messages, answer.trailers["grpc-status"]) == ([], "3")


async def test_the_first_content_type_counts(served: Served, port: str) -> None:
    headers = [("content-type", BINARY), ("content-type", "application/json")]
    async with httpx.AsyncClient() as client:
        url = f"{base_of(served, port)}/{CHECK}"
        answer = read(await client.post(url, content=bytes(5), headers=headers))
        assert answer.trailers["grpc-status"] == "0"
        response = await client.post(url, content=bytes(5), headers=headers[::-1])
        assert response.status_code == 404


async def test_a_watch_shows_the_state_and_ends_in_time(port: str) -> None:
    async with serving(default_timeout=0.1, max_timeout=0.3) as served:
        answer = await ask(served, port, WATCH, health_pb2.HealthCheckRequest())
        [state] = [health_pb2.HealthCheckResponse.FromString(message) for message in answer.messages]
        assert state.status == health_pb2.HealthCheckResponse.SERVING
        assert answer.trailers["grpc-status"] == "4"


@pytest.mark.parametrize("method", [CLASSIFY, STREAM])
async def test_a_call_whose_client_is_gone_stops_costing(method: str) -> None:
    async with serving() as served:
        served.backend.gate.clear()
        async with gone_afterwards(served, method, CLASSIFY_BLACK):
            await until(lambda: served.backend.runs == 1)
        await until(lambda: served.backend.cancelled == 1)
        await until(lambda: not any(served.runtime.admission.in_flight.values()))
        assert await served.metric("tensorgate_requests_total", method=method, code="cancelled") == 1


async def test_a_watch_whose_client_is_gone_is_over() -> None:
    async with serving() as served:
        async with gone_afterwards(served, WATCH, health_pb2.HealthCheckRequest()) as reader:
            assert await reader.readuntil(b"\r\n\r\n")  # so it has begun
        async with asyncio.timeout(10):
            while await served.metric("tensorgate_requests_total", method=WATCH, code="cancelled") == 0:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@asynccontextmanager
async def gone_afterwards(served: Served, method: str, message: Message) -> AsyncIterator[asyncio.StreamReader]:
    """Calls a method on the REST port, and goes away after the body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.runtime.rest_port)
    body = frame(message)
    lines = f"POST /{method} HTTP/1.1", "host: localhost", f"content-type: {BINARY}", f"content-length: {len(body)}"
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    yield reader
    writer.close()
    await writer.wait_closed()


async def test_pages_of_the_origins_that_are_named_may_ask(served: Served, port: str) -> None:
    async with httpx.AsyncClient() as client:
        url = f"{base_of(served, port)}/{CHECK}"
        allowed = await client.options(url, headers=PREFLIGHT)
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == ORIGIN
        assert allowed.headers["access-control-allow-headers"] == PREFLIGHT["access-control-request-headers"]
        refused = await client.options(url, headers=PREFLIGHT | {"origin": "https://else.example"})
        assert refused.status_code == 400
        assert "access-control-allow-origin" not in refused.headers
    response = await post(url, bytes(5), headers={"origin": ORIGIN})
    assert response.headers["access-control-allow-origin"] == ORIGIN
    exposed = {name.strip() for name in response.headers["access-control-expose-headers"].split(",")}
    assert {"x-request-id", "grpc-status", "grpc-message", "grpc-status-details-bin"} <= exposed


async def test_without_any_no_page_may(port: str) -> None:
    async with serving() as served, httpx.AsyncClient() as client:
        response = await client.options(f"{base_of(served, port)}/{CHECK}", headers=PREFLIGHT)
        assert response.status_code >= 400
        assert not [name for name in response.headers if name.startswith("access-control")]
