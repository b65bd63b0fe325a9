"""What an operator says of a model's batching, and what comes of it."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from service.core.batch_policy import (
    AS_THE_SERVER,
    BatchMode,
    BatchOverrides,
    BatchPolicy,
    ServingOptions,
    parse_batch_sizes,
)
from service.core.merging import _filled
from service.errors import ErrorKind, GatewayError
from tests.batching import DOUBLE, MODEL, Merging

FOUND = replace(MODEL, unbatched={"serving_default": "it mixes rows"})


def options(**overrides: object) -> ServingOptions:
    return ServingOptions(batching=BatchOverrides(**overrides))  # type: ignore[arg-type]


async def runs_of(front: Merging, model: object = MODEL, requests: int = 5) -> list[list[float]]:
    asked = [front.ask(value, model=model) for value in range(requests)]  # type: ignore[arg-type]
    await front.settle()
    front.let(requests)
    assert await asyncio.gather(*asked) == [[2 * value] for value in range(requests)]
    return front.backend.runs


async def test_what_is_switched_off_is_not_merged() -> None:
    front = Merging(options(mode=BatchMode.OFF))
    assert await runs_of(front) == [[0], [1], [2], [3], [4]]
    assert front.batcher.reason_against(MODEL, DOUBLE) == "batching is off"


async def test_what_is_switched_on_is_merged_whatever_a_trial_found() -> None:
    assert await runs_of(Merging(), FOUND) == [[0], [1], [2], [3], [4]]
    assert await runs_of(Merging(options(mode=BatchMode.ON)), FOUND) == [[0], [1, 2, 3, 4]]


async def test_a_model_has_a_batch_size_of_its_own() -> None:
    assert await runs_of(Merging(options(max_batch_size=2))) == [[0], [1, 2], [3, 4]]


async def test_what_is_said_of_a_signature_goes_before_what_is_said_of_its_model() -> None:
    own = {"serving_default": BatchOverrides(max_batch_size=3)}
    said = ServingOptions(batching=BatchOverrides(mode=BatchMode.OFF, max_batch_size=2), signatures=own)
    default = BatchPolicy(max_queue_size=7)
    assert said.policy("serving_default", default) == BatchPolicy(BatchMode.OFF, 3, max_queue_size=7)
    assert said.policy("other", default) == BatchPolicy(BatchMode.OFF, 2, max_queue_size=7)
    assert AS_THE_SERVER.policy("other", default) == default


async def test_runs_are_filled_up_to_an_allowed_size_with_their_last_row() -> None:
    front = Merging(options(allowed_batch_sizes=(2, 4)))
    assert await runs_of(front, requests=4) == [[0, 0], [1, 2, 3, 3]]
    assert front.seen == [(1, 1), (3, 3)]


async def test_a_batch_is_no_larger_than_the_largest_allowed_size() -> None:
    front = Merging(options(allowed_batch_sizes=(2,)))
    asked = front.ask(1, 2, 3, 4, 5)
    front.let(3)
    assert await asked == [2, 4, 6, 8, 10]
    assert front.backend.runs == [[1, 2], [3, 4], [5, 5]]


async def test_a_filled_answer_that_does_not_split_is_run_again_as_it_came() -> None:
    front = Merging(options(allowed_batch_sizes=(4,)))
    front.backend.merges_rows = True
    asked = front.ask(1, 2)
    front.let(2)
    assert await asked == [1]
    assert front.backend.runs == [[1, 2, 2, 2], [1, 2]]


async def test_no_rows_are_run_as_they_are() -> None:
    front = Merging(options(allowed_batch_sizes=(4,)))
    asked = front.ask()
    front.let(1)
    assert await asked == []


async def test_a_signature_may_have_a_queue_bound_of_its_own() -> None:
    other = replace(DOUBLE, name="other")
    front = Merging(ServingOptions(signatures={"other": BatchOverrides(max_queue_size=1)}), max_queue_size=2)
    first, second = (replace(MODEL, signatures={signature.name: signature}) for signature in (DOUBLE, other))
    running = front.ask(0)
    await front.settle()
    waiting = [front.ask(1, model=first), front.ask(2, model=first), front.ask(3, model=second)]
    await front.settle()
    assert front.batcher.waiting() == {"m": 3}
    for model, whom in ((second, "1 requests wait for signature 'other'"), (first, "2 requests wait for model 'm'")):
        with pytest.raises(GatewayError, match=whom) as refused:
            await front.ask(4, model=model)
        assert refused.value.kind is ErrorKind.OVERLOADED
    front.let(9)
    assert await asyncio.gather(running, *waiting) == [[0], [2], [4], [6]]
    assert front.batcher.waiting() == {}


@pytest.mark.parametrize("budget", [0, 2, 100])
async def test_a_failing_batch_costs_its_requests_one_run_and_what_the_budget_has(budget: int) -> None:
    front = Merging()
    for _ in range(5 * budget):
        front.budget.add_run()
    running = front.ask(0)
    await front.settle()
    asked = [front.ask(-1.0 - value) for value in range(32)]
    await front.settle()
    front.let(200)
    outcomes = await asyncio.gather(running, *asked, return_exceptions=True)
    assert [str(error) for error in outcomes[1:]] == [f"below zero: {-1 - value}" for value in range(32)]
    runs = front.backend.runs[1:]
    assert sum(len(run) == 1 for run in runs) == 32
    assert sum(len(run) > 1 for run in runs) <= 1 + 2 * budget + 7  # the runs themselves add to the budget


async def test_a_queue_of_its_own_takes_no_place_of_the_others() -> None:
    other = replace(DOUBLE, name="other")
    front = Merging(ServingOptions(signatures={"other": BatchOverrides(max_queue_size=50)}), max_queue_size=1)
    first, second = (replace(MODEL, signatures={signature.name: signature}) for signature in (DOUBLE, other))
    running = front.ask(0)
    await front.settle()
    waiting = [front.ask(value, model=second) for value in range(5)]
    await front.settle()
    waiting.append(front.ask(9, model=first))
    await front.settle()
    assert front.batcher.waiting() == {"m": 6}
    front.let(9)
    assert len(await asyncio.gather(running, *waiting)) == 7


def test_sizes_are_read() -> None:
    assert parse_batch_sizes("1, 8,32") == (1, 8, 32)
    assert parse_batch_sizes(" ") == ()


@pytest.mark.parametrize(
    "text", ["0", "8,1", "8,8", "-1", "a", "1,,2", "1.5", "\u0661", ",".join(map(str, range(1, 70)))]
)
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="ascending"):
        parse_batch_sizes(text)


def test_dtypes_of_filled_rows_stay() -> None:
    rows = _filled(np.array([[b"a"], [b"bc"]], object), 4)
    assert rows.tolist() == [[b"a"], [b"bc"], [b"bc"], [b"bc"]]
