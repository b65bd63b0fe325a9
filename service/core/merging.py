"""One run for several requests: their rows put together, its rows taken apart, and a failure that only one deserves."""

import asyncio
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from service.core.call import Deadline
from service.core.catalog import ModelVersion
from service.core.ports import Backend
from service.core.tensors import Signature, Tensor
from service.errors import ErrorKind, GatewayError

_BLAME = frozenset({ErrorKind.INVALID_INPUT, ErrorKind.BACKEND_FAILED})
"""Failures that one request of a batch may have caused; the others are to have their answers."""

Outputs = Mapping[str, Tensor]


@dataclass(slots=True)
class Waiting:
    """A request that waits for its answer.

    Attributes:
        rows: The common first dimension of its inputs.
        deadline: Of the request.
        began: When its run began, by the performance counter; 0 until then.
    """

    version: ModelVersion
    signature: Signature
    inputs: Mapping[str, Tensor]
    rows: int
    deadline: Deadline
    answer: "asyncio.Future[Outputs]"
    began: float = 0.0

    @property
    def wanted(self) -> bool:
        """Whether anybody still waits for it."""
        return not self.answer.done()


class MergedRuns:
    """Runs requests together.

    Args:
        backend: Runs them.
        observe: Takes the version, the rows and the requests of each run.
    """

    def __init__(self, *, backend: Backend, observe: Callable[[ModelVersion, int, int], None]) -> None:
        self._backend = backend
        self._observe = observe
        self._kept_apart: set[Hashable] = set()

    def can_merge(self, version: ModelVersion, signature: Signature) -> bool:
        """Tells whether rows can be put together and taken apart: the first dimension of every tensor is free.

        A model of which that turned out not to be true is remembered.
        """
        apart = bool(self._kept_apart) and function_of(version, signature) in self._kept_apart
        return signature.by_rows and not signature.defaults and not apart

    def keep_apart(self, version: ModelVersion, signature: Signature) -> None:
        """Remembers that the model does not work row by row, whatever its signature says."""
        self._kept_apart.add(function_of(version, signature))

    async def answer(self, batch: list[Waiting]) -> None:
        """Runs requests together and answers each; where one may be to blame for a failure, in halves."""
        try:
            answers = await self._run_merged(batch)
        except asyncio.CancelledError:
            for request in batch:
                request.answer.cancel()
            raise
        except Exception as error:
            await self._answer_failed(batch, error)
            return
        for request, answer in zip(batch, answers, strict=True):
            if request.wanted:
                request.answer.set_result(answer)

    async def _answer_failed(self, batch: list[Waiting], error: Exception) -> None:
        if len(batch) > 1 and isinstance(error, GatewayError) and error.kind in _BLAME:
            middle = len(batch) // 2
            for half in (batch[:middle], batch[middle:]):
                if wanted := [request for request in half if request.wanted]:
                    await self.answer(wanted)
            return
        for request in batch:
            if request.wanted:
                request.answer.set_exception(error)

    async def _run_merged(self, batch: list[Waiting]) -> Sequence[Outputs]:
        first = batch[0]
        rows = sum(request.rows for request in batch)
        self._observe(first.version, rows, len(batch))
        if len(batch) == 1:
            return [await self._backend.run(first.version, first.signature, first.inputs, first.deadline)]
        inputs = {name: np.concatenate([request.inputs[name] for request in batch]) for name in first.inputs}
        latest = max((request.deadline for request in batch), key=lambda deadline: deadline.at)
        outputs = await self._backend.run(first.version, first.signature, inputs, latest)
        if not by_rows(outputs, rows):
            # Its signature says otherwise. Nobody's rows can be told apart.
            self.keep_apart(first.version, first.signature)
            raise GatewayError(ErrorKind.BACKEND_FAILED, "the model did not give a row for each row")
        answers = []
        start = 0
        for request in batch:
            end = start + request.rows
            answers.append({name: tensor[start:end] for name, tensor in outputs.items()})
            start = end
        return answers


def by_rows(outputs: Outputs, rows: int) -> bool:
    """Tells whether every output has a row for each row of the inputs."""
    return all(tensor.ndim > 0 and len(tensor) == rows for tensor in outputs.values())


def function_of(version: ModelVersion, signature: Signature) -> tuple[str, int, int, str]:
    """Returns what tells a signature from all others, of versions that are gone and came back too."""
    return version.name, version.version, id(version.handle), signature.name
