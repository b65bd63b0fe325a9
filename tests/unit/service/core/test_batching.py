import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from service.core.batching import Batcher, BatchLimits
from service.core.call import Call
from service.core.catalog import ModelVersion, State
from service.core.deadline import Deadline
from service.core.request import InferenceRequest
from service.core.tensors import Signature, Tensor, TensorSpec
from service.errors import ErrorKind, GatewayError

ROWS = {"x": TensorSpec("float32", (None, None))}
DOUBLE = Signature("serving_default", "", ROWS, {"y": TensorSpec("float32", (None, None))})
MODEL = ModelVersion("m", 1, State.AVAILABLE, {"serving_default": DOUBLE})


class Gated:
    """Doubles; each run waits for its turn, refuses numbers below zero, and fails on demand."""

    def __init__(self) -> None:
        self.turns = asyncio.Semaphore(0)
        self.runs: list[list[float]] = []
        self.models: list[str] = []
        self.failure: Exception | None = None
        self.merges_rows = False

    async def run(
        self, version: ModelVersion, signature: Signature, inputs: Mapping[str, Tensor], deadline: Deadline
    ) -> dict[str, Tensor]:
        x = inputs["x"]
        self.runs.append(x[:, 0].tolist() if x.ndim > 1 else x.ravel().tolist())
        self.models.append(version.name)
        await self.turns.acquire()
        if self.failure is not None:
            raise self.failure
        if (x < 0).any():
            raise GatewayError(ErrorKind.INVALID_INPUT, f"below zero: {x.min():g}")
        return {"y": x[:1] if self.merges_rows and len(x) > 1 else x * 2}


class Merging:
    """A batcher in front of a gated backend."""

    def __init__(self, **limits: int) -> None:
        self.calls: list[Call] = []
        self.backend = Gated()
        self.seen: list[tuple[int, int]] = []
        self.batcher = Batcher(
            backend=self.backend,  # type: ignore[arg-type]  # all that a batcher asks of it
            limits=BatchLimits(**{"max_batches_in_flight": 1, **limits}),
            observe=lambda version, rows, requests: self.seen.append((rows, requests)),
        )

    def ask(self, *values: float, model: ModelVersion = MODEL, width: int = 1) -> "asyncio.Task[Any]":
        x = np.repeat(np.array(values, np.float32)[:, np.newaxis], width, axis=1)
        call = Call("rest", "method", "id", Deadline.after(5))
        [signature] = model.signatures.values()

        async def asked() -> Any:
            self.calls.append(call)
            outputs = await self.batcher.run(InferenceRequest(model, signature, {"x": x}, len(x)), call)
            return outputs["y"][:, 0].tolist()

        return asyncio.create_task(asked())

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    def let(self, runs: int) -> None:
        for _ in range(runs):
            self.backend.turns.release()


async def test_an_idle_backend_is_asked_at_once_and_those_who_wait_meanwhile_are_merged() -> None:
    front = Merging()
    first = front.ask(1)
    await front.settle()
    assert front.backend.runs == [[1]]
    others = [front.ask(value) for value in (2, 3, 4)]
    await front.settle()
    assert front.backend.runs == [[1]]
    assert front.batcher.waiting() == {"m": 3}
    front.let(2)
    assert await asyncio.gather(first, *others) == [[2], [4], [6], [8]]
    assert front.backend.runs == [[1], [2, 3, 4]]
    assert front.seen == [(1, 1), (3, 3)]
    assert front.batcher.waiting() == {}
    assert front.calls[0].phases["queue"] == 0
    assert set(front.calls[1].phases) == {"queue", "execute"}


async def test_a_batch_has_no_more_rows_than_allowed() -> None:
    front = Merging(max_batch_size=3)
    asked = [front.ask(0), front.ask(1, 2), front.ask(3, 4), front.ask(5)]
    await front.settle()
    front.let(9)
    assert await asyncio.gather(*asked) == [[0], [2, 4], [6, 8], [10]]
    assert front.backend.runs == [[0], [1, 2], [3, 4, 5]]


