"""Clients that do not read their answers: what is kept for them is bounded, and let go after `stall_timeout`."""

import asyncio
import gc
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from service.wire import open_inference_pb2 as oip
from tests.clients import classify_request
from tests.conftest import Served, serving, until
from tests.http2 import SECONDS, SERVERS, Http2, connected, grpc_headers, message

INFER = "/inference.GRPCInferenceService/ModelInfer"
STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"
REQUEST = classify_request("shades", images=[{"pixels": [[0] * 4] * 4}])
STALL = 1.0
SYSTEMS_CONNECTIONS = Path("/proc/net/tcp")


def infer(size: int) -> bytes:
    """Returns a request whose answer is as long: four bytes for each number."""
    request = oip.ModelInferRequest(model_name="double", raw_input_contents=[bytes(4 * size)])
    request.inputs.add(name="x", datatype="FP32", shape=[size])
    return message(request.SerializeToString())


def unfinished() -> int:
    """Returns how many tasks there are; those of a call hold its answer."""
    return len(asyncio.all_tasks())


async def test_answers_that_nobody_reads_are_let_go_all_at_once() -> None:
    async with serving(stall_timeout=STALL) as served:
        before = unfinished()
        async with connected(served.runtime.grpc_port) as client:
            client.credits = False
            for _ in range(100):
                await client.send(client.start(grpc_headers(INFER)), infer(250_000), end=True)
            await until(lambda: served.backend.runs == 100, seconds=SECONDS)
            assert (await served.stub.Classify(REQUEST)).model == "shades"
            # On the connection of a slow reader as well, once what it does not read is let go.
            await client.until(
                lambda: all(answer.reset is not None or answer.ended for answer in client.answers.values())
            )
            assert unfinished() < before + 20
            assert (await served.stub.Classify(REQUEST)).model == "shades"
        assert served.runtime.admission.bytes_held() == 0


@pytest.mark.parametrize("grpc_server", SERVERS)
async def test_a_stream_whose_answers_nobody_reads_is_read_no_further_and_let_go(grpc_server: str) -> None:
    async with (
        serving(grpc_server=grpc_server, stall_timeout=STALL) as served,
        connected(served.runtime.grpc_port) as client,
    ):
        client.credits = False
        feeding = asyncio.create_task(feed(client, infer(50_000)))
        await until(lambda: served.runtime.admission.in_flight["streams"] == 1)
        await until(lambda: not any(served.runtime.admission.in_flight.values()), seconds=SECONDS)
        # The window of messages, and what a server keeps of the answers, but not all that was sent.
        assert served.backend.runs < 64 + 50
        assert served.runtime.admission.bytes_held() == 0
        assert await served.metric("tensorgate_requests_total", code="cancelled") == 1
        assert await served.metric("tensorgate_requests_total", code="internal") == 0
        assert (await served.stub.Classify(REQUEST)).model == "shades"
        feeding.cancel()


@pytest.mark.parametrize("grpc_server", SERVERS)
async def test_answers_of_a_stream_count_while_nobody_reads_them(grpc_server: str) -> None:
    window, answer = 8, 4 * 100_000
    async with (
        serving(grpc_server=grpc_server, stream_window=window) as served,
        connected(served.runtime.grpc_port) as client,
    ):
        client.credits = False
        feeding = asyncio.create_task(feed(client, infer(100_000)))
        admission = served.runtime.admission
        # More than the requests: the answers' tensors, and what is made of them.
        await until(lambda: admission.bytes_held() > 3 * window * answer, seconds=SECONDS)
        feeding.cancel()
    await until(lambda: admission.bytes_held() == 0)


@pytest.mark.parametrize("grpc_server", SERVERS)
async def test_an_upload_that_nobody_reads_leaves_room_for_the_others_of_its_connection(grpc_server: str) -> None:
    async with (
        serving(grpc_server=grpc_server, stream_window=1) as served,
        connected(served.runtime.grpc_port) as client,
    ):
        served.backend.gate.clear()
        feeding = [asyncio.create_task(feed(client, infer(250_000))) for _ in range(3)]
        await until(lambda: served.runtime.admission.in_flight["streams"] == 3)
        for _ in range(5):
            stream = client.start(grpc_headers(INFER))
            await client.send(stream, infer(250_000), end=True)
        await until(lambda: served.runtime.admission.in_flight["requests"] == 5)
        for task in feeding:
            task.cancel()
        served.backend.gate.set()
        assert (await client.answer(stream)).status == 0


