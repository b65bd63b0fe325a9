"""Very many requests of all kinds, right and wrong ones: what the server's memory is after few and after all."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import count
from typing import Any

import httpx
from grpc import aio

from reliability.asking import DEADLINE
from reliability.findings import Finding
from reliability.load import OK, WRONG
from reliability.options import Work
from reliability.servers import Server, run_code, starter
from tests.version_clients import CLIENTS, Client, RefusedError

_FULL_COUNT = 1_000_000
_AT_FIRST = 0.05
"""Memory is first looked at after so many of them: until then buffers and caches fill."""
_LOOKS = 10
_GROWTH = 0.02
_CALLERS = 32
_CONNECTIONS = 64
_FACTOR = 3
_TIMEOUT = 30.0
_EXPORT = (
    f"import sys; from pathlib import Path; from tests.telling_models import save; save(Path(sys.argv[1]), {_FACTOR})"
)
_PREDICT, _METADATA = "/tensorflow.serving.PredictionService/Predict", "/inference.GRPCInferenceService/ModelMetadata"

Kind = Callable[["_Reached"], Awaitable[bool]]


class _Reached:
    """A server, and clients of it."""

    def __init__(self, server: Server) -> None:
        limits = httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS)
        self.rest = httpx.AsyncClient(base_url=f"http://{server.rest}", timeout=_TIMEOUT, limits=limits)
        self.channel = aio.insecure_channel(server.grpc)

    async def close(self) -> None:
        await self.rest.aclose()
        await self.channel.close()


async def run(work: Work) -> list[Finding]:
    """Runs it; returns a line."""
    models = work.folder / "models"
    await run_code(_EXPORT, models / "exported")
    for name in CLIENTS:
        (models / name).mkdir()
        (models / "exported" / name).rename(models / name / "1")
    (models / "exported").rmdir()
    async with starter(work.folder, models) as start:
        server = await start.tensorgate("server", "--log-level", "error")
        await server.started()
        reached = _Reached(server)
        try:
            return [await _ask_all(reached, server, work.count(_FULL_COUNT, least=2000))]
        finally:
            await reached.close()


async def _ask_all(reached: _Reached, server: Server, total: int) -> Finding:
    kinds = _kinds()
    numbers = count()
    outcomes: Counter[str] = Counter()

    async def ask_until(end: int) -> None:
        while outcomes.total() < end:
            name, kind = kinds[next(numbers) % len(kinds)]
            try:
                outcomes[OK if await kind(reached) else f"{name}: {WRONG}"] += 1
            except (AssertionError, RefusedError, aio.AioRpcError, httpx.HTTPError) as error:
                outcomes[f"{name}: {type(error).__name__} {error}"[:120]] += 1

    async def ask(end: int) -> float:
        await asyncio.gather(*(ask_until(end) for _ in range(_CALLERS)))
        return await server.memory()

    first = await ask(round(_AT_FIRST * total))
    looks = [await ask(total * look // _LOOKS) for look in range(1, _LOOKS + 1)]
    growth = looks[-1] / first - 1
    failed = outcomes.total() - outcomes[OK]
    del outcomes[OK]
    return Finding(
        f"{total:,} requests of {len(kinds)} kinds, in every protocol: right, refused, cancelled, too late",
        f"memory +0 to {_GROWTH:.0%}; each answer as it should be",
        f"{first:.1f} MB after {_AT_FIRST * total:,.0f} requests, {looks[-1]:.1f} MB after all of them ({growth:+.1%};"
        f" {max(looks):.1f} MB at most); {failed} not as they should be"
        + "".join(f"; {number} {code}" for code, number in outcomes.most_common(2)),
        growth <= _GROWTH and failed == 0,
    )


def _kinds() -> list[tuple[str, Kind]]:
    """Returns all kinds of requests, those that are to be refused too; each tells whether the answer is right."""
    kinds: list[tuple[str, Kind]] = []
    for clients in CLIENTS.values():
        kinds += [(client.__name__, partial(_is_told, client)) for client in clients]
    others: list[Kind] = [_unknown_model, _wrong_body, _wrong_message, _no_json, _metadata, _given_up, _in_a_hurry]
    return kinds + [(kind.__name__.strip("_"), kind) for kind in others]


async def _is_told(client: Client, reached: _Reached) -> bool:
    return {told if isinstance(told, str) else told[1] for told in await client(reached, None)} == {float(_FACTOR)}


async def _unknown_model(reached: _Reached) -> bool:
    answer = await reached.rest.post("/v1/models/none:predict", json={"instances": [1]})
    return answer.status_code == 404


async def _wrong_body(reached: _Reached) -> bool:
    answer = await reached.rest.post("/v2/models/times/infer", json={"inputs": [{"name": "y", "shape": [1]}]})
    return answer.status_code == 400


async def _no_json(reached: _Reached) -> bool:
    answer = await reached.rest.post("/api/v1/models/shades/classify", content=b'{"images": [')
    return answer.status_code in (400, 415)


async def _wrong_message(reached: _Reached) -> bool:
    return await _status(reached, _PREDICT, b"\xff\xff") in ("INVALID_ARGUMENT", "INTERNAL")


async def _metadata(reached: _Reached) -> bool:
    return await _status(reached, _METADATA, b"\x0a\x05times") == "OK"


async def _given_up(reached: _Reached) -> bool:
    call: asyncio.Task[httpx.Response] = asyncio.create_task(
        reached.rest.post("/v1/models/times:predict", json={"instances": [1.0, 2.0]})
    )
    await asyncio.sleep(0.001)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    return True


async def _in_a_hurry(reached: _Reached) -> bool:
    headers = {"X-Request-Timeout": "0.000001"}
    answer = await reached.rest.post("/v1/models/times:predict", json={"instances": [1.0]}, headers=headers)
    return answer.status_code == 504


async def _status(reached: _Reached, path: str, message: bytes) -> str:
    ask: Any = reached.channel.unary_unary(path)
    return str((await ask(message, timeout=DEADLINE).code()).name)
