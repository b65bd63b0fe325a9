import asyncio
from dataclasses import replace

import numpy as np
import pytest

from service.core.tensors import Signature, TensorSpec
from service.errors import ErrorKind, GatewayError
from tests.batching import DOUBLE, MODEL, Merging


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


async def test_a_merged_run_that_nobody_waits_for_any_more_gives_its_place_to_others() -> None:
    front = Merging()
    first, second, third = front.ask(1), front.ask(2), front.ask(3)
    await front.settle()
    front.let(1)
    await first
    other = front.ask(4, model=replace(MODEL, name="n"))
    await front.settle()
    assert front.backend.runs == [[1], [2, 3]]
    second.cancel()
    await front.settle()
    assert front.backend.runs == [[1], [2, 3]]
    third.cancel()
    await front.settle()
    assert front.backend.runs == [[1], [2, 3], [4]]
    front.let(1)
    assert await other == [8]
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


async def test_nothing_stays_of_requests_that_were_given_up_while_a_run_hangs() -> None:
    front = Merging(max_queue_size=2)
    other = replace(MODEL, unbatched={"serving_default": "it mixes rows"})
    running = front.ask(0)
    await front.settle()
    for value in range(100):
        for model in (MODEL, other):
            asked = front.ask(value, model=model)
            await front.settle()
            asked.cancel()
            await front.settle()
    batcher = front.batcher
    assert batcher.waiting() == {}
    assert [bool(queue.waiting) for queue in batcher._queues.values()] == [False]
    assert batcher._turns.next(lambda key: True) is None
    after = front.ask(7)
    await front.settle()
    front.let(2)
    assert list(await asyncio.gather(running, after)) == [[0], [14]]
    assert not batcher._queues
