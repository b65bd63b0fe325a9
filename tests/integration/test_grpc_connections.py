"""Connections that are odd, slow or many: what is no HTTP/2, what never ends, and a thousand calls at once."""

import asyncio
import contextlib
import socket
from typing import Any

import grpc
import pytest

from service.transport.sockets import listen
from tests import http2
from tests.clients import classify_request
from tests.conftest import Served, serving, until
from tests.http2 import SECONDS, SERVERS, connected, frame, grpc_headers, message

CLASSIFY = "/tensorgate.v1.TensorgateService/Classify"
STREAM = "/tensorgate.v1.TensorgateService/ClassifyStream"
REQUEST = classify_request("shades", images=[{"pixels": [[0] * 4] * 4}])
GOOD = message(REQUEST.SerializeToString())
OK = 0

GARBAGE = {
    "lines": b"garbage\r\n\r\n",
    "zeros": bytes(1000),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "half a preface": http2.PREFACE[:10],
    "another frame first": http2.PREFACE + frame(http2.PING, bytes(8)),
    "no frames after it": http2.PREFACE + b"x" * 100,
    "headers without an end": http2.PREFACE
    + frame(http2.SETTINGS)
    + frame(http2.HEADERS, b"\x83\x86", flags=0, stream=1),
    "headers that are none": http2.PREFACE
    + frame(http2.SETTINGS)
    + frame(http2.HEADERS, b"\xff" * 50, flags=4, stream=1),
    "HTTP/1.1 without an end": b"POST /livez HTTP/1.1\r\nhost: localhost",
}


async def say(port: int, data: bytes) -> None:
    """Sends it, and waits until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        async with asyncio.timeout(SECONDS):
            with contextlib.suppress(ConnectionError):
                await reader.read()
    finally:
        writer.transport.abort()


async def test_what_makes_no_sense_is_not_waited_for_for_ever(served: Served) -> None:
    saying = asyncio.gather(*(say(served.runtime.grpc_port, data) for data in (b"", *GARBAGE.values())))
    while not saying.done():
        assert (await served.stub.Classify(REQUEST)).model == "shades"
        await asyncio.sleep(0.05)
    await saying


async def test_grpcio_serves_others_whatever_comes() -> None:
    async with serving(grpc_server="grpcio") as served:
        saying = [asyncio.create_task(say(served.runtime.grpc_port, data)) for data in GARBAGE.values()]
        for _ in range(10):
            assert (await served.stub.Classify(REQUEST)).model == "shades"
        for task in saying:
            task.cancel()
        await asyncio.gather(*saying, return_exceptions=True)


@pytest.mark.parametrize("grpc_server", SERVERS)
async def test_a_request_that_comes_byte_by_byte_keeps_nobody_waiting(grpc_server: str) -> None:
    async with serving(grpc_server=grpc_server) as served, connected(served.runtime.grpc_port) as slow:
        stream = slow.start(grpc_headers(CLASSIFY))
        for index in range(0, len(GOOD), 8):
            await slow.send(stream, GOOD[index : index + 8], end=index + 8 >= len(GOOD))
            assert (await served.stub.Classify(REQUEST)).model == "shades"
        assert (await slow.answer(stream)).status == OK


@pytest.mark.parametrize("grpc_server", SERVERS)
async def test_a_thousand_calls_on_one_connection(grpc_server: str) -> None:
    limits = {"max_requests_in_flight": 1000, "max_queue_size": 1000}
    async with serving(grpc_server=grpc_server, **limits) as served, connected(served.runtime.grpc_port) as client:
        served.backend.gate.clear()
        streams = [client.start(grpc_headers(CLASSIFY)) for _ in range(1000)]
        for stream in streams:
            await client.send(stream, GOOD, end=True)
        await until(lambda: served.runtime.admission.in_flight["requests"] == 1000, seconds=SECONDS)
        served.backend.gate.set()
        answers = [await client.answer(stream) for stream in streams]
        assert {answer.status for answer in answers} == {OK}
        assert len({answer.trailers[b"x-request-id"] for answer in answers}) == 1000
        await until(lambda: not any(served.runtime.admission.in_flight.values()))


@pytest.mark.parametrize("grpc_server", SERVERS)
async def test_a_thousand_streams_on_one_connection(grpc_server: str) -> None:
    limits = {"max_streams_in_flight": 1000, "max_queue_size": 1000}
    async with serving(grpc_server=grpc_server, **limits) as served, connected(served.runtime.grpc_port) as client:
        streams = [client.start(grpc_headers(STREAM)) for _ in range(1000)]
        for stream in streams:
            await client.send(stream, GOOD)
        await client.until(lambda: all(answer.body for answer in client.answers.values()))
        assert served.runtime.admission.in_flight["streams"] == 1000
        for stream in streams:
            client.h2.end_stream(stream)
        client.flush()
        assert {(await client.answer(stream)).status for stream in streams} == {OK}
        await until(lambda: not any(served.runtime.admission.in_flight.values()))


@pytest.mark.parametrize("grpc_server", SERVERS)
async def test_a_client_may_look_after_its_connection_without_calls(grpc_server: str) -> None:
    async with serving(grpc_server=grpc_server) as served, connected(served.runtime.grpc_port) as client:
        for count in range(1, 9):
            client.h2.ping(bytes(8))
            client.flush()
            await client.until(lambda count=count: client.pongs == count)  # type: ignore[misc]
            await asyncio.sleep(0.25)  # pings that come faster than ten a second are another matter
        assert client.gone is None
        assert (await client.call(CLASSIFY, GOOD)).status == OK


@pytest.mark.parametrize("grpc_server", SERVERS)
async def test_a_channel_that_pings_each_second_stays_connected(grpc_server: str) -> None:
    async with serving(grpc_server=grpc_server) as served:
        options = [
            ("grpc.keepalive_time_ms", 1000),
            ("grpc.keepalive_timeout_ms", 1000 * SECONDS),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),
        ]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{served.runtime.grpc_port}", options) as channel:
            await channel.channel_ready()
            with pytest.raises(TimeoutError):  # which is when it would leave its state
                await asyncio.wait_for(channel.wait_for_state_change(grpc.ChannelConnectivity.READY), 5)
            call: Any = channel.unary_unary(CLASSIFY)
            assert await call(REQUEST.SerializeToString())


def option(name: str) -> int:
    number: int = getattr(socket, name)
    return number


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="not on this system")
def test_connections_have_what_lets_go_of_clients_that_are_gone() -> None:
    with (
        listen("127.0.0.1", 0, "test", stall_timeout=7.5) as listening,
        socket.create_connection(listening.getsockname(), SECONDS),
        listening.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert accepted.getsockopt(socket.IPPROTO_TCP, option("TCP_KEEPIDLE")) == 60
        assert accepted.getsockopt(socket.IPPROTO_TCP, option("TCP_USER_TIMEOUT")) == 7500
