import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from service.core.model_version import ModelVersion
from service.core.tensors import Tensor
from service.errors import ErrorKind, GatewayError
from tests.batching import DOUBLE, MODEL, Merging


async def test_a_large_request_is_run_whole_where_the_model_does_not_give_a_row_for_each_row() -> None:
    front = Merging(max_batch_size=2)
    front.backend.merges_rows = True
    for runs in ([[1, 2], [1, 2, 3, 4, 5]], [[1, 2, 3, 4, 5]]):
        front.backend.runs.clear()
        asked = front.ask(1, 2, 3, 4, 5)
        front.let(len(runs))
        assert await asked == [1]
        assert front.backend.runs == runs


async def test_merged_requests_whose_answer_does_not_split_are_run_one_by_one_and_no_more_merged() -> None:
    front = Merging()
    front.backend.merges_rows = True
    for runs in ([[0], [1, 2, 3], [1], [2], [3]], [[0], [1], [2], [3]]):
        front.backend.runs.clear()
        asked = [front.ask(value) for value in range(4)]
        await front.settle()
        front.let(len(runs))
        answers = await asyncio.gather(*asked)
        assert [len(answer) for answer in answers] == [1] * 4
        assert front.backend.runs == runs


async def test_what_a_trial_found_not_to_work_row_by_row_is_neither_merged_nor_split() -> None:
    front = Merging(max_batch_size=2)
    model = replace(MODEL, unbatched={"serving_default": "it mixes rows"})
    asked = [front.ask(*values, model=model) for values in ([0], [1], [2, 3, 4], [5])]
    front.let(9)
    assert await asyncio.gather(*asked) == [[0], [2], [4, 6, 8], [10]]
    assert front.backend.runs == [[0], [1], [2, 3, 4], [5]]


@pytest.mark.parametrize("error", [ValueError("odd"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "odd")])
async def test_one_request_that_raises_anything_fails_alone(error: Exception) -> None:
    front = Merging()
    run = front.backend.run

    async def raising(*arguments: Any) -> dict[str, Tensor]:
        outputs = await run(*arguments)
        if 3 in arguments[2]["x"]:
            raise error
        return outputs

    front.backend.run = raising  # type: ignore[assignment,method-assign]
    asked = [front.ask(value) for value in range(6)]
    await front.settle()
    front.let(50)
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert outcomes == [[0], [2], [4], error, [8], [10]]


async def test_a_large_request_whose_parts_have_other_shapes_is_run_whole() -> None:
    front = Merging(max_batch_size=2)
    run = front.backend.run

    async def as_wide_as_the_first_number(*arguments: Any) -> dict[str, Tensor]:
        outputs = await run(*arguments)
        return {"y": np.repeat(outputs["y"], int(arguments[2]["x"][0, 0]), axis=1)}

    front.backend.run = as_wide_as_the_first_number  # type: ignore[assignment,method-assign]
    asked = front.ask(1, 2, 3)
    front.let(9)
    assert await asked == [2, 4, 6]
    assert front.backend.runs == [[1, 2], [3], [1, 2, 3]]


async def test_a_large_request_is_run_in_parts_and_put_together() -> None:
    front = Merging(max_batch_size=2)
    asked = front.ask(1, 2, 3, 4, 5)
    front.let(9)
    assert await asked == [2, 4, 6, 8, 10]
    assert front.backend.runs == [[1, 2], [3, 4], [5]]


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


async def test_a_version_that_is_loaded_again_is_judged_again() -> None:
    front = Merging()
    front.backend.merges_rows = True
    asked = [front.ask(value) for value in range(3)]
    await front.settle()
    front.let(9)
    await asyncio.gather(*asked)
    assert front.batcher.reason_against(MODEL, DOUBLE) == "an answer had no row for each row of its request"
    again = ModelVersion(MODEL.name, MODEL.version, MODEL.state, MODEL.signatures, handle=MODEL.handle)
    assert front.batcher.reason_against(again, DOUBLE) == ""
    assert front.batcher.reason_against(replace(MODEL, load_seconds=1.0), DOUBLE) != ""
