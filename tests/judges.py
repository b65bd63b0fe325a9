"""A backend in memory whose answers tell all of what was asked: the models of `tests.zoo`, and three more.

| model | signatures: inputs → outputs |
| --- | --- |
| ``judge`` | ``classify``: ``inputs`` string [?] → ``classes`` string [?, 2], ``scores`` float32 [?, 2] |
| | ``regress``: ``inputs`` → ``outputs`` float32 [?] |
| ``strict`` | ``serving_default``: ``x`` int32 [?] → ``y``, the same; refuses numbers below zero |
| ``scales``, versions 1 and 2 | ``serving_default``: ``x`` float32 [?] → ``y`` = version * x |

The label ``stable`` is on a version of each model that has several, and of ``steps``.
"""

import asyncio
import zlib
from collections.abc import Mapping

import numpy as np

from service.backends.registry import BackendOptions
from service.core.catalog import Catalog
from service.core.deadline import Deadline
from service.core.model_version import ModelVersion
from service.core.tensors import Signature, Tensor, TensorSpec
from service.errors import ErrorKind, GatewayError
from service.wire import tensorflow_pb2 as tf_pb
from tests.fakes import FakeModel
from tests.zoo import ZooBackend

_RUN_SECONDS = 0.001
"""So that others wait meanwhile, and are merged."""
_EXAMPLES = {"inputs": TensorSpec("string", (None,))}


def _sums(examples: Tensor) -> list[int]:
    """Returns a number for each example, another one for each other example; refuses one in eight."""
    sums = [zlib.crc32(tf_pb.Example.FromString(data).SerializeToString(deterministic=True)) for data in examples]
    if refused := [number for number in sums if number % 8 == 0]:
        raise GatewayError(ErrorKind.INVALID_INPUT, f"cannot judge {refused[0]}")
    return sums


def _classify(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    sums = _sums(inputs["inputs"])
    classes = np.empty((len(sums), 2), object)
    classes[:] = [[b"%d" % number, b"other"] for number in sums]
    return {"classes": classes, "scores": np.array([[number % 97, 0.5] for number in sums], np.float32)}


def _regress(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {"outputs": np.array([number % 9973 for number in _sums(inputs["inputs"])], np.float32)}


def _strict(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    if (inputs["x"] < 0).any():
        raise GatewayError(ErrorKind.INVALID_INPUT, f"below zero: {inputs['x'].min()}")
    return {"y": inputs["x"]}


def _signature(name: str, inputs: dict[str, TensorSpec], outputs: dict[str, TensorSpec]) -> Signature:
    return Signature(name, f"tensorflow/serving/{name}", inputs, outputs)


_SCORED = {"classes": TensorSpec("string", (None, 2)), "scores": TensorSpec("float32", (None, 2))}
_WHOLE = TensorSpec("int32", (None,))
JUDGE = FakeModel(
    {
        "classify": _signature("classify", _EXAMPLES, _SCORED),
        "regress": _signature("regress", _EXAMPLES, {"outputs": TensorSpec("float32", (None,))}),
    },
    {"classify": _classify, "regress": _regress},
)
_ROWS = TensorSpec("float32", (None,))


def _scale(version: int) -> FakeModel:
    signature = _signature("serving_default", {"x": _ROWS}, {"y": _ROWS})
    return FakeModel({signature.name: signature}, {signature.name: lambda inputs: {"y": inputs["x"] * version}})


STRICT = FakeModel(
    {"serving_default": _signature("serving_default", {"x": _WHOLE}, {"y": _WHOLE})}, {"serving_default": _strict}
)


class JudgesBackend(ZooBackend):
    """Serves the models above."""

    def __init__(self, options: BackendOptions | None = None) -> None:
        super().__init__(options)
        scales = {("scales", version): _scale(version) for version in (1, 2)}
        self._models = self._models | scales | {("judge", 1): JUDGE, ("strict", 1): STRICT}

    async def start(self, catalog: Catalog) -> None:
        """Announces all models, and puts the labels on."""
        for name, version in (("shades", 1), ("text", 1), ("steps", 7), ("scales", 1)):
            catalog.set_labels(name, {"stable": version})
        await super().start(catalog)

    async def run(
        self, version: ModelVersion, signature: Signature, inputs: Mapping[str, Tensor], deadline: Deadline
    ) -> Mapping[str, Tensor]:
        """Runs a little later."""
        await asyncio.sleep(_RUN_SECONDS)
        with np.errstate(all="ignore"):  # numbers beyond float32 are as good as any here
            return await super().run(version, signature, inputs, deadline)
