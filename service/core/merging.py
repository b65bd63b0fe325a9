"""One run for several requests: inputs are concatenated, outputs split, and failures traced to the request at fault."""

import asyncio
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from service.core.catalog import ModelVersion
from service.core.deadline import Deadline
from service.core.ports import Backend
from service.core.request import InferenceRequest
from service.core.tensors import Signature, Tensor
from service.errors import ErrorKind, GatewayError

_BLAME = frozenset({ErrorKind.INVALID_INPUT, ErrorKind.BACKEND_FAILED})
"""Failures that one request of a batch may have caused; the others are to have their answers."""

Outputs = Mapping[str, Tensor]


@dataclass(slots=True)
class QueuedRequest:
    """A request that waits for its answer.

    Attributes:
        deadline: Of the call.
        began: When its run began, by the performance counter; 0 until then.
    """

    request: InferenceRequest
    deadline: Deadline
    answer: "asyncio.Future[Outputs]"
    began: float = 0.0

    @property
    def wanted(self) -> bool:
        """Whether anybody still waits for it."""
        return not self.answer.done()


class _NotByRowsError(Exception):
    """The answer to merged requests does not have a row for each of theirs."""


class MergedRuns:
    """Runs requests together.

    Args:
        backend: Runs them.
        observe: Takes the version, the rows and the requests of each run.
    """

    def __init__(self, *, backend: Backend, observe: Callable[[ModelVersion, int, int], None]) -> None:
        self._backend = backend
        self._observe = observe
        self._disabled: set[Hashable] = set()

    def can_merge(self, version: ModelVersion, signature: Signature) -> bool:
        """Returns whether requests can be merged, and split: the rows of all tensors are independent of each other.

        Models for which that turned out not to hold are remembered.
        """
        if not signature.batchable or signature.defaults or signature.name in version.unbatched:
            return False
        return not self._disabled or signature_key(version, signature) not in self._disabled

    def disable_batching(self, version: ModelVersion, signature: Signature) -> None:
        """Remembers that the model does not work row by row, whatever its signature says."""
        self._disabled.add(signature_key(version, signature))

    async def run(self, batch: list[QueuedRequest]) -> Iterable[tuple[QueuedRequest, Outputs]]:
        """Runs requests together; where one may be to blame for a failure, in halves.

        Returns:
            Those that have an answer, each with it; the others have been told why they have none.
        """
        try:
            return zip(batch, await self._run_merged(batch), strict=True)
        except _NotByRowsError:
            # Its signature says otherwise. The rows cannot be assigned to requests, which are run one by one, once.
            self.disable_batching(batch[0].request.version, batch[0].request.signature)
            return [pair for queued in batch if queued.wanted for pair in await self.run([queued])]
        except asyncio.CancelledError:
            for queued in batch:
                queued.answer.cancel()
            raise
        except Exception as error:
            return await self._run_apart(batch, error)

    async def _run_apart(self, batch: list[QueuedRequest], error: Exception) -> Iterable[tuple[QueuedRequest, Outputs]]:
        if len(batch) > 1 and (not isinstance(error, GatewayError) or error.kind in _BLAME):
            middle = len(batch) // 2
            answered: list[tuple[QueuedRequest, Outputs]] = []
            for half in (batch[:middle], batch[middle:]):
                if wanted := [queued for queued in half if queued.wanted]:
                    answered += await self.run(wanted)
            return answered
        for queued in batch:
            if queued.wanted:
                queued.answer.set_exception(error)
        return ()

    async def _run_merged(self, batch: list[QueuedRequest]) -> Sequence[Outputs]:
        first = batch[0].request
        rows = sum(queued.request.rows for queued in batch)
        self._observe(first.version, rows, len(batch))
        if len(batch) == 1:
            return [await self._backend.run(first.version, first.signature, first.inputs, batch[0].deadline)]
        inputs = {name: np.concatenate([queued.request.inputs[name] for queued in batch]) for name in first.inputs}
        latest = max((queued.deadline for queued in batch), key=lambda deadline: deadline.at)
        outputs = await self._backend.run(first.version, first.signature, inputs, latest)
        if not has_row_for_each(outputs, rows):
            raise _NotByRowsError
        answers = []
        start = 0
        for queued in batch:
            end = start + queued.request.rows
            answers.append({name: tensor[start:end] for name, tensor in outputs.items()})
            start = end
        return answers


def has_row_for_each(outputs: Outputs, rows: int) -> bool:
    """Returns whether every output has a row for each row of the inputs."""
    return all(tensor.ndim > 0 and len(tensor) == rows for tensor in outputs.values())


def signature_key(version: ModelVersion, signature: Signature) -> tuple[str, int, int, str]:
    """Returns a key for a signature that differs even where a version left and was loaded again."""
    return version.name, version.version, id(version.handle), signature.name
