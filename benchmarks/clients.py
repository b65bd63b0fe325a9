"""``python -m benchmarks.clients``: what it costs a request that clients take turns and are limited, in this process.

The batcher's figures are of one row of four numbers and a backend that gives it back: what is left is the batcher.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from service.core.batch_policy import AS_THE_SERVER, BatchPolicies, BatchPolicy
from service.core.batching import Batcher, BatchLimits
from service.core.call import Call
from service.core.deadline import Deadline
from service.core.limit_rules import InFlight, LimitRule, Rate
from service.core.model_version import ModelVersion, State
from service.core.rate_limits import RateLimits
from service.core.request import InferenceRequest
from service.core.retry_budget import RetryBudget
from service.core.tensors import Signature, Tensor, TensorSpec
from service.transport.rest.quotas import quota_headers

_REQUESTS = 3_000
_REPEATS = 40
_ROWS = {"x": TensorSpec("float32", (None, 4))}
_SIGNATURE = Signature("serving_default", "", _ROWS, _ROWS)
_MODEL = ModelVersion("m", 1, State.AVAILABLE, {"serving_default": _SIGNATURE})
_CLIENTS = [f"client {number}" for number in range(8)]


class _Same:
    """A backend that gives back what it gets."""

    async def run(
        self, version: ModelVersion, signature: Signature, inputs: Mapping[str, Tensor], deadline: Deadline
    ) -> Mapping[str, Tensor]:
        """Runs, once others had their turn."""
        await asyncio.sleep(0)
        return inputs


def main() -> int:
    """Prints the table."""
    rows: list[tuple[str, Callable[[], None]]] = [
        ("batcher, one at a time", lambda: asyncio.run(_ask(1, [""]))),
        ("batcher, 64 at a time of clients who are not told apart", lambda: asyncio.run(_ask(64, [""]))),
        ("batcher, 64 at a time of one client", lambda: asyncio.run(_ask(64, _CLIENTS[:1]))),
        ("batcher, 64 at a time of 8 clients", lambda: asyncio.run(_ask(64, _CLIENTS))),
    ]
    limits = RateLimits(observe=lambda model, limit: None)
    rates = (Rate("a", "requests", 10**9, 1), Rate("b", "rows", 10**12, 86_400))
    limits.become([LimitRule(("*",), ("*",), rates, InFlight("c", 10), InFlight("d", 10**6))])
    rows += [
        ("limits: two rates, requests and bytes in flight", lambda: _take(limits)),
        ("limits: the headers of an answer over REST", lambda: _tell(limits)),
    ]
    for name, work in rows:
        sys.stdout.write(f"{name:<58} {_best(work):>6.2f}\n")
    sys.stdout.write("microseconds of CPU a request; the best of several runs each\n")
    return 0


async def _ask(tasks: int, clients: Sequence[str]) -> None:
    """Asks a new batcher, so many at a time."""
    batcher = Batcher(
        backend=_Same(),  # type: ignore[arg-type]  # all that a batcher asks of it
        limits=BatchLimits(max_client_share=0.8),
        policies=BatchPolicies(BatchPolicy(), lambda _: AS_THE_SERVER),
        budget=RetryBudget(),
        observe=lambda version, rows, requests: None,
    )
    x = np.ones((1, 4), np.float32)

    async def one(client: str) -> None:
        for _ in range(_REQUESTS // tasks):
            call = Call("rest", "method", "id", Deadline.after(5), client=client)
            await batcher.run(InferenceRequest(_MODEL, _SIGNATURE, {"x": x}, 1), call)

    await asyncio.gather(*(one(clients[number % len(clients)]) for number in range(tasks)))


def _take(limits: RateLimits) -> None:
    for _ in range(_REQUESTS):
        if lease := limits.lease("client", "m", 100):
            lease.begin()
            lease.take_rows(4)
            lease.close()


def _tell(limits: RateLimits) -> None:
    if lease := limits.lease("client", "m", 100):
        for _ in range(_REQUESTS):
            quota_headers(lease.quotas())


def _best(work: Callable[[], None]) -> float:
    """Returns microseconds of CPU a request."""
    best = float("inf")
    for _ in range(_REPEATS):
        begun = time.process_time()
        work()
        best = min(best, time.process_time() - begun)
    return best / _REQUESTS * 1e6


if __name__ == "__main__":
    sys.exit(main())
