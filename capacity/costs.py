"""What a request costs a gateway: processor time, not elapsed time, so that it holds on a busy machine too."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import load
from benchmarks.asking import check
from benchmarks.questions import MODEL as CNN
from benchmarks.questions import OIP_REST, OIP_RPC, REST, Examples, Question
from benchmarks.rounds import tell
from capacity.measured import EMBEDDED, TFSERVING, Cost
from capacity.model import ASKED, INPUT, MODEL, examples
from capacity.servers import gateway, replica
from capacity.system import Runs
from reliability.servers import Server, Starter

_MANY, _FEW = 64, 8
"""Small and large requests at a time: enough to keep a gateway busy."""
_LARGE = 10_000
_DEVICE = Runs(fixed=0.001, each=0, most=128)
"""Short runs, and full ones are no longer: the gateway is the bottleneck."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured: a server with that backend is asked the question about the examples."""

    backend: str
    server: Server
    model: str
    question: Question
    given: Examples


@dataclass(frozen=True, slots=True)
class Spent:
    """Processor time of a process in seconds: of its event loop's thread, and of all threads."""

    loop: float
    all: float

    @classmethod
    def by(cls, server: Server) -> "Spent":
        """Reads what a server has used so far. Its first thread runs the event loop; threads that matter do not end."""
        threads = {
            int(thread.name): int((thread / "schedstat").read_text().split()[0]) / 1e9
            for thread in Path(f"/proc/{server.pid}/task").iterdir()
        }
        return cls(threads[server.pid], sum(threads.values()))


async def measure(start: Starter, cnn: Examples, *, rounds: int, seconds: float) -> list[Cost]:
    """Measures all cases. Of several rounds the least counts, as other work on the machine only adds.

    Args:
        start: Starts servers, with the models in its folder.
        cnn: Examples for the benchmarks' CNN.
        rounds: How often each case is measured.
        seconds: Length of each burst of load.
    """
    async with _servers(start) as servers:
        cases = [
            Case(backend, server, MODEL, question.to(MODEL, INPUT, (1, numbers)), examples(numbers))
            for backend, server in servers.items()
            for question, sizes in ASKED.items()
            for numbers in sizes
        ]
        cases += [Case(EMBEDDED, servers[EMBEDDED], CNN, question, cnn) for question in (OIP_RPC, OIP_REST)]
        found = []
        for case in cases:
            tell(f"{case.backend}, {case.model}, {case.question.name}, {case.question.shape}")
            costs = [await asyncio.to_thread(cost_of, case, seconds) for _ in range(rounds)]
            found.append(min(costs, key=lambda cost: cost.loop + cost.others))
        return found


@asynccontextmanager
async def _servers(start: Starter) -> AsyncIterator[dict[str, Server]]:
    behind = await replica(start, "behind", _DEVICE)
    before = await gateway(start, "before", [behind])
    embedded = await start.tensorgate("embedded", "--log-level", "warning")
    await embedded.started()
    try:
        yield {EMBEDDED: embedded, TFSERVING: before}
    finally:
        await asyncio.gather(*(server.stop() for server in (embedded, before, behind)))


def cost_of(case: Case, seconds: float) -> Cost:
    """Returns what a request costs while the server is kept busy for that long."""
    question = case.question
    address = case.server.rest if question.kind == REST else case.server.grpc
    sizes = check(question, address, case.given)
    size = len(question.put(case.given.images[:1], "0" * 16))
    many = _FEW if size > _LARGE else _MANY
    before = Spent.by(case.server)
    answers = load.burst(question, address, sizes, concurrency=many, seconds=seconds).answers
    after = Spent.by(case.server)
    loop, everything = (1e6 * spent / answers for spent in (after.loop - before.loop, after.all - before.all))
    return Cost(case.backend, case.model, question.name, size, loop, everything - loop)