async def test_a_large_request_is_run_whole_where_the_model_does_not_give_a_row_for_each_row() -> None:
    front = Merging(max_batch_size=2)
    front.backend.merges_rows = True
    for runs in ([[1, 2], [1, 2, 3, 4, 5]], [[1, 2, 3, 4, 5]]):
        front.backend.runs.clear()
        asked = front.ask(1, 2, 3, 4, 5)
        front.let(len(runs))
        assert await asked == [1]
        assert front.backend.runs == runs


async def test_a_large_request_is_run_in_parts_and_put_together() -> None:
    front = Merging(max_batch_size=2)
    asked = front.ask(1, 2, 3, 4, 5)
    front.let(9)
    assert await asked == [2, 4, 6, 8, 10]
    assert front.backend.runs == [[1, 2], [3, 4], [5]]


async def test_several_runs_may_be_under_way() -> None:
    front = Merging(max_batches_in_flight=2, max_batches_per_model=2)
    asked = [front.ask(value) for value in (1, 2, 3)]
    await front.settle()
    assert front.backend.runs == [[1], [2]]
    front.let(3)
    assert await asyncio.gather(*asked) == [[2], [4], [6]]


async def test_a_model_leaves_the_other_places_to_others() -> None:
    front = Merging(max_batches_in_flight=2)
    other = replace(MODEL, name="n")
    asked = [front.ask(1), front.ask(2), front.ask(3), front.ask(4, model=other), front.ask(5, model=other)]
    await front.settle()
    assert front.backend.runs == [[1], [4]]
    front.let(1)
    await front.settle()
    assert front.backend.runs == [[1], [4], [2, 3]]
    front.let(9)
    assert await asyncio.gather(*asked) == [[2], [4], [6], [8], [10]]


async def test_other_shapes_models_and_versions_are_not_merged() -> None:
    front = Merging()
    other = replace(MODEL, version=2)
    asked = [front.ask(1), front.ask(2), front.ask(3, width=2), front.ask(4, model=other), front.ask(5)]
    await front.settle()
    front.let(9)
    assert await asyncio.gather(*asked) == [[2], [4], [6], [8], [10]]
    assert front.backend.runs == [[1], [2, 5], [3], [4]]


async def test_models_take_turns() -> None:
    front = Merging(max_batch_size=1)
    other = replace(MODEL, name="n")
    asked = [front.ask(0), *(front.ask(value) for value in (1, 2, 3)), front.ask(9, model=other)]
    await front.settle()
    front.let(9)
    await asyncio.gather(*asked)
    front = Merging(max_batch_size=2)
    asked = [front.ask(0), *(front.ask(value, value) for value in (1, 2, 3)), front.ask(9, model=other)]
    await front.settle()
    front.let(9)
    await asyncio.gather(*asked)
    assert front.backend.models == ["m", "m", "n", "m", "m"]


async def test_one_bad_request_fails_alone() -> None:
    front = Merging()
    asked = [front.ask(0), *(front.ask(value) for value in (1, 2, -3, 4, 5, -6, 7))]
    await front.settle()
    front.let(50)
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [outcome if isinstance(outcome, list) else str(outcome) for outcome in outcomes] == [
        *([0], [2], [4]),
        "below zero: -3",
        *([8], [10]),
        "below zero: -6",
        [14],
    ]


async def test_what_nobody_can_be_blamed_for_fails_all_at_once() -> None:
    front = Merging()
    front.backend.failure = GatewayError(ErrorKind.BACKEND_UNAVAILABLE, "gone")
    asked = [front.ask(value) for value in (1, 2, 3)]
    await front.settle()
    front.let(9)
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["gone"] * 3
    assert len(front.backend.runs) == 2


