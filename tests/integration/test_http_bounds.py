"""HTTP itself: what is too long, too slow, or no HTTP; and offers of other protocols."""

import asyncio
import socket

import pytest

from service.transport.rest import http_protocol
from tests.conftest import Served, serving, until

CLASSIFY = "/api/v1/models/shades/classify"
BLACK = {"images": [{"pixels": [[0] * 4] * 4}]}


async def _say(served: Served, data: bytes) -> bytes:
    """Sends bytes and returns all that comes until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.runtime.rest_port)
    writer.write(data)
    try:
        return await asyncio.wait_for(reader.read(), 30)
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"was spoken to with TLS"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"gRPC has a port of its own"),
    ],
)
async def test_who_speaks_something_else_is_told_at_once(served: Served, data: bytes, words: bytes) -> None:
    answer = await _say(served, data)  # a ClientHello has no end of a head: it would be waited for
    assert answer.startswith(b"HTTP/1.1 400")
    assert words in answer


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"GET /livez HTTP/1.1\r\n" + b"x: y\r\n" * 20_000, b"431", b"too_large"),
        (b"GET /livez HTTP/1.1\r\nx: " + b"y" * 100_000 + b"\r\n\r\n", b"431", b"too_large"),
        (b"GET /" + b"y" * 100_000 + b" HTTP/1.1\r\n\r\n", b"431", b"too_large"),
        (b"FOO /livez HTTP/1.1\r\n\r\n", b"400", b"malformed"),
        (b"GET /\xff HTTP/1.1\r\n\r\n", b"400", b"malformed"),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nnope\r\n", b"400", b"malformed"),
    ],
)
async def test_what_is_no_http_is_answered_as_all_else_is(
    served: Served, data: bytes, status: bytes, code: bytes
) -> None:
    answer = await _say(served, data)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"application/problem+json" in answer
    assert b'"code":"' + code in answer


async def test_headers_that_do_not_come_are_not_waited_for(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.5)
    for data in (b"", b"GET /livez HTTP/1.1\r\nx"):
        assert b"408 Request Timeout" in await _say(served, data)
    answered_then_slow = b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\nGET /li"
    answer = await _say(served, answered_then_slow)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"408 Request Timeout" in answer


async def test_a_client_that_offers_another_protocol_is_served(served: Served) -> None:
    offer = {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c", "http2-settings": "AAMAAABkAAQAAP__"}
    response = await served.rest.post(CLASSIFY, json=BLACK, headers=offer)
    assert response.status_code == 200


async def test_heads_in_pieces_and_requests_in_one_piece_are_served(served: Served) -> None:
    head = b"GET /livez HTTP/1.1\r\nhost: localhost\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", served.runtime.rest_port)
    for piece in (head[:5], head[5:20], head[20:] + b"\r", b"\n"):
        writer.write(piece)
        await asyncio.sleep(0.01)
    assert (await reader.readuntil(b'{"status":"ok"}')).startswith(b"HTTP/1.1 200")
    writer.write((head + b"\r\n") * 3)
    for _ in range(3):
        assert (await reader.readuntil(b'{"status":"ok"}')).startswith(b"HTTP/1.1 200")
    writer.close()


async def test_a_client_that_does_not_read_its_answer_is_let_go() -> None:
    async with serving(stall_timeout=0.2) as served:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", served.runtime.rest_port))
            client.sendall(b"GET /docs/swagger-ui.js HTTP/1.1\r\nhost: localhost\r\n\r\n" * 4)
            connections = served.runtime._rest.server_state.connections
            await until(lambda: bool(connections))
            await until(lambda: not connections)
