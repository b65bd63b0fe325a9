"""What was under way when the process that runs the models ended is run once more, each request by itself."""

import asyncio
from collections.abc import Mapping

import pytest

from service.core.batch_policy import BatchMode, BatchOverrides, ServingOptions
from service.core.catalog import Catalog
from service.core.deadline import Deadline
from service.core.model_version import ModelVersion
from service.core.ports import RepeatingBackend
from service.core.tensors import Signature, Tensor
from service.errors import ErrorKind, GatewayError, RunEndedError
from tests.batching import Gated, Merging

FATAL = 13


class Ending(Gated):
    """Ends with each run that has the fatal number in it."""

    def __init__(self) -> None:
        super().__init__()
        self.repeated: list[list[float]] = []

    async def start(self, catalog: Catalog) -> None: ...

    async def close(self) -> None: ...

    async def run(
        self, version: ModelVersion, signature: Signature, inputs: Mapping[str, Tensor], deadline: Deadline
    ) -> dict[str, Tensor]:
        outputs = await super().run(version, signature, inputs, deadline)
        if FATAL in inputs["x"]:
            raise RunEndedError("it has ended")
        return outputs

    async def repeat(
        self, version: ModelVersion, signature: Signature, inputs: Mapping[str, Tensor], deadline: Deadline
    ) -> dict[str, Tensor]:
        self.repeated.append(inputs["x"][:, 0].tolist())
        if FATAL in inputs["x"]:
            raise GatewayError(ErrorKind.BACKEND_FAILED, "it has ended again")
        return {"y": inputs["x"] * 2}


def merging(options: ServingOptions | None = None) -> tuple[Merging, Ending]:
    front = Merging(*[] if options is None else [options])
    backend = Ending()
    front.batcher._merged._backend = front.backend = backend
    assert isinstance(backend, RepeatingBackend)
    return front, backend


@pytest.mark.parametrize("mode", [BatchMode.AUTO, BatchMode.OFF])
async def test_a_request_is_repeated_once_and_no_more(mode: BatchMode) -> None:
    front, backend = merging(ServingOptions(batching=BatchOverrides(mode=mode)))
    front.let(9)
    with pytest.raises(GatewayError, match="it has ended again"):
        await front.ask(FATAL)
    assert (backend.runs, backend.repeated) == ([[FATAL]], [[FATAL]])
    assert await front.ask(1) == [2]


async def test_the_others_of_a_batch_have_their_answers_whatever_comes_of_the_fatal_one() -> None:
    front, backend = merging()
    asked = [front.ask(value) for value in (0, 1, FATAL, 2, 3)]
    await front.settle()
    front.let(9)
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(outcomes.pop(2), GatewayError)
    assert outcomes == [[0], [2], [4], [6]]
    assert backend.runs == [[0], [1, FATAL, 2, 3]]
    assert backend.repeated == [[1], [FATAL], [2], [3]]


async def test_runs_are_filled_up_when_they_are_repeated_too() -> None:
    front, backend = merging(ServingOptions(batching=BatchOverrides(allowed_batch_sizes=(2, 4))))
    front.let(9)
    with pytest.raises(GatewayError, match="it has ended again"):
        await front.ask(FATAL)
    assert backend.repeated == [[FATAL, FATAL]]


async def test_who_has_gone_meanwhile_is_not_run_again() -> None:
    front, backend = merging()
    asked = [front.ask(value) for value in (0, 1, FATAL, 2)]
    await front.settle()
    front.let(1)
    await front.settle()
    asked[1].cancel()
    await front.settle()
    front.let(9)
    await asyncio.gather(*asked, return_exceptions=True)
    assert backend.repeated == [[FATAL], [2]]