async def test_a_request_that_is_given_up_is_taken_out_of_its_queue() -> None:
    front = Merging()
    first, second, third = front.ask(1), front.ask(2), front.ask(3)
    await front.settle()
    second.cancel()
    await front.settle()
    assert front.batcher.waiting() == {"m": 1}
    front.let(9)
    assert [await first, await third] == [[2], [6]]
    assert front.backend.runs == [[1], [3]]


async def test_a_request_that_is_given_up_while_it_runs_does_not_stop_the_others() -> None:
    front = Merging()
    first, second, third = front.ask(1), front.ask(2), front.ask(3)
    await front.settle()
    front.let(1)
    await first
    await front.settle()
    assert front.backend.runs == [[1], [2, 3]]
    second.cancel()
    front.let(1)
    assert await third == [6]


async def test_when_all_give_up_the_place_is_free_again() -> None:
    front = Merging()
    asked = [front.ask(value) for value in (1, 2, 3)]
    await front.settle()
    for task in asked:
        task.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    await front.settle()
    front.let(9)
    assert await front.ask(5) == [10]
    assert front.batcher.waiting() == {}
    assert front.batcher._queues == {}


async def test_no_more_wait_for_a_model_than_allowed() -> None:
    front = Merging(max_queue_size=2)
    asked = [front.ask(value) for value in (1, 2, 3, 4)]
    other = front.ask(5, model=replace(MODEL, name="n"))
    await front.settle()
    front.let(9)
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert list(outcomes[:3]) == [[2], [4], [6]]
    assert isinstance(outcomes[3], GatewayError)
    assert outcomes[3].kind is ErrorKind.OVERLOADED
    assert "max_queue_size" in outcomes[3].message
    assert await other == [10]


@pytest.mark.parametrize("size", [1, 128])
async def test_nothing_is_kept_of_what_is_refused(size: int) -> None:
    front = Merging(max_queue_size=1, max_batch_size=size)
    asked = [front.ask(1), front.ask(2)]
    await front.settle()
    queues = dict(front.batcher._queues)
    refused = [front.ask(3, width=width) for width in (2, 3)]
    assert all(isinstance(each, GatewayError) for each in await asyncio.gather(*refused, return_exceptions=True))
    assert front.batcher._queues == queues
    front.let(9)
    await asyncio.gather(*asked)
    assert front.batcher._queues == {}


async def test_a_model_that_does_not_work_row_by_row_is_not_merged_again() -> None:
    front = Merging()
    front.backend.merges_rows = True
    asked = [front.ask(value) for value in (1, 2, 3)]
    await front.settle()
    front.let(9)
    assert await asyncio.gather(*asked) == [[2], [4], [6]]
    runs = len(front.backend.runs)
    asked = [front.ask(value) for value in (1, 2, 3)]
    await front.settle()
    front.let(9)
    await asyncio.gather(*asked)
    assert [len(run) for run in front.backend.runs[runs:]] == [1, 1, 1]


@pytest.mark.parametrize(
    "signature",
    [
        replace(DOUBLE, inputs={"x": TensorSpec("float32", None)}),
        replace(DOUBLE, inputs={"x": TensorSpec("float32", (1, None))}),
        replace(DOUBLE, outputs={"y": TensorSpec("float32", ())}),
        replace(DOUBLE, outputs={"y": TensorSpec("float32", None)}),
        replace(DOUBLE, defaults={"x": np.zeros((1, 1), np.float32)}),
    ],
)
async def test_signatures_without_rows_of_their_own_are_run_one_by_one(signature: Signature) -> None:
    front = Merging()
    model = replace(MODEL, signatures={"serving_default": signature})
    asked = [front.ask(value, model=model) for value in (1, 2, 3)]
    await front.settle()
    front.let(9)
    await asyncio.gather(*asked)
    assert [len(run) for run in front.backend.runs] == [1, 1, 1]
    assert front.batcher._queues == {}
