"""Attacks a server in a process of its own over the network, on both its ports, by many connections at a time."""

import asyncio
import json
import re
import time
import zlib
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from grpc import StatusCode, aio

from fuzz.answers import check_http, check_message, check_status
from fuzz.decoders import tell
from fuzz.figures import Figures
from fuzz.http1 import Http1
from fuzz.known import check_known
from fuzz.limits import LIMITS
from fuzz.options import Options
from fuzz.requests import GRPC, METHODS, REST, SEEDS, WEB, Request, mutated, unframed
from fuzz.target import check
from tests.http2 import connected
from tests.mutations import mutated_bytes
from tests.processes import ServerProcess, server_process

_EACH = 1000
"""Inputs between two looks at whether the server is well."""
_CLIENTS = 4
"""Connections of each way."""
_MOST_FINDINGS = 20
_OWN_CONNECTION = (("grpc.use_local_subchannel_pool", 1),)
_AT_REST = ("tensorgate_requests_in_flight", "tensorgate_streams_in_flight", "tensorgate_request_bytes_held")
_REST_SECONDS = 30
_NEVER = 3600
"""Seconds: a deadline that a client says and that is later than all others."""
_NO_PATH = re.compile(r"^/|[^!-~]|[#%\"<>\\^`{|}]")
_NO_FAULT = "Internal error from Core"
"""All that gRPC's client says at times of a stream that ended early (https://github.com/grpc/grpc/issues/36066)."""

Ask = Callable[[Request], Awaitable[None]]


@dataclass(slots=True)
class _Attack:
    """What is known of the attack so far.

    Attributes:
        done: Inputs by the name of the way that they went.
        findings: Of any way.
    """

    options: Options
    server: ServerProcess
    random: Random
    until: float
    done: dict[str, int] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)

    @property
    def rest(self) -> int:
        """The REST port."""
        return int(self.server.rest.rpartition(":")[2])

    @property
    def grpc(self) -> int:
        """The gRPC port."""
        return int(self.server.grpc.rpartition(":")[2])

    def goes_on(self) -> bool:
        """Whether there are more inputs to come."""
        enough = sum(self.done.values()) >= self.options.wire_inputs or time.monotonic() >= self.until
        return not enough and len(self.findings) < _MOST_FINDINGS and self.server.process.poll() is None


