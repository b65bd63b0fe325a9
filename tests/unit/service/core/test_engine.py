from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from service.core.bounds import InputBounds
from service.core.call import Call
from service.core.catalog import Catalog
from service.core.deadline import Deadline
from service.core.engine import Engine
from service.core.model_version import ModelRef
from service.core.visibility import Models
from service.errors import ErrorKind, GatewayError
from tests.fakes import FakeBackend, batcher

if TYPE_CHECKING:
    from service.core.tensors import Tensor


async def started(max_request_rows: int = 8) -> tuple[Engine, FakeBackend, Call]:
    catalog, backend = Catalog(), FakeBackend()
    await backend.start(catalog)
    engine = Engine(
        models=Models(catalog), batcher=batcher(backend), bounds=InputBounds(max_request_rows=max_request_rows)
    )
    return engine, backend, Call("rest", "method", "id", Deadline.after(5))


async def test_a_request_is_checked_run_and_noted_on_its_call() -> None:
    engine, _, call = await started()
    version = engine.resolve(ModelRef("double"), call)
    outputs = await engine.run(version, "serving_default", {"x": np.ones((2, 3), np.float32)}, call)
    np.testing.assert_array_equal(outputs["y"], np.full((2, 3), 2, np.float32))
    assert (call.model, call.version, call.rows) == ("double", 1, 1)
    assert set(call.phases) == {"validate", "queue", "execute"}


async def test_a_signature_that_cannot_be_served_says_why() -> None:
    engine, _, call = await started()
    version = replace(engine.resolve(ModelRef("double"), call), unservable={"odd": "its input x is no dense tensor"})
    with pytest.raises(GatewayError) as caught:
        engine.signature(version, "odd")
    assert caught.value.kind is ErrorKind.SIGNATURE_NOT_FOUND
    assert caught.value.message.endswith("got 'odd', which cannot be served: its input x is no dense tensor")


async def test_what_is_wrong_never_reaches_the_backend() -> None:
    engine, backend, call = await started(max_request_rows=4)
    version = engine.resolve(ModelRef("shades"), call)
    good = {"images": np.zeros((4, 4, 4, 1), np.float32)}
    cases: dict[ErrorKind, tuple[str, dict[str, Tensor]]] = {
        ErrorKind.SIGNATURE_NOT_FOUND: ("nope", good),
        ErrorKind.INVALID_INPUT: ("serving_default", {"images": np.zeros((4, 4, 1))}),
        ErrorKind.TOO_LARGE: ("serving_default", {"images": np.zeros((5, 4, 4, 1), np.float32)}),
    }
    for kind, (signature, inputs) in cases.items():
        with pytest.raises(GatewayError) as caught:
            await engine.run(version, signature, inputs, call)
        assert caught.value.kind is kind
    assert backend.runs == 0
