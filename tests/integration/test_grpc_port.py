"""What the gRPC port answers besides: REST over HTTP/1.1 and HTTP/2; and gRPC that comes without what it needs."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from tests.clients import classify_request, problem_outcome
from tests.conftest import Served, serving, until
from tests.http2 import SECONDS, Answer, connected, grpc_headers, message

CLASSIFY = "/api/v1/models/shades/classify"
RPC = "/tensorgate.v1.TensorgateService/Classify"
BLACK = {"images": [{"pixels": [[0] * 4] * 4}]}
JSON = {"content-type": "application/json"}
POST = b"POST " + CLASSIFY.encode() + b" HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
BODY = json.dumps(BLACK).encode()
GOOD = message(classify_request("shades", **BLACK).SerializeToString())
UNIMPLEMENTED = 12

PORTS: dict[str, Callable[[Served], int]] = {
    "REST": lambda served: served.runtime.rest_port,
    "gRPC": lambda served: served.runtime.grpc_port,
}


@pytest.fixture
async def client(served: Served) -> AsyncIterator[httpx.AsyncClient]:
    """A client of REST over HTTP/1.1, of the gRPC port."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.runtime.grpc_port}", timeout=SECONDS) as client:
        yield client


async def asked(served: Served, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
    """Asks over HTTP/2."""
    pairs = {":method": method, ":scheme": "http", ":path": path, ":authority": "localhost"} | headers
    async with connected(served.runtime.grpc_port) as client:
        stream = client.start(((name.encode(), value.encode()) for name, value in pairs.items()), end=not body)
        await client.send(stream, body, end=bool(body))
        return await client.answer(stream)


async def say(port: int, data: bytes) -> bytes:
    """Sends bytes over HTTP/1, and returns all that comes until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    try:
        return await asyncio.wait_for(reader.read(), SECONDS)
    finally:
        writer.close()


async def test_rest_is_answered_over_http_1(served: Served, client: httpx.AsyncClient) -> None:
    for _ in range(3):
        answer = await client.post(CLASSIFY, json=BLACK, headers={"x-request-id": "mine"})
        assert problem_outcome(answer).answer == problem_outcome(await served.rest.post(CLASSIFY, json=BLACK)).answer
        assert answer.headers["x-request-id"] == "mine"
    for path in ("/livez", "/readyz", "/metrics", "/openapi.json", "/docs", "/v2", "/v1/models/shades"):
        assert (await client.get(path)).status_code == 200
    assert (await client.head("/livez")).content == b""
    assert problem_outcome(await client.get("/nope")).code == "not_found"
    assert problem_outcome(await client.get(CLASSIFY)).code == "method_not_allowed"
    assert problem_outcome(await client.post(CLASSIFY, content=b"{", headers=JSON)).code == "malformed"


async def test_rest_is_answered_over_http_2(served: Served) -> None:
    answer = await asked(served, "POST", CLASSIFY, BODY, **JSON)
    assert answer.headers[b":status"] == b"200"
    assert json.loads(answer.body) == (await served.rest.post(CLASSIFY, json=BLACK)).json()
    assert (await asked(served, "GET", "/livez")).body == b'{"status":"ok"}'
    head = await asked(served, "HEAD", "/livez")
    assert (head.headers[b":status"], head.headers[b"content-length"], head.body) == (b"200", b"15", b"")
    refused = await asked(served, "POST", "/nope", BODY)
    assert (refused.headers[b":status"], json.loads(refused.body)["code"]) == (b"404", "not_found")


async def test_chunks_are_read(client: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for index in range(0, len(BODY), 10):
            yield BODY[index : index + 10]

    assert (await client.post(CLASSIFY, content=pieces(), headers=JSON)).status_code == 200


@pytest.mark.parametrize("port", PORTS)
async def test_a_body_that_is_announced_too_long_is_refused_before_it_comes(port: str) -> None:
    async with serving(max_request_bytes=4096) as served:
        head = POST + b"connection: close\r\ncontent-length: 5000\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", PORTS[port](served))
        writer.write(head)
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SECONDS)
        assert answer.startswith(b"HTTP/1.1 413")
        writer.close()


@pytest.mark.parametrize("port", PORTS)
async def test_half_a_body_takes_no_place_and_ends_with_the_deadline(port: str) -> None:
    async with serving(max_requests_in_flight=1, default_timeout=1) as served:
        head = POST + b"connection: close\r\ncontent-length: 100\r\n\r\n{"
        saying = [asyncio.create_task(say(PORTS[port](served), head)) for _ in range(10)]
        await until(lambda: served.runtime.admission.bytes_held() == 10)
        assert (await served.rest.post(CLASSIFY, json=BLACK)).status_code == 200
        for answer in await asyncio.gather(*saying):
            assert answer.startswith(b"HTTP/1.1 504")
        assert served.runtime.admission.bytes_held() == 0


async def test_a_client_of_http_1_that_goes_away_costs_no_longer_than_its_deadline() -> None:
    async with serving(default_timeout=1) as served:
        served.backend.gate.clear()
        _, writer = await asyncio.open_connection("127.0.0.1", served.runtime.grpc_port)
        writer.write(POST + b"content-length: %d\r\n\r\n" % len(BODY) + BODY)
        await until(lambda: served.backend.runs == 1)
        writer.close()
        await until(lambda: not any(served.runtime.admission.in_flight.values()), seconds=SECONDS)
        assert served.backend.cancelled == 1
        assert await served.metric("tensorgate_requests_total", code="internal") == 0


async def test_a_client_of_http_2_that_goes_away_costs_nothing_more(served: Served) -> None:
    served.backend.gate.clear()
    async with connected(served.runtime.grpc_port) as client:
        pairs = {b":method": b"POST", b":scheme": b"http", b":path": CLASSIFY.encode(), b":authority": b"localhost"}
        pairs[b"content-type"] = b"application/json"
        for _ in range(2):
            stream = client.start(pairs.items())
            await client.send(stream, BODY, end=True)
        await until(lambda: served.runtime.admission.in_flight["requests"] == 2)
        client.reset(stream)
        await until(lambda: served.runtime.admission.in_flight["requests"] == 1)
    await until(lambda: served.runtime.admission.in_flight["requests"] == 0)
    assert await served.metric("tensorgate_requests_total", code="cancelled") == 2


@pytest.mark.parametrize("headers", [b"", b"te: trailers\r\n"])
@pytest.mark.parametrize("port", PORTS)
async def test_grpc_over_http_1_is_refused_in_words_that_its_client_understands(port: str, headers: bytes) -> None:
    head = (
        b"POST %b HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/grpc\r\n" % RPC.encode()
    )
    async with serving() as served:
        answer = await say(PORTS[port](served), head + headers + b"content-length: %d\r\n\r\n" % len(GOOD) + GOOD)
        assert b"\r\ngrpc-status: 12\r\n" in answer
        assert b"\r\ngrpc-message: gRPC needs HTTP/2 with the header te: trailers" in answer
        assert await served.metric("tensorgate_requests_total", protocol="grpc", code="not_supported") == 1
        assert served.backend.runs == 0


async def test_grpc_without_trailers_is_refused_in_the_same_words(served: Served) -> None:
    async with connected(served.runtime.grpc_port) as client:
        stream = client.start([pair for pair in grpc_headers(RPC) if pair[0] != b"te"])
        await client.send(stream, GOOD, end=True)
        answer = await client.answer(stream)
        assert answer.status == UNIMPLEMENTED
        assert answer.text.startswith(b"gRPC needs HTTP/2")
        assert (await client.call(RPC, GOOD)).status == 0


@pytest.mark.parametrize("close", [b"", b"connection: close\r\n"])
async def test_the_rest_port_speaks_http_1_0(served: Served, close: bytes) -> None:
    port = served.runtime.rest_port
    answer = await say(port, b"GET /livez HTTP/1.0\r\n" + close + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b'\r\n\r\n{"status":"ok"}')
    head = POST.replace(b"1.1", b"1.0") + close + b"content-length: %d\r\n\r\n" % len(BODY)
    assert b'"shades"' in await say(port, head + BODY)


async def test_the_grpc_port_refuses_http_1_0(served: Served) -> None:
    assert (await say(served.runtime.grpc_port, b"GET /livez HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 400")


async def test_grpc_web_is_answered_on_both_ports_and_by_both_versions(
    served: Served, client: httpx.AsyncClient
) -> None:
    headers: Any = {"content-type": "application/grpc-web+proto"}
    bodies = [(await each.post(RPC, content=GOOD, headers=headers)).content for each in (served.rest, client)]
    bodies.append((await asked(served, "POST", RPC, GOOD, **headers)).body)
    for body in bodies:
        assert b"shades" in body
        assert b"grpc-status: 0\r\n" in body
