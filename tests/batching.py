"""A batcher in front of a backend whose runs wait for their turn."""

import asyncio
from collections.abc import Mapping
from typing import Any

import numpy as np

from service.core.batch_policy import AS_THE_SERVER, BatchPolicies, BatchPolicy, ServingOptions
from service.core.batching import Batcher, BatchLimits
from service.core.call import Call
from service.core.deadline import Deadline
from service.core.model_version import ModelVersion, State
from service.core.request import InferenceRequest
from service.core.retry_budget import RetryBudget
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

    def __init__(self, options: ServingOptions = AS_THE_SERVER, **limits: Any) -> None:
        self.calls: list[Call] = []
        self.backend = Gated()
        self.seen: list[tuple[int, int]] = []
        runs = {name: limits.pop(name) for name in list(limits) if name.startswith(("max_batches", "max_client"))}
        self.batcher = Batcher(
            backend=self.backend,  # type: ignore[arg-type]  # all that a batcher asks of it
            limits=BatchLimits(**{"max_batches_in_flight": 1, **runs}),
            policies=BatchPolicies(BatchPolicy(**limits), lambda _: options),
            budget=(budget := RetryBudget(per_second=0, max_saved=100)),
            observe=lambda version, rows, requests: self.seen.append((rows, requests)),
        )
        self.budget = budget

    def ask(self, *values: float, model: ModelVersion = MODEL, width: int = 1, client: str = "") -> "asyncio.Task[Any]":
        x = np.repeat(np.array(values, np.float32)[:, np.newaxis], width, axis=1)
        call = Call("rest", "method", "id", Deadline.after(5), client=client)
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
