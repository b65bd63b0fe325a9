"""The servers that are compared, what each is asked, and how it is started."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import standin
from benchmarks.asking import wait_for_answer
from benchmarks.options import Options
from benchmarks.processes import ROOT, Process, free_port, process
from benchmarks.questions import (
    MODEL,
    OIP_REST,
    OIP_RPC,
    OIP_RPC_H2LOAD,
    OIP_STREAM,
    OIP_STREAM_H2LOAD,
    REST,
    TFS_REST,
    TFS_RPC,
    Examples,
    Question,
)

PEERS = {"triton": "Triton (PyTriton)", "mlserver": "MLServer", "kserve": "KServe"}
TENSORGATE, BASELINE = "Tensorgate", "Tensorgate, the baseline"
BACKEND, GATEWAY = "the backend, asked directly", "Tensorgate, as a gateway to the backend"
EMPTY, EMPTY_ASGI = "an empty handler on grpc.aio", "an empty handler on h2corn"
FEW, MANY, MOST = 1, 64, 512
"""Requests at a time."""
LIMITS = ("--max-queue-size", "1024", "--max-requests-in-flight", "1024")
"""Options of every Tensorgate: by default it refuses some of so many requests at a time, to be tried again."""


class NotAvailableError(Exception):
    """A server cannot be started here; the message says why."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that was started, perhaps not ready yet.

    Attributes:
        rest: ``host:port``.
        grpc: Likewise.
        server: Its process.
    """

    rest: str
    grpc: str
    server: Process

    def address(self, question: Question) -> str:
        """Returns where a question is sent."""
        return self.rest if question.kind == REST else self.grpc


@dataclass(frozen=True, slots=True)
class Server:
    """One row or more of the tables.

    Attributes:
        name: For the tables.
        section: Of the run, to which it belongs.
        asked: What it is asked, and how many requests at a time; the first question tells when it is ready.
        start: Runs it while a body runs.
        answers: Whether it answers what the model says, and not just anything.
    """

    name: str
    section: str
    asked: Mapping[Question, tuple[int, ...]]
    start: Callable[[], AbstractContextManager[Running]]
    answers: bool = True


@dataclass(frozen=True, slots=True)
class Starter:
    """Starts servers of one models folder.

    Attributes:
        folder: For logs.
        models: The models folder.
        examples: What the model says.
        options: Of the run.
    """

    folder: Path
    models: Path
    examples: Examples
    options: Options

    @contextmanager
    def tensorgate(self, *options: object, checkout: Path = ROOT) -> Iterator[Running]:
        """Runs this project's server, with the SavedModel in its process unless the options say otherwise."""
        more = self.options.server_options if checkout == ROOT else ()
        with self._run("tensorgate", ["-m", "service", "serve", *LIMITS, *more, *options], checkout) as running:
            yield running

    @contextmanager
    def empty_handler(self) -> Iterator[Running]:
        """Runs a gRPC server that does nothing."""
        port = free_port()
        with process([sys.executable, "-m", "benchmarks.empty_handler", port], self._log("empty")) as server:
            yield Running("", _local(port), server)

    @contextmanager
    def empty_asgi(self) -> Iterator[Running]:
        """Runs another that does nothing; it speaks HTTP/1.1 too."""
        port = free_port()
        command = [sys.executable, "-m", "h2corn", "benchmarks.empty_asgi:app", "--grpc", "--port", port]
        with process([*command, "--loop", "uvloop", "--no-access-log"], self._log("empty")) as server:
            yield Running(_local(port), _local(port), server)

    @contextmanager
    def peer(self, name: str) -> Iterator[Running]:
        """Runs a peer in its own environment.

        Raises:
            NotAvailableError: When that is not there.
        """
        python = ROOT / ".venv-peers" / name / "bin" / "python"
        if not python.exists():
            raise NotAvailableError(f"no environment {python.parent.parent.relative_to(ROOT)} (make peers)")
        rest, grpc = free_port(), free_port()
        command = [python, ROOT / "benchmarks" / "peers" / f"serve_{name}.py", "--model", self.models / MODEL / "1"]
        command += ["--name", MODEL, "--rest-port", rest, "--grpc-port", grpc, "--call", self.options.peers_call]
        with process(command, self._log(name)) as server:
            yield Running(_local(rest), _local(grpc), server)

    @contextmanager
    def backend(self) -> Iterator[Running]:
        """Runs what speaks TensorFlow Serving's API behind the gateway."""
        rest, grpc = free_port(), free_port()
        with process(standin.command(self.models, grpc, rest), self._log("backend")) as server:
            yield Running(_local(rest), _local(grpc), server)

    @contextmanager
    def gateway(self) -> Iterator[Running]:
        """Runs this project's server in front of the backend, which is ready by then."""
        with self.backend() as backend:
            wait_for_answer(TFS_RPC, backend.grpc, self.examples, backend.server)
            options = ["--backend", "tfserving", "--tfserving-addresses", backend.grpc, "--tfserving-models", MODEL]
            with self.tensorgate(*options) as running:
                yield running

    @contextmanager
    def _run(self, name: str, arguments: list[object], folder: Path) -> Iterator[Running]:
        rest, grpc = free_port(), free_port()
        ports = ["--rest-port", rest, "--grpc-port", grpc, "--models", self.models, "--log-level", "warning"]
        with process([sys.executable, *arguments, *ports], self._log(name), folder) as server:
            yield Running(_local(rest), _local(grpc), server)

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"


def chosen(start: Starter, options: Options) -> list[Server]:
    """Returns the servers that the options ask for."""
    servers = [server for server in _all(start, options) if server.section in options.only]
    if options.servers:
        servers = [server for server in servers if any(word in server.name.lower() for word in options.servers)]
    return servers


def _all(start: Starter, options: Options) -> Iterator[Server]:
    few_or_many, all_three = (FEW, MANY), (FEW, MANY, MOST)
    yield Server(EMPTY, "limits", {TFS_RPC: few_or_many}, start.empty_handler, answers=False)
    yield Server(EMPTY_ASGI, "limits", {TFS_RPC: all_three, OIP_REST: few_or_many}, start.empty_asgi, answers=False)
    asked = {OIP_RPC: all_three, TFS_RPC: all_three, OIP_REST: few_or_many, TFS_REST: few_or_many}
    streams = {OIP_STREAM: (MANY,), OIP_RPC_H2LOAD: (MANY,), OIP_STREAM_H2LOAD: (MANY,)}
    yield Server(TENSORGATE, "tensorgate", asked | streams, start.tensorgate)
    if options.baseline:
        yield Server(BASELINE, "baseline", asked, partial(start.tensorgate, checkout=options.baseline))
    for key, name in PEERS.items():
        yield Server(name, "peers", {OIP_RPC: few_or_many, OIP_REST: few_or_many}, partial(start.peer, key))
    yield Server(BACKEND, "gateway", {TFS_RPC: all_three}, start.backend)
    yield Server(GATEWAY, "gateway", {TFS_RPC: all_three, OIP_RPC: all_three}, start.gateway)


def _local(port: int) -> str:
    return f"127.0.0.1:{port}"
