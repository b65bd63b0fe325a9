"""Calls that end before their answer is there, or just then: missed deadlines, cancelled calls, clients gone."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

import grpc
import httpx
import pytest

from service.core.admission import Admission
from service.core.call import Call
from service.core.deadline import NO_DEADLINE
from service.core.rights import Access
from service.seam import statuses
from service.seam.method import Method
from service.transport.call import Calls
from service.transport.grpc.calls import GrpcCalls, Unary
from service.transport.weighing import Weighing
from tensorgate.v1 import tensorgate_pb2 as pb
from tests.clients import classify_request
from tests.conftest import serving, until
from tests.http2 import SECONDS, SERVERS, Http2, connected, grpc_headers, message
from tests.processes import server_process

CLASSIFY = "/tensorgate.v1.TensorgateService/Classify"
STREAM = "/tensorgate.v1.TensorgateService/ClassifyStream"
REQUEST = classify_request("shades", images=[{"pixels": [[0] * 4] * 4}])
GOOD = message(REQUEST.SerializeToString())


async def test_five_hundred_missed_deadlines_cost_no_other_call_of_the_connection() -> None:
    async with serving() as served:
        served.backend.gate.clear()

        async def miss() -> grpc.StatusCode:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await served.stub.Classify(REQUEST, timeout=0.2)
            return caught.value.code()

        async def ask() -> int:
            answered = 0
            while not missing.done():
                assert (await served.stub.GetModel(pb.GetModelRequest(model="shades"))).model.name == "shades"
                answered += 1
            return answered

        async def miss_all() -> set[grpc.StatusCode]:
            # In batches: told all at once, some may be told too late on a machine that is busy with something else.
            return {code for _ in range(20) for code in await asyncio.gather(*(miss() for _ in range(25)))}

        missing = asyncio.create_task(miss_all())
        waiting = served.stub.Classify(REQUEST, timeout=10 * SECONDS)
        assert await ask() > 0
        assert await missing == {grpc.StatusCode.DEADLINE_EXCEEDED}
        served.backend.gate.set()
        assert (await waiting).model == "shades"


def deadline(timeout: float, in_flight: int) -> float:
    """Returns how many seconds a call is given that has so many, with so many others in flight."""
    calls = Calls(Admission(requests=1000, streams=1, request_bytes=1), 30, 300, lambda call, code: None)
    calls.admission.in_flight["requests"] = in_flight
    streams: Any = None
    grpc_calls = GrpcCalls(
        services=[], operations={}, calls=calls, streams=streams, max_request_bytes=1, weighing=Weighing(1)
    )
    method: Any = Method("m", bytes, never, bytes, access=Access.INFER)
    call, before = Call("grpc", "m", "id", NO_DEADLINE), monotonic()
    grpc_calls.set_timeout(call, Unary(method, statuses.GRPC), timeout)
    assert call.deadline.allowed == min(timeout, 300)
    return call.deadline.at - before


async def never(request: Any, call: Call) -> Any:
    raise AssertionError


@pytest.mark.parametrize(
    ("timeout", "in_flight", "margin"),
    [(10, 0, 0.03), (10, 400, 0.43), (0.1, 0, 0.025), (0.1, 400, 0.025), (0, 0, 0), (1e9, 0, 0.03)],
)  # fmt: skip
def test_a_client_is_told_before_it_gives_up_and_the_sooner_the_more_there_may_be_to_tell(
    timeout: float, in_flight: int, margin: float
) -> None:
    assert deadline(timeout, in_flight) == pytest.approx(min(timeout, 300) - margin, abs=5)
    assert deadline(timeout, in_flight) - min(timeout, 300) + margin >= 0


@pytest.mark.parametrize("grpc_server", SERVERS)
async def test_a_cancelled_call_gives_back_its_place_and_its_place_in_the_queue_at_once(grpc_server: str) -> None:
    limits = {"max_requests_in_flight": 4, "max_queue_size": 4, "max_batches_in_flight": 1}
    async with serving(grpc_server=grpc_server, **limits) as served, connected(served.runtime.grpc_port) as client:
        served.backend.gate.clear()
        for _ in range(10):
            streams = [client.start(grpc_headers(CLASSIFY)) for _ in range(4)]
            for stream in streams:
                await client.send(stream, GOOD, end=True)
            await until(lambda: served.runtime.admission.in_flight["requests"] == 4)
            for stream in streams:
                client.reset(stream)
            await until(lambda: served.runtime.admission.in_flight["requests"] == 0)
            assert served.runtime.admission.bytes_held() == 0
        assert await served.metric("tensorgate_requests_total", code="cancelled") == 40
        assert await served.metric("tensorgate_requests_total") == 40
        served.backend.gate.set()
        assert (await client.call(CLASSIFY, GOOD)).status == 0


async def reset_with_the_first_byte(client: Http2) -> None:
    stream = client.start(grpc_headers(CLASSIFY))
    await client.send(stream, GOOD, end=True)
    answer = client.answers[stream]
    await client.until(lambda: bool(answer.headers))
    client.reset(stream)


async def reset_after_the_answer(client: Http2) -> None:
    stream = client.start(grpc_headers(CLASSIFY))
    await client.send(stream, GOOD, end=True)
    await client.answer(stream)
    client.reset(stream)


async def reset_at_once(client: Http2) -> None:
    stream = client.start(grpc_headers(CLASSIFY))
    await client.send(stream, GOOD, end=True)
    client.reset(stream)


async def reset_in_the_message(client: Http2) -> None:
    stream = client.start(grpc_headers(CLASSIFY))
    await client.send(stream, GOOD[:10])
    client.reset(stream)


async def reset_in_the_stream(client: Http2) -> None:
    stream = client.start(grpc_headers(STREAM))
    await client.send(stream, GOOD)
    await client.until(lambda: client.answers[stream].body != b"")
    await client.send(stream, GOOD)
    client.reset(stream)


async def finish(client: Http2) -> None:
    assert (await client.call(CLASSIFY, GOOD)).status == 0


ENDS: dict[str, Callable[[Http2], Awaitable[None]]] = {
    function.__name__: function
    for function in (
        reset_with_the_first_byte,
        reset_after_the_answer,
        reset_at_once,
        reset_in_the_message,
        reset_in_the_stream,
        finish,
    )
}


def is_of_h2corn(entry: dict[str, Any]) -> bool:
    """Tells whether it is h2corn's own word of a client that went away while it was answered."""
    return entry.get("detail") in {"stream channel was closed", "connection writer was closed"}


