"""A stop, as clients of gRPC see it: what is under way is answered, nobody hangs, and nothing is lost by a restart."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from starlette.types import Receive, Scope, Send

from service.app.lifecycle import Server
from service.app.settings import load
from service.transport.grpc import h2corn_server
from service.transport.grpc.h2corn_server import H2cornServer
from tensorgate.v1 import tensorgate_pb2 as pb
from tensorgate.v1.tensorgate_pb2_grpc import TensorgateServiceStub
from tests.clients import classify_request, error_outcome
from tests.conftest import Served, serving, until
from tests.http2 import SECONDS, SERVERS, connected, grpc_headers, message
from tests.processes import free_port

CLASSIFY = "/tensorgate.v1.TensorgateService/Classify"
REQUEST = classify_request("shades", images=[{"pixels": [[0] * 4] * 4}])
GOOD = message(REQUEST.SerializeToString())
OK, CANCELLED, UNAVAILABLE = 0, 1, 14
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@asynccontextmanager
async def stopping(served: Served) -> AsyncIterator[asyncio.Task[None]]:
    """Stops the server while the body runs."""
    task = asyncio.create_task(served.runtime.__aexit__(None, None, None))
    try:
        yield task
    finally:
        served.backend.gate.set()
        await asyncio.wait_for(task, SECONDS)


@pytest.mark.parametrize("grpc_server", SERVERS)
async def test_first_it_is_not_ready_then_nothing_new_then_what_is_under_way_ends(grpc_server: str) -> None:
    limits = {"max_batches_in_flight": 3, "max_batches_per_model": 3}
    async with serving(grpc_server=grpc_server, drain_delay=2, drain_timeout=SECONDS, **limits) as served:
        health: Any = health_pb2_grpc.HealthStub(served.channel)
        watch = health.Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == SERVING
        reflection: Any = reflection_pb2_grpc.ServerReflectionStub(served.channel)  # type: ignore[arg-type]
        asking = reflection.ServerReflectionInfo()
        await asking.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        assert (await asking.read()).HasField("list_services_response")
        served.backend.gate.clear()
        unary, stream = served.stub.Classify(REQUEST), served.stub.ClassifyStream()
        await stream.write(REQUEST)
        await until(lambda: served.backend.runs == 2)
        idle = served.stub.ClassifyStream()
        await idle.wait_for_connection()

        async with stopping(served):
            assert (await watch.read()).status == NOT_SERVING
            assert not served.runtime.admission.draining.is_set()
            late = served.stub.Classify(REQUEST)  # it still serves, so that load balancers can notice
            await until(lambda: served.backend.runs == 3)
            await until(served.runtime.admission.draining.is_set)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await served.stub.GetModel(pb.GetModelRequest(model="shades"))
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            assert error_outcome(caught.value).code == "not_ready"
            assert (await health.Check(health_pb2.HealthCheckRequest())).status == NOT_SERVING
            async with connected(served.runtime.grpc_port) as newcomer:
                assert (await newcomer.call(CLASSIFY, GOOD)).status == UNAVAILABLE
            served.backend.gate.set()
            assert (await unary).model == (await late).model == "shades"
            assert (await stream.read()).response.model == "shades"
            for ended in (stream, idle):
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await ended.read()
                assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        for watching in (watch, asking):
            assert await asyncio.wait_for(watching.code(), SECONDS) in {
                grpc.StatusCode.OK,
                grpc.StatusCode.UNAVAILABLE,
                grpc.StatusCode.CANCELLED,
            }
        assert served.backend.closed


@pytest.mark.parametrize("grpc_server", SERVERS)
async def test_nobody_who_comes_during_a_stop_is_left_hanging(grpc_server: str) -> None:
    async def come() -> str:
        try:
            async with asyncio.timeout(SECONDS), connected(served.runtime.grpc_port) as client:
                answer = await client.call(CLASSIFY, GOOD)
                return "reset" if answer.status is None else str(answer.status)
        except ConnectionError:
            return "turned away"

    async with serving(grpc_server=grpc_server, drain_delay=0.3) as served:
        coming = []
        async with stopping(served) as stop:
            while not stop.done():
                coming.append(asyncio.create_task(come()))
                await asyncio.sleep(0.02)
        seen = set(await asyncio.gather(*coming))
        # grpcio has no better word for calls that come in the very moment in which it stops.
        last_word = {str(CANCELLED)} if grpc_server == "grpcio" else set()
        assert seen <= {str(OK), str(UNAVAILABLE), "turned away", "reset"} | last_word
        assert await come() == "turned away"


async def test_while_h2corn_ends_what_is_left_new_connections_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(h2corn_server, "_LAST_WORDS_SECONDS", SECONDS)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    server = H2cornServer(app, services=[], stall_timeout=SECONDS)
    port = server.listen("127.0.0.1", 0)
    await server.start()
    async with connected(port) as client:
        stream = client.start(grpc_headers("/a/b"), end=True)
        await begun.wait()
        stop = asyncio.create_task(server.stop())

        async def refused() -> bool:
            try:
                async with asyncio.timeout(1), connected(port) as newcomer:
                    await newcomer.until(lambda: newcomer.closed)
            except (ConnectionError, TimeoutError):
                pass
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                return True
            writer.close()
            return False

        async with asyncio.timeout(SECONDS):
            while not await refused():
                pass
        assert not stop.done()
        go_on.set()
        assert (await client.answer(stream)).body == b"done"
        await asyncio.wait_for(stop, SECONDS)


RECONNECTING = [(f"grpc.{which}_reconnect_backoff_ms", 100) for which in ("initial", "min", "max")]


@pytest.mark.parametrize("grpc_server", SERVERS)
async def test_a_restart_loses_no_call_of_a_client_that_tries_again(grpc_server: str) -> None:
    port, over = free_port(), asyncio.Event()
    settings = load(
        {"backend": "tests.fakes:FakeBackend", "rest_port": 0, "grpc_port": port, "grpc_server": grpc_server}
    )
    # grpcio has no better word for calls that come in the very moment in which it stops.
    may_be = {grpc.StatusCode.UNAVAILABLE} | ({grpc.StatusCode.CANCELLED} if grpc_server == "grpcio" else set())
    answered = 0

    async def ask(stub: Any) -> None:
        nonlocal answered
        while not over.is_set():
            try:
                answer = await stub.Classify(REQUEST, timeout=SECONDS, wait_for_ready=True)
            except grpc.aio.AioRpcError as error:
                assert error.code() in may_be, error
                continue
            assert answer.model == "shades"
            answered += 1

    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", RECONNECTING) as channel:
        asking = asyncio.gather(*(ask(TensorgateServiceStub(channel)) for _ in range(10)))  # type: ignore[no-untyped-call]
        for _ in range(3):
            async with Server(settings) as runtime:
                await runtime.ready()
                enough = answered + 50
                await until(lambda enough=enough: asking.done() or answered > enough, seconds=SECONDS)  # type: ignore[misc]
                assert not asking.done(), asking.exception()
        async with Server(settings):
            over.set()
            await asyncio.wait_for(asking, SECONDS)
