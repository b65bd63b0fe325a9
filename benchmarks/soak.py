"""Memory after many requests beside memory after few: what grows without end shows here."""

from itertools import cycle

from benchmarks import load
from benchmarks.asking import check, wait_for_answer
from benchmarks.questions import OIP_REST, OIP_RPC, TFS_REST, TFS_RPC
from benchmarks.results import Figure, Results
from benchmarks.rounds import tell
from benchmarks.servers import TENSORGATE, Starter

_STEP, _MOST = 20_000, 200_000
_CONCURRENCY = 64
_BURST_SECONDS = 2.0


def measure_memory(start: Starter, results: Results) -> None:
    """Adds MB by number of requests, of all protocols in turn.

    Raises:
        LoadError: When a request failed.
        WrongAnswerError: When the server did not start.
    """
    questions = (OIP_RPC, TFS_RPC, OIP_REST, TFS_REST)
    with start.tensorgate() as running:
        wait_for_answer(OIP_RPC, running.grpc, start.examples, running.server)
        sizes = {question: check(question, running.address(question), start.examples) for question in questions}
        answered, told = 0, 0
        for question in cycle(questions):
            address = running.address(question)
            seen = load.burst(question, address, sizes[question], concurrency=_CONCURRENCY, seconds=_BURST_SECONDS)
            answered += seen.answers
            if answered >= told + _STEP:
                told = answered // _STEP * _STEP
                memory = running.server.memory_bytes() / 1e6
                results.add(0, Figure(TENSORGATE, "soak", concurrency=answered), memory)
                tell(f"soak: {memory:,.1f} MB after {answered:,} requests")
            if answered >= _MOST:
                return