@pytest.mark.parametrize("grpc_server", SERVERS)
async def test_however_a_call_ends_the_log_has_no_error_and_each_call_once(grpc_server: str) -> None:
    options = ("--backend", "tests.fakes:FakeBackend", "--grpc-server", grpc_server, "--access-log", "all")
    with server_process(*options) as server:
        server.announcement()
        port = int(server.grpc.rpartition(":")[2])
        for end in ENDS.values():
            for _ in range(10):
                async with connected(port) as client:  # and then the connection is gone
                    for _ in range(10):
                        await end(client)
        async with connected(port) as client, httpx.AsyncClient(base_url=server.rest) as rest:
            await finish(client)
            async with asyncio.timeout(SECONDS):
                while "tensorgate_requests_in_flight 0.0" not in (await rest.get("/metrics")).text:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            page = (await rest.get("/metrics")).text
        assert await asyncio.to_thread(server.stop) == 0
    entries = [json.loads(line) for line in server.lines]
    server.lines = [line for line, entry in zip(server.lines, entries, strict=True) if not is_of_h2corn(entry)]
    assert [entry for entry in entries if entry["level"] != "info" and not is_of_h2corn(entry)] == []
    access = [entry for entry in server.entries("tensorgate.access") if not entry["method"].endswith("/message")]
    assert {entry["code"] for entry in access} <= {"ok", "cancelled"}
    # What was answered was ok, whatever its client did then.
    answered = [entry for entry in access if entry["code"] == "ok" and entry["method"].endswith("/Classify")]
    assert len(answered) >= 100 + 100 + 1
    counted = sum(
        float(line.rpartition(" ")[2])
        for line in page.splitlines()
        if line.startswith("tensorgate_requests_total{") and "/message" not in line
    )
    assert counted == len(access)
