"""Servers as processes: started, looked at, sent signals, started again; all of them are ended with the run."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from benchmarks.processes import ROOT, Process, free_port
from reliability.asking import MODEL

MODEL_SERVER = os.environ.get("TENSORGATE_TEST_MODEL_SERVER", "")
"""A real ``tensorflow_model_server``, which is the replica where it is given."""
EXPORT = "import sys; from pathlib import Path; from reliability.exporting import export_slow as save; "
EXPORT += "save(Path(sys.argv[1]))"
"""Code for `run_code` that exports the model into a models folder."""
_START_SECONDS = 120.0
_LOOK_SECONDS = 0.05


class Server:
    """A server, which may be ended and started again on its ports.

    Args:
        command: Starts it.
        log: What it writes.
        rest: ``host:port`` of its REST API; empty where it has none.
        grpc: ``host:port`` of its gRPC API.
        tls: Whether it speaks TLS; what it shows for that is not looked at here.
    """

    def __init__(self, command: Sequence[object], log: Path, *, rest: str, grpc: str, tls: bool = False) -> None:
        self._command = command
        self.log = log
        self.rest = rest
        self.grpc = grpc
        self.process: Process | None = None
        self._scheme = "https" if tls else "http"

    async def start(self) -> None:
        """Starts it, and does not wait for it."""
        self.process = await asyncio.to_thread(Process, self._command, self.log, ROOT)

    async def started(self) -> None:
        """Waits until it is ready.

        Raises:
            RuntimeError: When it has ended, or does not get ready.
        """
        if self.rest:
            await until(self.ready, f"{self.log.name}: ready", server=self)
        else:
            await until(self._listens, f"{self.log.name}: listening", server=self)

    def send(self, number: signal.Signals) -> None:
        """Sends it a signal."""
        os.kill(self.pid, number)

    async def ended(self, seconds: float = 60.0) -> int:
        """Waits until it ends by itself; returns its exit status."""
        return await asyncio.to_thread(self._running.wait, seconds)

    async def stop(self) -> None:
        """Ends it."""
        if self.process is not None:
            if self.process.alive:
                self.send(signal.SIGCONT)
            await asyncio.to_thread(self.process.stop)
            self.process = None

    @property
    def pid(self) -> int:
        """Its process's number."""
        return self._running.pid

    async def ready(self) -> bool:
        """Returns whether it says that it is ready."""
        return (await self._get("/readyz")) is not None

    async def metrics(self, name: str) -> dict[str, float]:
        """Returns the samples of a metric by their labels, as they are written; none while it does not answer."""
        lines = (await self._get("/metrics") or "").splitlines()
        samples = (line.rpartition(" ") for line in lines if line.partition("{")[0].partition(" ")[0] == name)
        return {sample[len(name) :]: float(value) for sample, _, value in samples}

    async def metric(self, name: str, labels: str = "") -> float:
        """Returns the sum of the samples whose labels have that text among them."""
        return sum(value for each, value in (await self.metrics(name)).items() if labels in each)

    async def serving_replicas(self) -> int:
        """Returns how many replicas it sends requests to."""
        return int(await self.metric("tensorgate_replica_state", 'state="serving"'))

    async def memory(self) -> float:
        """Returns its memory in MB, with its descendants, what they share counted once."""
        return await asyncio.to_thread(self._running.memory_bytes) / 1e6

    def descriptors(self) -> int:
        """Returns how many files and connections it has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))  # noqa: PTH208 - they come and go

    def said(self, words: str) -> bool:
        """Returns whether its log has these words."""
        return words in self.log.read_text(errors="replace")

    @property
    def _running(self) -> Process:
        if self.process is None:
            raise RuntimeError(f"{self.log.name}: not started")
        return self.process

    async def _get(self, path: str) -> str | None:
        try:
            async with httpx.AsyncClient(timeout=5, verify=False) as client:  # noqa: S501 - of this machine
                answer = await client.get(f"{self._scheme}://{self.rest}{path}")
        except httpx.TransportError:
            return None
        return answer.text if answer.is_success else None

    async def _listens(self) -> bool:
        host, _, port = self.grpc.rpartition(":")
        try:
            _, writer = await asyncio.open_connection(host, int(port))
        except OSError:
            return False
        writer.close()
        return True


class Starter:
    """Starts servers.

    Args:
        folder: For logs.
        models: The models folder of those that need one.
    """

    def __init__(self, folder: Path, models: Path) -> None:
        self.folder = folder
        self.models = models
        self._started: list[Server] = []

    async def tensorgate(
        self, name: str, *options: object, before: Sequence[object] = (), host: str = "127.0.0.1"
    ) -> Server:
        """Starts this project's server, and does not wait for it.

        Args:
            name: Of its log.
            options: Of ``tensorgate serve``; without others it serves the models folder itself.
            before: What comes before the command, such as ``env`` with variables.
            host: Where it listens.
        """
        rest, grpc = free_port(), free_port()
        command = [*before, sys.executable, "-m", "service", "serve", "--rest-port", rest, "--grpc-port", grpc]
        # Its models are changed by clients, and a gateway may know it by a name that is made up.
        command += ["--host", host, "--models", self.models, "--allow-model-control", "--allowed-hosts", "*", *options]
        tls = "--tls-certificate" in options
        return await self.start(name, command, rest=f"{host}:{rest}", grpc=f"{host}:{grpc}", tls=tls)

    async def replica(self, name: str, *options: object, host: str = "127.0.0.1") -> Server:
        """Starts what is behind a gateway: TensorFlow Serving where it is given, or else this project's server."""
        if not MODEL_SERVER:
            return await self.tensorgate(name, "--log-level", "warning", *options, host=host)
        grpc = free_port()
        command = [MODEL_SERVER, f"--port={grpc}", "--rest_api_port=0", f"--model_name={MODEL}"]
        command += [f"--model_base_path={self.models / MODEL}", "--enable_grpc_healthcheck_service=true"]
        return await self.start(name, command, grpc=f"{host}:{grpc}")

    async def gateway(
        self, name: str, addresses: Sequence[str], *options: object, before: Sequence[object] = ()
    ) -> Server:
        """Starts a gateway to replicas, and waits until all of them are served by it."""
        behind = ["--backend", "tfserving", "--tfserving-addresses", ",".join(addresses), "--tfserving-models", MODEL]
        made = await self.tensorgate(name, *behind, *options, before=before)
        await made.started()
        return made

    async def stop(self) -> None:
        """Ends all of them."""
        await asyncio.gather(*(server.stop() for server in self._started))

    async def start(
        self, name: str, command: Sequence[object], *, rest: str = "", grpc: str = "", tls: bool = False
    ) -> Server:
        """Starts any server, and does not wait for it; see `Server`."""
        server = Server(command, self.folder / f"{name}.log", rest=rest, grpc=grpc, tls=tls)
        self._started.append(server)
        await server.start()
        return server


@asynccontextmanager
async def starter(folder: Path, models: Path) -> AsyncIterator[Starter]:
    """Makes one; the servers that it starts are ended with the body."""
    made = Starter(folder, models)
    try:
        yield made
    finally:
        await made.stop()


async def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end."""
    return await asyncio.to_thread(
        lambda: subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    )


async def run_code(code: str, *arguments: object) -> None:
    """Runs Python code in a process of its own: TensorFlow would take memory and threads from the load.

    Raises:
        RuntimeError: When it fails.
    """
    done = await run(sys.executable, "-c", code, *map(str, arguments))
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-500:])


async def until(
    condition: Callable[[], bool | object], what: str, *, seconds: float = _START_SECONDS, server: Server | None = None
) -> None:
    """Waits for a condition, which may be awaited.

    Raises:
        RuntimeError: When it does not come in time, or the server ends meanwhile.
    """
    try:
        async with asyncio.timeout(seconds):
            while True:
                found = condition()
                if await found if asyncio.iscoroutine(found) else found:
                    return
                if server is not None and server.process is not None and not server.process.alive:
                    raise RuntimeError(f"{server.log.name}: it ended: {server.process.last_line()}")
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        raise RuntimeError(f"not within {seconds:g} s: {what}") from None
