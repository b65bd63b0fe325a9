"""Series of several features: the two shapes they may come in, and what does not fit."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from service.core.bounds import InputBounds
from service.core.call import Call
from service.core.catalog import Catalog
from service.core.deadline import Deadline
from service.core.engine import Engine
from service.core.model_version import ModelVersion, State
from service.core.tasks import Forecaster
from service.core.tensors import Signature, Tensor, TensorSpec
from service.core.visibility import Models
from service.errors import GatewayError
from service.protocols.native.forecast import SeriesForecaster
from service.schemas import ForecastRequest
from service.validation import validated
from tests.fakes import FakeBackend, batcher

TASK = Forecaster(window=2, features=3, rank=3, horizon=1, quantile_levels=())
SIGNATURE = Signature("serving_default", "", {"history": TensorSpec("float32", (None, 2, 3))}, {})


class Recording(FakeBackend):
    """Keeps the history that it was given, and forecasts nothing."""

    history: Tensor

    async def run(
        self, version: ModelVersion, signature: Signature, inputs: Mapping[str, Tensor], deadline: Deadline
    ) -> Mapping[str, Tensor]:
        self.history = inputs["history"]
        rows = len(self.history)
        return {"forecast": np.zeros((rows, 1)), "quantiles": np.zeros((rows, 1, 0))}


async def history_of(series: list[Any]) -> Any:
    catalog, backend = Catalog(), Recording()
    catalog.announce([ModelVersion("triples", 1, State.AVAILABLE, {"serving_default": SIGNATURE}, TASK)])
    forecaster = SeriesForecaster(
        Engine(models=Models(catalog), batcher=batcher(backend), bounds=InputBounds(max_request_rows=9))
    )
    request = validated(ForecastRequest, {"model": "triples", "series": series})
    answer = await forecaster.forecast(request, Call("rest", "method", "id", Deadline.after(5)))
    assert len(answer.forecasts) == len(series)
    return backend.history.tolist()


async def test_the_newest_steps_are_looked_at() -> None:
    assert await history_of([[[1, 2, 3], [4, 5, 6], [7, 8, 9]]]) == [[[4, 5, 6], [7, 8, 9]]]


@pytest.mark.parametrize(
    ("series", "words"),
    [
        # Whole steps only by chance: most likely one feature of three.
        ([1, 2, 3, 4, 5, 6], r"expected steps of 3 values, got values of shape \[6\]"),
        ([1, 2, 3, 4], r"series\[0\]: expected steps of 3 values, got values of shape \[4\]"),
        ([[1, 2], [3, 4]], r"expected steps of 3 values, got values of shape \[2, 2\]"),
        ([[[1, 2, 3]]], r"expected steps of 3 values, got values of shape \[1, 1, 3\]"),
        ([[1, 2, 3]], r"expected at least 2 steps, the model's window, got 1 steps"),
    ],
)
async def test_others_are_refused(series: Any, words: str) -> None:
    with pytest.raises(GatewayError, match=words):
        await history_of([series])
