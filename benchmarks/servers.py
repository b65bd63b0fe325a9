"""The servers that are compared, and how each is started."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import nginx
from benchmarks.asking import wait_for_answer
from benchmarks.models import SMALL
from benchmarks.processes import ROOT, Process, free_port, process
from benchmarks.questions import Question

PEERS = {
    "triton": "Triton (PyTriton)",
    "mlserver": "MLServer",
    "kserve": "KServe",
    "bentoml": "BentoML",
    "litserve": "LitServe",
}
MODEL_SERVER = os.environ.get("TENSORGATE_TEST_MODEL_SERVER", "")
"""A real tensorflow_model_server, where there is one: then it is the backend, in place of a second Tensorgate."""
BACKEND = "TensorFlow Serving" if MODEL_SERVER else "a second Tensorgate"
TENSORGATE = "Tensorgate"
GATEWAY = f"Tensorgate, before {BACKEND}"
BACKEND_ALONE = f"{BACKEND}, asked directly"
NGINX = f"nginx, before {BACKEND}"
EMPTY = "an empty handler"


class NotAvailableError(Exception):
    """A server cannot be started here; the message says why."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that was started, perhaps not ready yet.

    Attributes:
        rest: ``host:port``.
        grpc: Likewise.
        server: The process that is measured.
        backend: The process behind it, where there is one.
    """

    rest: str
    grpc: str
    server: Process
    backend: Process | None = None

    def address(self, question: Question) -> str:
        """Returns where a question is sent."""
        return self.grpc if question.is_grpc else self.rest


@dataclass(frozen=True, slots=True)
class Server:
    """One row or more of the tables.

    Attributes:
        name: For the tables.
        group: limits, tensorgate, peers or gateway.
        questions: What it is asked; the first tells when it is ready.
        start: Runs it while a body runs.
    """

    name: str
    group: str
    questions: tuple[Question, ...]
    start: Callable[[], AbstractContextManager[Running]]


@dataclass(frozen=True, slots=True)
class Starter:
    """Starts servers of one models folder.

    Attributes:
        folder: For logs and configurations.
        models: The models folder.
        environment: Variables for all of them.
    """

    folder: Path
    models: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    @contextmanager
    def tensorgate(self, *options: object, models: Path | None = None) -> Iterator[Running]:
        """Runs this project's server, with the SavedModels in its process unless the options say otherwise."""
        rest, grpc = free_port(), free_port()
        command = [sys.executable, "-m", "service", "serve", "--rest-port", rest, "--grpc-port", grpc]
        command += ["--models", models or self.models, "--log-level", "warning", *options]
        with process(command, self._log("tensorgate"), self.environment) as server:
            yield Running(_local(rest), _local(grpc), server)

    @contextmanager
    def empty_handler(self) -> Iterator[Running]:
        """Runs a gRPC server that does nothing."""
        port = free_port()
        with process([sys.executable, "-m", "benchmarks.empty_handler", port], self._log("empty")) as server:
            yield Running("", _local(port), server)

    @contextmanager
    def peer(self, name: str, call: str) -> Iterator[Running]:
        """Runs a peer in its own environment.

        Raises:
            NotAvailableError: When that is not there.
        """
        python = ROOT / ".venv-peers" / name / "bin" / "python"
        if not python.exists():
            raise NotAvailableError(f"no environment {python.parent.parent.relative_to(ROOT)} (make peers)")
        rest, grpc = free_port(), free_port()
        command = [python, ROOT / "benchmarks" / "peers" / f"serve_{name}.py", "--model", self.models / SMALL / "1"]
        command += ["--name", SMALL, "--rest-port", rest, "--grpc-port", grpc, "--call", call]
        with process(command, self._log(name), self.environment) as server:
            yield Running(_local(rest), _local(grpc), server)

    @contextmanager
    def backend(self, question: Question) -> Iterator[Running]:
        """Runs what speaks TensorFlow Serving's API behind the gateway, and waits until it answers the question."""
        with self._model_server() if MODEL_SERVER else self.tensorgate() as running:
            address = running.address(question)
            wait_for_answer(question, address, running.server)
            yield running

    @contextmanager
    def gateway(self, question: Question) -> Iterator[Running]:
        """Runs this project's server in front of the backend."""
        with self.backend(question) as backend:
            options = ["--backend", "tfserving", "--tfserving-addresses", backend.grpc, "--tfserving-models", SMALL]
            with self.tensorgate(*options) as running:
                yield Running(running.rest, running.grpc, running.server, backend.server)

    @contextmanager
    def nginx(self, question: Question) -> Iterator[Running]:
        """Runs nginx in front of the backend.

        Raises:
            NotAvailableError: When there is no nginx.
        """
        program = nginx.find()
        if program is None:
            raise NotAvailableError("no nginx (Debian: apt-get install nginx-light)")
        with self.backend(question) as backend:
            port = free_port()
            file = nginx.write_configuration(self.folder, port, backend.grpc)
            with process([program, "-c", file, "-p", self.folder], self._log("nginx")) as server:
                yield Running("", _local(port), server, backend.server)

    @contextmanager
    def _model_server(self) -> Iterator[Running]:
        rest, grpc = free_port(), free_port()
        command = [MODEL_SERVER, f"--port={grpc}", f"--rest_api_port={rest}", f"--model_name={SMALL}"]
        # At its default, 4 a core, calls beyond that many at a time fail at once.
        command += [f"--model_base_path={self.models / SMALL}", "--grpc_max_threads=200"]
        with process(command, self._log("model_server")) as server:
            yield Running(_local(rest), _local(grpc), server)

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"


def _local(port: int) -> str:
    return f"127.0.0.1:{port}"
