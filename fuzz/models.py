"""The models of `tests.judges`, and an engine that checks requests for them, in this process and without a server."""

import asyncio
from collections.abc import Coroutine, Mapping
from functools import cache
from typing import Any, TypeVar

import numpy as np

from fuzz.target import check
from service.core.bounds import InputBounds
from service.core.call import Call
from service.core.catalog import Catalog
from service.core.deadline import Deadline
from service.core.engine import Engine
from service.core.model_version import ModelRef, ModelVersion
from service.core.request import InferenceRequest
from service.core.tensors import Signature, Tensor
from service.core.visibility import Models
from tests.fakes import batcher
from tests.judges import JudgesBackend

BOUNDS = InputBounds(
    max_request_bytes=2**20,
    max_request_rows=64,
    max_tensor_elements=4096,
    max_json_depth=8,
    max_json_values=4096,
    max_name_length=64,
)
"""Low, so that inputs are beyond them as often as not."""

Result = TypeVar("Result")


@cache
def loop() -> asyncio.AbstractEventLoop:
    """Returns the event loop of this process."""
    return asyncio.new_event_loop()


def awaited(work: Coroutine[Any, Any, Result]) -> Result:
    """Returns what a coroutine does; most of them never wait, and need no loop for that."""
    return loop().run_until_complete(work)


@cache
def engine() -> Engine:
    """Returns an engine for these models."""
    backend = JudgesBackend()
    catalog = Catalog()
    awaited(backend.start(catalog))
    return Engine(models=Models(catalog), batcher=batcher(backend), bounds=BOUNDS)


def call() -> Call:
    """Returns a call that has all the time it needs."""
    return Call("rest", "fuzz", "id", Deadline.after(60))


def resolved(name: str) -> ModelVersion:
    """Returns the newest version of a model."""
    return engine().resolve(ModelRef(name), call())


def requested(
    version: ModelVersion, signature: Signature, inputs: Mapping[str, Tensor], wanted: tuple[str, ...] = ()
) -> InferenceRequest:
    """Returns the request that the inputs make, held against the signature once more.

    Raises:
        GatewayError: When they make none.
        FindingError: When a request came out that the signature does not take.
    """
    request = engine().request(version, signature, inputs, wanted, call=call())
    for name, tensor in request.inputs.items():
        spec = signature.inputs[name]
        check(tensor.dtype == spec.numpy_dtype, f"{name} is {tensor.dtype}, not {spec}")
        check(tensor.size <= BOUNDS.max_tensor_elements, f"{name} has {tensor.size} elements")
        if spec.shape is not None:
            fits = len(spec.shape) == tensor.ndim and all(
                size in {None, got} for size, got in zip(spec.shape, tensor.shape, strict=True)
            )
            check(fits, f"{name} has the shape {tensor.shape}, not {spec}")
    return request


def same(first: Tensor, second: Tensor) -> bool:
    """Returns whether two arrays have the same dtype, shape and elements, NaN being one of them."""
    if first.dtype != second.dtype or first.shape != second.shape:
        return False
    if first.dtype.kind == "O":
        return bool(first.tolist() == second.tolist())
    return np.ascontiguousarray(first).tobytes() == np.ascontiguousarray(second).tobytes()
