"""Natural batching: requests that wait while the backend is busy are merged; an idle backend is never made to wait.

There is no timer. A request that finds the backend idle runs at once and alone. While a run is under way, others wait
in the queue of their model, version, signature and inner shapes; when it ends, the queue whose turn it is comes next,
with as many of its requests as fit in a batch, and then goes to the end of the line. One model has one run at a
time, and leaves the other places to other models: on one machine a second run would only take the cores from the first.
Where clients are told apart, they take turns, between the queues and within each.
"""

import asyncio
import time
from collections.abc import Callable, Hashable, Mapping
from contextvars import Context
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from service.core.batch_policy import BatchPolicies, BatchPolicy
from service.core.call import Call
from service.core.fair_queue import FairQueue, RoundRobin
from service.core.merging import MergedRuns, Outputs, QueuedRequest, has_row_for_each, signature_key
from service.core.model_version import ModelVersion
from service.core.ports import Backend
from service.core.queue_bounds import QueueBounds
from service.core.request import InferenceRequest
from service.core.retry_budget import RetryBudget
from service.core.tensors import Signature


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How many runs there may be at a time, and who may wait, named as the settings that they come from.

    Attributes:
        max_batches_in_flight: Runs under way at a time, on each replica of the backend.
        max_batches_per_model: The same, for requests that could have been merged with each other.
        max_client_share: Share of a queue's places that one client may have, where the server tells clients apart.
    """

    max_batches_in_flight: int = 2
    max_batches_per_model: int = 1
    max_client_share: float = 1.0


@dataclass(slots=True)
class _Queue:
    """The requests that can be merged with each other, or one that is not merged.

    Attributes:
        merges: Whether they are merged, and runs are filled up.
        waiting: Those that wait; made when the first does, as most requests find an idle backend.
    """

    version: ModelVersion
    policy: BatchPolicy
    merges: bool
    waiting: FairQueue | None = None
    running: int = 0

    @property
    def filling(self) -> BatchPolicy | None:
        """Says to how many rows runs are filled up; ``None`` where they are run as they are."""
        return self.policy if self.merges else None


class Batcher:
    """Runs requests on the backend, merged where they wait.

    Args:
        backend: Runs them.
        limits: How many runs there may be at a time.
        policies: How each signature's requests are merged.
        budget: Bounds how many runs are repeated.
        observe: Takes the name and version of the model, the rows and the requests of each run.
        replicas: Returns how many replicas of the backend share the runs of a version, or all runs.
    """

    def __init__(
        self,
        *,
        backend: Backend,
        limits: BatchLimits,
        policies: BatchPolicies,
        budget: RetryBudget,
        observe: Callable[[ModelVersion, int, int], None],
        replicas: Callable[[ModelVersion | None], int] = lambda _: 1,
    ) -> None:
        self._merged = MergedRuns(backend=backend, observe=observe, budget=budget)
        self._limits = limits
        self._policies = policies
        self._replicas = replicas
        self._queues: dict[Hashable, _Queue] = {}
        self._turns = RoundRobin()
        self._running = 0
        self._bounds = QueueBounds(limits.max_client_share)
        self._tasks: set[asyncio.Task[None]] = set()

    def waiting(self) -> Mapping[str, int]:
        """Returns how many requests wait for each model."""
        return self._bounds.waiting()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is run, and nothing waits."""
        return not self._running and not any(self._bounds.waiting().values())

    def reason_against(self, version: ModelVersion, signature: Signature) -> str:
        """Returns why requests of a signature are neither merged nor split; empty where they are."""
        policy = self._policies.of(version.name, signature.name)
        return self._merged.reason_against(version, signature, policy)

    async def run(self, request: InferenceRequest, call: Call) -> Outputs:
        """Runs a request; notes on the call how long it waited, and how long it ran.

        Cancelling it takes it out of its queue; a run that has begun is not stopped for others' sake.

        Args:
            request: What to run.
            call: The call that this is part of.

        Returns:
            All outputs by name.

        Raises:
            GatewayError: What the backend raises for this request; OVERLOADED when too many wait for the model.
        """
        version, signature, inputs, rows = request.version, request.signature, request.inputs, request.rows
        policy = self._policies.of(version.name, signature.name)
        size = policy.rows
        complete = len(inputs) == len(signature.inputs)  # else the backend fills in, or refuses, what is left out
        if request.alone or not complete or self._merged.reason_against(version, signature, policy):
            return await self._next(request, call, object(), _Queue(version, policy, merges=False))
        key = (*signature_key(version, signature), *(inputs[name].shape[1:] for name in signature.inputs))
        if rows <= size:
            return await self._next(request, call, key, self._queue(key, version, policy))
        parts: list[Outputs] = []
        for start in range(0, rows, size):
            part = {name: tensor[start : start + size] for name, tensor in inputs.items()}
            length = min(size, rows - start)
            queue = self._queue(key, version, policy)
            outputs = await self._next(replace(request, inputs=part, rows=length), call, key, queue)
            if not has_row_for_each(outputs, length) or (parts and not _fit(parts[0], outputs)):
                self._merged.disable_batching(version, signature)
                return await self._next(request, call, object(), _Queue(version, policy, merges=False))
            parts.append(outputs)
        return {name: np.concatenate([part[name] for part in parts]) for name in signature.outputs}

    def _queue(self, key: Hashable, version: ModelVersion, policy: BatchPolicy) -> _Queue:
        queue = self._queues.get(key)
        if queue is None:
            return _Queue(version, policy, merges=True)
        queue.policy = policy
        return queue

    async def _next(self, request: InferenceRequest, call: Call, key: Hashable, queue: _Queue) -> Outputs:
        """Runs at once where there is a place, else when it is this request's turn."""
        arrived = time.perf_counter()
        if not queue.waiting and self._has_place(queue):
            self._begin(key, queue)
            try:
                return await self._merged.run_alone(request, call.deadline, queue.filling, call.trace)
            finally:
                call.took("queue", arrived, arrived)  # it is a phase of every request, for those who add them up
                call.spent("execute", arrived)
                self._end(key, queue)
        counted = self._bounds.enter(request, queue.policy, call.client)
        answer: asyncio.Future[Outputs] = asyncio.get_running_loop().create_future()
        queued = QueuedRequest(request, call.deadline, answer, counted, call.client, call.trace)
        return await self._wait(queued, key, queue, arrived, call)

    async def _wait(self, queued: QueuedRequest, key: Hashable, queue: _Queue, arrived: float, call: Call) -> Outputs:
        waiting = queue.waiting
        if waiting is None:
            waiting = queue.waiting = FairQueue()
        if not waiting.has(queued.client):
            self._queues[key] = queue
            self._turns.add(queued.client, key)
        waiting.append(queued)
        try:
            return await queued.answer
        finally:
            now = time.perf_counter()
            began = queued.began or now
            call.took("queue", arrived, began)
            call.took("execute", began, now)
            if not queued.began:
                self._give_up(queued, key, queue, waiting)
            del queued  # it refers to its error, whose traceback refers to this frame

    def _give_up(self, queued: QueuedRequest, key: Hashable, queue: _Queue, waiting: FairQueue) -> None:
        """Takes a request out of its queue: nothing of it stays, however long the run takes that is under way."""
        self._bounds.leave(queued.counted, queued.client)
        try:
            waiting.remove(queued)
        except ValueError:
            return  # it was passed over when its turn came
        if not waiting.has(queued.client):
            self._turns.discard(queued.client, key)
            if not waiting and not queue.running:
                self._queues.pop(key, None)

    def _has_place(self, queue: _Queue) -> bool:
        limits = self._limits
        return self._running < limits.max_batches_in_flight * self._replicas(
            None
        ) and queue.running < limits.max_batches_per_model * self._replicas(queue.version)

    def _begin(self, key: Hashable, queue: _Queue) -> None:
        self._queues[key] = queue
        queue.running += 1
        self._running += 1

    def _end(self, key: Hashable, queue: _Queue) -> None:
        """Gives the place of a run to whoever waits."""
        queue.running -= 1
        self._running -= 1
        if not queue.waiting and not queue.running:
            self._queues.pop(key, None)
        while self._running < self._limits.max_batches_in_flight * self._replicas(None):
            waiting = self._turns.next(lambda key: self._has_place(self._queues[key]))
            if waiting is None:
                return
            self._serve(waiting)

    def _serve(self, key: Hashable) -> None:
        """Begins a run for the requests whose turn it is in a queue."""
        queue = self._queues[key]
        batch = self._taken(key, queue)
        if not batch:
            if not queue.waiting and not queue.running:
                self._queues.pop(key, None)
            return
        self._begin(key, queue)
        # In a context of its own: what it logs is not about the request that happened to make room for it.
        task = asyncio.create_task(self._run_batch(key, queue, batch), context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        given_up = partial(_end_if_unwanted, task, batch)
        for queued in batch:
            queued.answer.add_done_callback(given_up)

    def _taken(self, key: Hashable, queue: _Queue) -> list[QueuedRequest]:
        """Takes as many requests as fit in a batch; those that nobody waits for any more are skipped."""
        batch: list[QueuedRequest] = []
        rows = 0
        began = time.perf_counter()
        waiting = queue.waiting
        while waiting:
            queued = waiting.first()
            if queued.wanted:
                if batch and rows + queued.request.rows > queue.policy.rows:
                    break
                queued.began = began
                self._bounds.leave(queued.counted, queued.client)
                batch.append(queued)
                rows += queued.request.rows
            waiting.popleft()
            if not waiting.has(queued.client):
                self._turns.discard(queued.client, key)
        return batch

    async def _run_batch(self, key: Hashable, queue: _Queue, batch: list[QueuedRequest]) -> None:
        try:
            answered = await self._merged.run(batch, queue.filling)
        except BaseException:
            for queued in batch:
                queued.answer.cancel()
            raise
        finally:
            self._end(key, queue)  # the next run begins before these answers are encoded
        for queued, outputs in answered:
            if queued.wanted:
                queued.answer.set_result(outputs)


def _end_if_unwanted(task: "asyncio.Task[None]", batch: list[QueuedRequest], answer: "asyncio.Future[Outputs]") -> None:
    """Ends a run once nobody waits for it any more, and gives its place to others.

    Called for each answer of the batch, which is why the others are looked at only where this one was given up.
    """
    if answer.cancelled() and not any(queued.wanted for queued in batch):
        task.cancel()


def _fit(one: Outputs, other: Outputs) -> bool:
    """Returns whether the rows of both can stand in one tensor."""
    return all(one[name].shape[1:] == other[name].shape[1:] for name in one)
