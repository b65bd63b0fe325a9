"""Memory after many requests beside memory after few: what grows without end shows here."""

from itertools import cycle

from benchmarks.asking import check, wait_for_answer
from benchmarks.load import burst, require_size
from benchmarks.rounds import tell
from benchmarks.workspace import Workspace

FEW, MANY = 20_000, 200_000
_BURST = 2_500
_CONCURRENCY = 64


def measure_memory(work: Workspace) -> dict[int, float]:
    """Returns MB by number of requests, of all protocols in turn.

    Raises:
        LoadError: When a request failed.
        WrongAnswerError: When the server did not start.
    """
    memory: dict[int, float] = {}
    questions = tuple(work.ask.values())
    with work.starter.tensorgate() as running:
        wait_for_answer(questions[0], running.address(questions[0]), running.server)
        sizes = {question.name: check(question, running.address(question)) for question in questions}
        sent = 0
        for question in cycle(questions):
            saw = burst(question, running.address(question), concurrency=_CONCURRENCY, requests=_BURST)
            require_size(question, saw, sizes[question.name])
            sent += _BURST
            if sent % FEW == 0:
                memory[sent] = running.server.memory_bytes() / 1e6
                tell(f"soak: {memory[sent]:,.1f} MB after {sent:,} requests")
            if sent >= MANY:
                return memory
    return memory
