"""Servers are stopped (SIGTERM) while they are asked: by a client that goes to one that is ready, as balancers do."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from itertools import count
from typing import Any

from grpc import aio

from reliability.asking import DEADLINE, Client, client, infer_request, is_right
from reliability.findings import Finding
from reliability.load import OK, WRONG, steady
from reliability.options import Work
from reliability.servers import Server, starter, until
from service.wire import open_inference_pb2 as oip

_OF_THE_CLIENT = "Internal error from Core"
"""What grpc.aio says, with INTERNAL, where it was about to write as the stream ended, whatever the server said."""
_FULL_STOPS = 20
_RATE = 30.0
"""Requests a second to both servers together: half of what they can do."""
_UNDER_WAY = 30
"""Requests more that come just before a stop, so that it meets some."""
_STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"
_PAUSE = 0.02
_HANGS_SECONDS = 30.0
_OPTIONS = ("--drain-delay", 1, "--log-level", "warning", "--max-queue-size", 1000)


async def run(work: Work) -> list[Finding]:
    """Runs it; returns a line for requests and one for streams that are open when the stop comes."""
    stops = work.count(_FULL_STOPS, least=2)
    async with starter(work.folder, work.models) as start, AsyncExitStack() as clients:
        servers = [await start.tensorgate(f"server-{number}", *_OPTIONS) for number in (1, 2)]
        for server in servers:
            await server.started()
        balanced = _Balanced(
            [(each, await clients.enter_async_context(client(each.rest, each.grpc))) for each in servers]
        )
        looking = asyncio.create_task(balanced.look())
        lost: Counter[str] = Counter()
        statuses: Counter[int] = Counter()
        streamed = 0
        try:
            async with steady(balanced.ask, rate=_RATE, deadline=DEADLINE) as outcomes:
                for stop in range(stops):
                    server = servers[stop % 2]
                    stream = asyncio.create_task(_stream_until_it_ends(server))
                    await asyncio.sleep(0.5)
                    burst = [asyncio.create_task(balanced.ask_of(server, number)) for number in range(_UNDER_WAY)]
                    await asyncio.sleep(_PAUSE)
                    server.send(signal.SIGTERM)
                    statuses[await server.ended()] += 1
                    # Each has its deadline, and the server is gone: what is not over by then hangs.
                    done, hung = await asyncio.wait([*burst, stream], timeout=_HANGS_SECONDS)
                    lost.update(task.result() for task in burst if task in done and task.result() != OK)
                    answered, ended = stream.result() if stream in done else (0, "")
                    streamed += answered
                    lost.update([ended] if ended else [])
                    lost.update(["a stream hangs" if task is stream else "a request hangs" for task in hung])
                    for task in hung:
                        task.cancel()
                    await server.stop()
                    await server.start()
                    await server.started()
                    await until(lambda: len(balanced.ready) == len(servers), "both are asked")
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
    failures = outcomes.failures() + lost
    asked = len(outcomes.answers) + stops * _UNDER_WAY
    return [
        Finding(
            f"SIGTERM under load, {stops} times: unary gRPC, REST and streams, by a client that goes to"
            " a server that is ready",
            "0 lost, 0 wrong; status 0",
            f"{asked:,} requests, {streamed:,} messages of streams that were open at the stop:"
            f" {failures.total()} lost, {failures[WRONG]} wrong"
            + "".join(f"; {number} {code}" for code, number in failures.most_common(2))
            + f"; statuses {', '.join(map(str, sorted(statuses)))}",
            failures.total() == 0 and set(statuses) == {0},
        )
    ]


class _Balanced:
    """Sends each request to a server that was ready a moment ago, in turn.

    Attributes:
        ready: Those that were.
    """

    def __init__(self, servers: Sequence[tuple[Server, Client]]) -> None:
        self._clients = servers
        self.ready = [asking for _, asking in servers]
        self._turn = count()

    async def look(self) -> None:
        """Looks which are ready, over and over."""
        while True:
            ready = await asyncio.gather(*(server.ready() for server, _ in self._clients))
            self.ready = [asking for (_, asking), is_ready in zip(self._clients, ready, strict=True) if is_ready]
            await asyncio.sleep(0.1)

    async def ask(self, number: int) -> str:
        """Asks one of them."""
        if not self.ready:
            return "no server is ready"
        return await self.ready[next(self._turn) % len(self.ready)].ask(number)

    async def ask_of(self, server: Server, number: int) -> str:
        """Asks a certain one."""
        return await next(asking for each, asking in self._clients if each is server).ask(number)


async def _stream_until_it_ends(server: Server) -> tuple[int, str]:
    """Sends messages on one stream until the server ends it.

    Returns:
        How many answers came, all of them right and in their order; and what was wrong, if anything.
    """
    sent = 0

    async def messages() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield infer_request(sent).SerializeToString()
            await asyncio.sleep(_PAUSE)

    answered = 0
    async with aio.insecure_channel(server.grpc, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        call: Any = channel.stream_stream(_STREAM)
        try:
            async for data in call(messages()):
                answer = oip.ModelStreamInferResponse.FromString(data)
                if answer.error_message:
                    return answered, f"stream: {answer.error_message[:80]}"
                answered += 1
                if not is_right(answer.infer_response, answered):
                    return answered, WRONG
        except aio.AioRpcError as error:
            # Messages that were not taken are the client's to send again; those that were are answered.
            ended = error.code().name == "UNAVAILABLE" or error.details() == _OF_THE_CLIENT
            return answered, "" if ended else f"stream: {error.code().name}"
    return answered, "stream: it ended by itself"