def attack_server(options: Options, grpc_server: str, seconds: float) -> list[Figures]:
    """Returns the figures of each way to a server, and of the server as a whole."""
    environment = {f"TENSORGATE_{name.upper()}": str(value) for name, value in LIMITS.items()}
    with server_process("--grpc-server", grpc_server, **environment) as server:
        server.announcement()
        attack = _Attack(options, server, Random(options.seed or None), time.monotonic() + seconds)
        begun = time.monotonic()
        asyncio.run(_attacked(attack))
        took = time.monotonic() - begun
        if (status := server.stop()) != 0:
            attack.findings.append(f"the server ended with status {status}")
    attack.findings += [f"in the log: {line[:1000]}" for line in server.lines if _is_error(line)]
    figures = [Figures(f"{grpc_server}: {way}", inputs, took) for way, inputs in attack.done.items()]
    for each in figures:
        each.seconds = took / len(figures)
        each.memory_before, each.memory_after = attack.memory[len(attack.memory) // 20], attack.memory[-1]
    figures[0].findings += attack.findings
    return figures


def _is_error(line: str) -> bool:
    """Returns whether a line of the log is one of an error of ours, or none of the log at all.

    For h2corn it is an error that a client went away before its answer was sent.
    """
    try:
        entry = json.loads(line)
        return str(entry["level"]).lower() in {"error", "critical"} and entry["logger"] != "h2corn"
    except (ValueError, KeyError, TypeError):
        return True


async def _attacked(attack: _Attack) -> None:
    async with AsyncExitStack() as stack:
        ways: list[tuple[str, str, Ask]] = []
        ports = {"REST port": attack.rest, "gRPC port": attack.grpc}
        if _is_grpcio(attack):  # which speaks gRPC alone
            del ports["gRPC port"]
        for _ in range(_CLIENTS):
            for port_name, port in ports.items():
                for kind in (REST, WEB):
                    client = Http1(port)
                    stack.callback(client.close)
                    ways.append((f"{kind}, {port_name}", kind, _over_http(client)))
            channel = await stack.enter_async_context(aio.insecure_channel(f"127.0.0.1:{attack.grpc}", _OWN_CONNECTION))
            ways.append((GRPC, GRPC, _over_grpc(channel)))
            ways.append((f"{GRPC} streams", GRPC, _over_streams(attack.grpc)))
        ways.append((f"{GRPC} frames", GRPC, _over_frames(attack)))
        attack.done = dict.fromkeys((name for name, _, _ in ways), 0)
        watching = asyncio.create_task(_watch(attack))
        await asyncio.gather(*(_keep_asking(attack, *way) for way in ways))
        await watching
    if attack.server.process.poll() is not None:
        attack.findings.append("the server has ended:\n" + "\n".join(attack.server.lines[-20:]))
        return
    await _check_at_rest(attack)


async def _keep_asking(attack: _Attack, name: str, kind: str, ask: Ask) -> None:
    streams = name.endswith("streams")
    seeds = [each for each in SEEDS[kind] if kind != GRPC or METHODS[each.path].is_stream == streams]
    random = Random(attack.random.getrandbits(64))
    while attack.goes_on():
        request = random.choice(seeds)
        for _ in range(random.choice((0, 1, 1, 1, 2))):
            request = mutated(request, random)
        attack.done[name] += 1
        try:
            async with asyncio.timeout(attack.options.limit):
                await ask(request)
        except TimeoutError:
            attack.findings.append(_told(name, request, f"no answer within {attack.options.limit} s"))
        except Exception as error:
            attack.findings.append(_told(name, request, f"{type(error).__name__}: {error}"))


def _told(name: str, request: Request, wrong: str) -> str:
    return f"{name}: {wrong}\n{request.written()!r}"


def _over_http(client: Http1) -> Ask:
    async def ask(request: Request) -> None:
        answer = await client.ask(request)
        check(answer.status, "the connection was closed without an answer")
        check_http(request, answer.status, answer.headers, answer.body)

    return ask


def _over_grpc(channel: aio.Channel) -> Ask:
    async def ask(request: Request) -> None:
        for message in _messages(request):
            method: Any = channel.unary_unary(_path(request))
            await _ended(method(message, timeout=_NEVER), request, [])

    return ask


def _over_streams(port: int) -> Ask:
    async def ask(request: Request) -> None:
        async with aio.insecure_channel(f"127.0.0.1:{port}", _OWN_CONNECTION) as channel:
            method: Any = channel.stream_stream(_path(request))
            await _ended(method(iter(_messages(request)), timeout=_NEVER), request, [])

    return ask


def _messages(request: Request) -> list[bytes]:
    """Returns the messages of a body; the body itself where it has none, as this client frames what it sends."""
    try:
        return unframed(request.body)
    except zlib.error:
        return [request.body]


def _path(request: Request) -> str:
    """Returns the path as this client sends it: in characters that HTTP/2 allows in one."""
    return "/" + _NO_PATH.sub("", request.path)


async def _ended(call: Any, request: Request, said: list[bytes]) -> None:
    """Waits for the end of a call, and holds it against what it must be like."""
    try:
        if hasattr(call, "__aiter__"):
            said += [message async for message in call]
        else:
            said.append(await call)
    except aio.AioRpcError:
        pass
    code: StatusCode = await call.code()
    text: str = await call.details() or ""
    if text != _NO_FAULT:
        check_status(request, code.value[0], text.encode())
    for message in said:
        check_message(request, message)


def _over_frames(attack: _Attack) -> Ask:
    """Sends bodies as no client of gRPC does: cut off, with lying lengths, with more after the end.

    What grpcio makes of frames that are none is its own affair: it is an internal error in its words.
    """

    async def ask(request: Request) -> None:
        body = mutated_bytes(request.body, attack.random)
        encoding = "gzip" if request.header(b"grpc-encoding") == b"gzip" else "identity"
        async with connected(attack.grpc) as client:
            answer = await client.call(_path(request), body, grpc_encoding=encoding)
        check(answer.ended or answer.reset is not None, "the call has not ended")
        if answer.status is not None and not _is_grpcio(attack):
            check_status(request, answer.status, answer.text)

    return ask


async def _watch(attack: _Attack) -> None:
    """Looks after each thousand inputs whether what is known is answered right, and at the memory."""
    looked = 0
    async with aio.insecure_channel(f"127.0.0.1:{attack.grpc}", _OWN_CONNECTION) as channel:
        while True:
            ends = not attack.goes_on()
            if ends or sum(attack.done.values()) >= looked + _EACH:
                looked = sum(attack.done.values()) // _EACH * _EACH
                attack.memory.append(memory(attack.server))
                try:
                    await check_known(attack.rest, _rest_on_grpc(attack), channel)
                except Exception as error:
                    attack.findings.append(f"after {looked} inputs: {type(error).__name__}: {error}")
                if looked % (10 * _EACH) == 0:
                    tell(f"{looked:,} inputs over the network, {attack.memory[-1]} MB, {len(attack.findings)} findings")
            if ends:
                return
            await asyncio.sleep(0.02)


def _rest_on_grpc(attack: _Attack) -> int:
    """Returns the other port that speaks REST; that of REST where there is none."""
    return attack.rest if _is_grpcio(attack) else attack.grpc


def _is_grpcio(attack: _Attack) -> bool:
    return "grpcio" in attack.server.process.args  # type: ignore[operator]  # they are a list


def memory(server: ServerProcess) -> int:
    """Returns the memory of a server in MB; 0 where the system does not say."""
    status = Path(f"/proc/{server.process.pid}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS"))


async def _check_at_rest(attack: _Attack) -> None:
    """Waits until nothing is counted as being under way any more."""
    client = Http1(attack.rest)
    until = time.monotonic() + _REST_SECONDS
    counted: dict[bytes, float] = {}
    while time.monotonic() < until:
        answer = await client.ask(Request(REST, "GET", "/metrics", (), b""))
        samples = (line.rsplit(b" ", 1) for line in answer.body.splitlines() if not line.startswith(b"#"))
        counted = {name: float(value) for name, value in samples if name.decode() in _AT_REST}
        if not any(counted.values()):
            break
        await asyncio.sleep(0.1)
    client.close()
    if any(counted.values()) or len(counted) < len(_AT_REST):
        attack.findings.append(f"at rest: {counted}")
