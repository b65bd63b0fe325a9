"""Models are configured anew every second while all protocols are asked: versions, labels, folders change at once."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
from grpc import aio

from reliability.asking import DEADLINE
from reliability.findings import Finding
from reliability.load import OK, WRONG, steady
from reliability.options import Work
from reliability.servers import run_code, starter
from service.wire import tensorflow_serving_pb2 as tfs
from tests.version_clients import CLIENTS, Client, RefusedError
from tests.version_history import History

_FULL_SECONDS = 600.0
_RATE = 60.0
_EVERY = 1.0
_FACTORS = (2, 3, 5, 7, 11)
_LABEL = "stable"
_RELOAD = "/tensorflow.serving.ModelService/HandleReloadConfigRequest"
_RELOAD_SECONDS = 60.0
_CONNECTIONS = 32
_EXPORT = "import sys; from pathlib import Path; from tests.telling_models import save; save(Path(sys.argv[1]), {})"


@dataclass(frozen=True, slots=True)
class _Reached:
    rest: httpx.AsyncClient
    channel: aio.Channel


async def run(work: Work) -> list[Finding]:
    """Runs it; returns a line."""
    folders = await _export(work.folder)
    config = work.folder / "models.config"
    config.write_text(_config(folders[0], 1))
    async with starter(work.folder, work.folder) as start:
        options = ("--model-config-file", config, "--poll-seconds", 0, "--log-level", "warning")
        server = await start.tensorgate("server", *options)
        await server.started()
        limits = httpx.Limits(max_connections=_CONNECTIONS)
        async with (
            httpx.AsyncClient(base_url=f"http://{server.rest}", timeout=DEADLINE, limits=limits) as rest,
            aio.insecure_channel(server.grpc) as channel,
        ):
            histories = {name: History((1, _FACTORS[0])) for name in CLIENTS}
            asked = _asking(_Reached(rest, channel), histories)
            async with steady(asked, rate=_RATE, deadline=DEADLINE) as outcomes:
                seconds = await _reload(channel, folders, histories, work.seconds(_FULL_SECONDS, least=4))
    failures = outcomes.failures()
    wrong = sum(count for code, count in failures.items() if code.startswith(WRONG))
    return [
        Finding(
            f"models reloaded {len(seconds):,} times, once a second: each time other contents, the version up and down,"
            f" the label with it; {len(_kinds())} kinds of requests, {_RATE:.0f} a second",
            "0 failed, 0 answered by two versions or by one that had left",
            f"{len(outcomes.answers):,} requests, {failures.total() - wrong} failed, {wrong} wrong"
            + "".join(f"; {count} {code}" for code, count in failures.most_common(2))
            + f"; a reload took {max(seconds):.1f} s at most",
            failures.total() == 0,
        )
    ]


async def _export(folder: Path) -> list[Path]:
    """Writes the models with each factor, in folders of their own; returns these."""
    folders = [folder / str(factor) for factor in _FACTORS]
    for place, (factor, made) in enumerate(zip(_FACTORS, folders, strict=True)):
        await run_code(_EXPORT.format(factor), made)
        for name in CLIENTS:
            version = made / name
            version.rename(made / "version")
            version.mkdir()
            (made / "version").rename(version / str(_number(place)))
    return folders


def _number(place: int) -> int:
    """Returns the version that comes at that place of the changes: up and down again."""
    return 1 + place % 2


def _config(folder: Path, number: int) -> str:
    configs = (
        f'config {{ name: "{name}" base_path: "{folder / name}" version_labels {{ key: "{_LABEL}" value: {number} }} }}'
        for name in CLIENTS
    )
    return f"model_config_list {{ {' '.join(configs)} }}"


async def _reload(
    channel: aio.Channel, folders: list[Path], histories: dict[str, History], seconds: float
) -> list[float]:
    """Configures the models anew, over and over; returns how long each took."""
    took: list[float] = []
    call: Any = channel.unary_unary(_RELOAD)
    end = time.monotonic() + seconds
    for change in itertools.count(1):
        place = change % len(folders)
        for history in histories.values():
            history.begin((_number(place), _FACTORS[place]))
        began = time.monotonic()
        answer = await call(_request(folders[place], _number(place)).SerializeToString(), timeout=_RELOAD_SECONDS)
        if (status := tfs.ReloadConfigResponse.FromString(answer).status).error_code:
            raise RuntimeError(f"a reload was refused: {status.error_message}")
        for history in histories.values():
            history.settle()
        took.append(time.monotonic() - began)
        if time.monotonic() > end:
            break
        await asyncio.sleep(max(0.0, _EVERY - took[-1]))
    return took


def _request(folder: Path, number: int) -> tfs.ReloadConfigRequest:
    request = tfs.ReloadConfigRequest()
    for name in CLIENTS:
        config = request.config.model_config_list.config.add(name=name, base_path=str(folder / name))
        config.model_platform = "tensorflow"
        config.version_labels[_LABEL] = number
    return request


def _kinds() -> list[tuple[str, Client, str | None]]:
    each = ((name, client) for name, clients in CLIENTS.items() for client in clients)
    return [(name, client, label) for (name, client), label in itertools.product(each, (None, _LABEL))]


def _asking(server: _Reached, histories: dict[str, History]) -> Callable[[int], Awaitable[str]]:
    kinds = _kinds()

    async def ask(number: int) -> str:
        name, client, label = kinds[number % len(kinds)]
        since = histories[name].now
        try:
            answers = await client(server, label)
        except (RefusedError, aio.AioRpcError, httpx.HTTPError) as error:
            text = error.details() if isinstance(error, grpc.RpcError) else str(error)
            return f"{client.__name__}: {type(error).__name__}: {text or ''}"[:120]
        except AssertionError as error:  # of two versions
            return f"{WRONG}: {error}"
        try:
            for told in answers:
                histories[name].check(told, since)
        except AssertionError as error:
            return f"{WRONG}: {error}"
        return OK

    return ask