async def feed(client: Http2, one: bytes) -> None:
    """Sends messages for as long as the server takes them."""
    stream = client.start(grpc_headers(STREAM))
    with suppress(ConnectionError, TimeoutError):
        while client.answers[stream].reset is None:
            await client.send(stream, one)


@pytest.mark.parametrize("grpc_server", SERVERS)
async def test_a_stream_that_is_read_slowly_comes_whole(grpc_server: str) -> None:
    async with (
        serving(grpc_server=grpc_server, stall_timeout=STALL) as served,
        connected(served.runtime.grpc_port) as client,
    ):
        client.credits = False
        one, count = infer(50_000), 30
        stream = client.start(grpc_headers(STREAM))
        sending = asyncio.create_task(client.send(stream, one * count, end=True))
        answer, credited = client.answers[stream], 0
        while not answer.ended:
            await client.until(lambda: answer.ended or len(answer.body) > credited)  # noqa: B023
            await asyncio.sleep(STALL / 20)
            client.h2.acknowledge_received_data(len(answer.body) - credited, stream)
            credited = len(answer.body)
            client.flush()
        await sending
        assert answer.status == 0
        assert len(answer.body) > count * 200_000


def binary(size: int) -> bytes:
    """Returns a request of Open Inference over HTTP/1.1 whose answer is a head and four bytes for each number."""
    text = b'{"inputs":[{"name":"x","shape":[%d],"datatype":"FP32","parameters":{"binary_data_size":%d}}],' % (
        size,
        4 * size,
    )
    text += b'"outputs":[{"name":"y","parameters":{"binary_data":true}}]}'
    head = b"POST /v2/models/double/infer HTTP/1.1\r\nhost: localhost\r\ninference-header-content-length: %d\r\n" % len(
        text
    )
    return head + b"content-length: %d\r\n\r\n" % (len(text) + 4 * size) + text + bytes(4 * size)


PORTS: dict[str, Callable[[Served], int]] = {
    "REST": lambda served: served.runtime.rest_port,
    "gRPC": lambda served: served.runtime.grpc_port,
}


def connect(port: int) -> socket.socket:
    """Returns a socket that takes in little before somebody reads."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    client.connect(("127.0.0.1", port))
    client.setblocking(False)
    return client


def is_open(client: socket.socket) -> bool:
    """Returns whether the server still has the connection: what it gives up after its last byte, no client sees."""
    ends = [f"0100007F:{port:04X}" for _, port in (client.getpeername(), client.getsockname())]
    lines = [line.split() for line in SYSTEMS_CONNECTIONS.read_text().splitlines()]
    return any(line[1:4] == [*ends, "01"] for line in lines)


@pytest.mark.skipif(not SYSTEMS_CONNECTIONS.exists(), reason="Linux tells which connections there are")
@pytest.mark.parametrize("port", PORTS)
async def test_a_client_of_rest_that_does_not_read_its_answer_is_let_go(port: str) -> None:
    async with serving(stall_timeout=STALL) as served:
        before = unfinished()
        with connect(PORTS[port](served)) as client:
            await asyncio.get_running_loop().sock_sendall(client, binary(4_000_000))
            await until(lambda: served.backend.runs == 1, seconds=SECONDS)
            assert (await served.stub.Classify(REQUEST)).model == "shades"
            await until(lambda: not is_open(client), seconds=SECONDS)
        await until(lambda: unfinished() <= before, seconds=SECONDS)
        assert served.runtime.admission.bytes_held() == 0


@pytest.mark.parametrize("port", PORTS)
async def test_a_client_of_rest_that_reads_slowly_gets_its_answer(port: str) -> None:
    async with serving(stall_timeout=STALL) as served:
        loop = asyncio.get_running_loop()
        with connect(PORTS[port](served)) as client:
            await loop.sock_sendall(client, binary(2_000_000))
            got = 0
            while got < 8_000_000:
                piece = await asyncio.wait_for(loop.sock_recv(client, 200_000), SECONDS)
                assert piece
                got += len(piece)
                await asyncio.sleep(STALL / 15)


async def test_what_a_client_did_not_read_is_not_kept(served: Served) -> None:
    answers: Any = []
    async with connected(served.runtime.grpc_port) as client:
        client.credits = False
        await client.send(client.start(grpc_headers(INFER)), infer(1_000_000), end=True)
        await until(lambda: served.backend.runs == 1)
    await until(lambda: not any(served.runtime.admission.in_flight.values()))
    gc.collect()
    answers = [each for each in gc.get_objects() if isinstance(each, bytes) and len(each) > 3_000_000]
    assert not answers
