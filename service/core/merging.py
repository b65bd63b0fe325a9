"""One run for several requests: inputs are concatenated, outputs split, and failures traced to the request at fault."""

import asyncio
import logging
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np

from service.core.batch_policy import BatchPolicy
from service.core.deadline import Deadline
from service.core.model_version import ModelVersion
from service.core.ports import Backend, RepeatingBackend
from service.core.queue_bounds import Waiting
from service.core.request import InferenceRequest
from service.core.retry_budget import RetryBudget
from service.core.spans import Trace, running
from service.core.tensors import Signature, Tensor
from service.errors import ErrorKind, GatewayError, RunEndedError

logger = logging.getLogger(__name__)

_UNTRACED = nullcontext()
_DOES_NOT_SPLIT = "an answer had no row for each row of its request"
_BLAME = frozenset({ErrorKind.INVALID_INPUT, ErrorKind.BACKEND_FAILED})
"""Failures that one request of a batch may have caused; the others still get their answers."""

Outputs = Mapping[str, Tensor]


@dataclass(slots=True, eq=False)
class QueuedRequest:
    """A request that waits for its answer.

    Attributes:
        deadline: The call's.
        counted: Where it is counted while it waits.
        client: Who sends it, where the server tells clients apart; else empty.
        trace: The call's, where it is traced.
        began: When its run began, by the performance counter; 0 until then.
    """

    request: InferenceRequest
    deadline: Deadline
    answer: "asyncio.Future[Outputs]"
    counted: Waiting
    client: str = ""
    trace: Trace | None = None
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
        budget: Bounds runs beyond those that the requests would have cost by themselves.
    """

    def __init__(
        self, *, backend: Backend, observe: Callable[[ModelVersion, int, int], None], budget: RetryBudget
    ) -> None:
        self._backend = backend
        self._observe = observe
        self._budget = budget
        self._disabled: set[Hashable] = set()

    def reason_against(self, version: ModelVersion, signature: Signature, policy: BatchPolicy) -> str:
        """Returns why requests are neither merged nor split; empty where they are.

        Models whose answers turned out not to split are remembered.
        """
        if not signature.batchable or signature.defaults:
            return version.unbatched.get(signature.name) or "its first dimensions are not free"
        if reason := policy.reason_against(version.unbatched.get(signature.name, "")):
            return reason
        if self._disabled and signature_key(version, signature) in self._disabled:
            return _DOES_NOT_SPLIT
        return ""

    def disable_batching(self, version: ModelVersion, signature: Signature) -> None:
        """Remembers that the model does not work row by row, whatever its signature says."""
        key = signature_key(version, signature)
        if key in self._disabled:
            return
        self._disabled.add(key)
        logger.warning(
            "requests for the signature %s of version %d of model %s are no longer merged or split: %s",
            signature.name,
            version.version,
            version.name,
            _DOES_NOT_SPLIT,
        )

    async def run_alone(
        self, request: InferenceRequest, deadline: Deadline, policy: BatchPolicy | None, trace: Trace | None = None
    ) -> Outputs:
        """Runs one request; once more where it may have been the end of the process that ran it.

        Args:
            request: What to run.
            deadline: Its call's.
            policy: To how many rows it is filled up; ``None`` for one that is run as it is.
            trace: Its call's, where it is traced.
        """
        try:
            return await self._run_one(request, deadline, policy, trace)
        except RunEndedError:
            return await self._run_one(request, deadline, policy, trace, again=True)

    async def _run_one(
        self,
        request: InferenceRequest,
        deadline: Deadline,
        policy: BatchPolicy | None,
        trace: Trace | None,
        *,
        again: bool = False,
    ) -> Outputs:
        self._observe(request.version, request.rows, 1)
        self._budget.add_run()
        with _UNTRACED if trace is None else running(trace.run(request.version, request.rows, [trace])):
            if policy is not None and policy.allowed_batch_sizes:
                return await self._run_filled(request, request.inputs, request.rows, deadline, policy, again=again)
            return await self._run(request, request.inputs, deadline, again=again)

    async def run(
        self, batch: list[QueuedRequest], policy: BatchPolicy | None
    ) -> Iterable[tuple[QueuedRequest, Outputs]]:
        """Runs requests together.

        Where one may be to blame for a failure, they are run in halves while the budget of retries lasts, and then one
        by one: beyond what its requests cost by themselves, a batch costs one run and what it takes from the budget.

        Returns:
            Those that have an answer, each with it; the others have been told why they have none.
        """
        try:
            return zip(batch, await self._run_merged(batch, policy), strict=True)
        except _NotByRowsError:
            # Its signature says otherwise. The rows cannot be assigned to requests, which are run one by one, once.
            self.disable_batching(batch[0].request.version, batch[0].request.signature)
            return await self._run_in(_singles(batch), policy)
        except RunEndedError:
            return await self._run_again(batch, policy)
        except asyncio.CancelledError:
            for queued in batch:
                queued.answer.cancel()
            raise
        except Exception as error:
            return await self._run_apart(batch, error, policy)

    async def _run_again(
        self, batch: list[QueuedRequest], policy: BatchPolicy | None
    ) -> Iterable[tuple[QueuedRequest, Outputs]]:
        """Runs one by one those whose run may have been the end of the process; each has its answer at once."""
        for queued in batch:
            if queued.wanted:
                try:
                    outputs = await self._run_one(queued.request, queued.deadline, policy, queued.trace, again=True)
                except Exception as error:
                    if queued.wanted:
                        queued.answer.set_exception(error)
                else:
                    if queued.wanted:
                        queued.answer.set_result(outputs)
        return ()

    async def _run_apart(
        self, batch: list[QueuedRequest], error: Exception, policy: BatchPolicy | None
    ) -> Iterable[tuple[QueuedRequest, Outputs]]:
        if len(batch) > 1 and (not isinstance(error, GatewayError) or error.kind in _BLAME):
            middle = len(batch) // 2
            halves = [batch[:middle], batch[middle:]] if self._budget.take_retry() else _singles(batch)
            return await self._run_in(halves, policy)
        for queued in batch:
            if queued.wanted:
                queued.answer.set_exception(error)
        return ()

    async def _run_in(
        self, parts: Iterable[list[QueuedRequest]], policy: BatchPolicy | None
    ) -> list[tuple[QueuedRequest, Outputs]]:
        answered: list[tuple[QueuedRequest, Outputs]] = []
        for part in parts:
            if wanted := [queued for queued in part if queued.wanted]:
                answered += await self.run(wanted, policy)
        return answered

    async def _run_merged(self, batch: list[QueuedRequest], policy: BatchPolicy | None) -> Sequence[Outputs]:
        first = batch[0].request
        if len(batch) == 1:
            return [await self.run_alone(first, batch[0].deadline, policy, batch[0].trace)]
        rows = sum(queued.request.rows for queued in batch)
        self._observe(first.version, rows, len(batch))
        self._budget.add_run()
        inputs = {name: np.concatenate([queued.request.inputs[name] for queued in batch]) for name in first.inputs}
        latest = max((queued.deadline for queued in batch), key=lambda deadline: deadline.at)
        traces = [queued.trace for queued in batch if queued.trace is not None]
        with running(traces[0].run(first.version, rows, traces)) if traces else _UNTRACED:
            if policy is not None and policy.allowed_batch_sizes:
                outputs = await self._run_filled(first, inputs, rows, latest, policy)
            else:
                outputs = await self._run(first, inputs, latest)
        if not has_row_for_each(outputs, rows):
            raise _NotByRowsError
        answers = []
        start = 0
        for queued in batch:
            end = start + queued.request.rows
            answers.append({name: tensor[start:end] for name, tensor in outputs.items()})
            start = end
        return answers

    async def _run_filled(
        self,
        request: InferenceRequest,
        inputs: Mapping[str, Tensor],
        rows: int,
        deadline: Deadline,
        policy: BatchPolicy,
        *,
        again: bool = False,
    ) -> Outputs:
        """Runs inputs of so many rows, filled up to a number that is allowed."""
        filled = policy.filled(rows)
        if rows not in {0, filled}:
            more = {name: _filled(tensor, filled) for name, tensor in inputs.items()}
            outputs = await self._run(request, more, deadline, again=again)
            if has_row_for_each(outputs, filled):
                return {name: tensor[:rows] for name, tensor in outputs.items()}
            self.disable_batching(request.version, request.signature)
        return await self._run(request, inputs, deadline, again=again)

    async def _run(
        self, request: InferenceRequest, inputs: Mapping[str, Tensor], deadline: Deadline, *, again: bool = False
    ) -> Outputs:
        try:
            if again and isinstance(self._backend, RepeatingBackend):
                return await self._backend.repeat(request.version, request.signature, inputs, deadline)
            return await self._backend.run(request.version, request.signature, inputs, deadline)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Nobody cancelled this: the backend gave up the run, which is no reason for a client to be let down.
            raise GatewayError(ErrorKind.BACKEND_FAILED, "the backend gave up the run") from error


def _filled(tensor: Tensor, rows: int) -> Tensor:
    return np.concatenate([tensor, np.repeat(tensor[-1:], rows - len(tensor), axis=0)])


def _singles(batch: list[QueuedRequest]) -> list[list[QueuedRequest]]:
    return [[queued] for queued in batch]


def has_row_for_each(outputs: Outputs, rows: int) -> bool:
    """Returns whether every output has a row for each row of the inputs."""
    return all(tensor.ndim > 0 and len(tensor) == rows for tensor in outputs.values())


def signature_key(version: ModelVersion, signature: Signature) -> tuple[str, int, int, str]:
    """Returns a key for a signature that differs even where a version left and was loaded again."""
    return version.name, version.version, version.serial, signature.name
