"""A backend in memory with a model for everything that the generic protocols must carry; it can be controlled, too.

| model | versions | signatures: inputs → outputs |
| --- | --- | --- |
| those of `FakeBackend` | | |
| ``sum`` | 1 | ``serving_default``: ``a``, ``b`` float32 [?, 2] → ``difference`` a - b, ``sum`` a + b, float32 [?, 2] |
| ``echo_<dtype>`` | 1 | ``serving_default``: ``x`` of any shape → ``y``, the same; for each dtype that can be served |
| ``text`` | 1, 2 | ``serving_default``: ``text`` string [?] → ``length`` int64 [?], ``reversed`` string [?] |
| ``counts`` | 1 | ``serving_default``: ``counts`` int32 [?, 3] → ``total`` int32 [?] |
| ``fixed`` | 1 | ``serving_default``: ``matrix`` float32 [2, 2] → ``trace`` float32 [], no batch dimension |
| ``grid`` | 1 | ``serving_default``: ``x`` float32 [?, ?, 2] → ``y``, the same: two free dimensions |
| ``only`` | 1 | ``negate``: ``x`` float32 [?] → ``y`` -x; no ``serving_default`` |
| ``several`` | 1 | ``double``, ``halve``: ``x`` float32 [?] → ``y``; no ``serving_default`` |
| ``scaled`` | 1 | ``serving_default``: ``x`` float32 [?], ``factor`` float32 [] with default 3 → ``y`` x * factor |
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from service.backends.registry import BackendOptions
from service.core.catalog import Catalog
from service.core.model_config import ModelConfig
from service.core.model_version import State
from service.core.ports import Accept
from service.core.tensors import NUMPY_DTYPES, Signature, Tensor, TensorSpec
from service.errors import ErrorKind, GatewayError
from tests.fakes import FakeBackend, FakeModel, Function

Specs = dict[str, TensorSpec]


def _floats(*shape: int | None) -> TensorSpec:
    return TensorSpec("float32", shape)


def _model(inputs: Specs, outputs: Specs, function: Function, *, name: str = "serving_default") -> FakeModel:
    return FakeModel({name: Signature(name, "tensorflow/serving/predict", inputs, outputs)}, {name: function})


def _echo(dtype: str) -> FakeModel:
    return _model({"x": TensorSpec(dtype, None)}, {"y": TensorSpec(dtype, None)}, lambda inputs: {"y": inputs["x"]})


def _text(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    texts = inputs["text"]
    reversed_texts = np.empty(len(texts), object)
    reversed_texts[:] = [value[::-1] for value in texts]
    return {"length": np.array([len(value) for value in texts], np.int64), "reversed": reversed_texts}


def _scaled() -> FakeModel:
    model = _model(
        {"x": _floats(None), "factor": _floats()},
        {"y": _floats(None)},
        lambda inputs: {"y": inputs["x"] * inputs["factor"]},
    )
    default = {"factor": np.array(3, np.float32)}
    return replace(
        model, signatures={name: replace(value, defaults=default) for name, value in model.signatures.items()}
    )


TEXT = _model(
    {"text": TensorSpec("string", (None,))},
    {"length": TensorSpec("int64", (None,)), "reversed": TensorSpec("string", (None,))},
    _text,
)
DOUBLE = _model({"x": _floats(None)}, {"y": _floats(None)}, lambda inputs: {"y": inputs["x"] * 2}, name="double")
HALVE = _model({"x": _floats(None)}, {"y": _floats(None)}, lambda inputs: {"y": inputs["x"] / 2}, name="halve")

MODELS: dict[tuple[str, int], FakeModel] = {
    ("sum", 1): _model(
        {"a": _floats(None, 2), "b": _floats(None, 2)},
        {"sum": _floats(None, 2), "difference": _floats(None, 2)},
        lambda inputs: {"sum": inputs["a"] + inputs["b"], "difference": inputs["a"] - inputs["b"]},
    ),
    **{(f"echo_{dtype}", 1): _echo(dtype) for dtype in NUMPY_DTYPES},
    ("text", 1): TEXT,
    ("text", 2): TEXT,
    ("counts", 1): _model(
        {"counts": TensorSpec("int32", (None, 3))},
        {"total": TensorSpec("int32", (None,))},
        lambda inputs: {"total": inputs["counts"].sum(axis=1, dtype=np.int32)},
    ),
    ("fixed", 1): _model(
        {"matrix": _floats(2, 2)}, {"trace": _floats()}, lambda inputs: {"trace": np.asarray(inputs["matrix"].trace())}
    ),
    ("grid", 1): _model(
        {"x": _floats(None, None, 2)}, {"y": _floats(None, None, 2)}, lambda inputs: {"y": inputs["x"]}
    ),
    ("only", 1): _model({"x": _floats(None)}, {"y": _floats(None)}, lambda inputs: {"y": -inputs["x"]}, name="negate"),
    ("several", 1): FakeModel(DOUBLE.signatures | HALVE.signatures, DOUBLE.functions | HALVE.functions),
    ("scaled", 1): _scaled(),
}


class ZooBackend(FakeBackend):
    """Serves the models above, and those of `FakeBackend`; loads and unloads what it has."""

    def __init__(self, options: BackendOptions | None = None) -> None:
        super().__init__(options)
        self._models = self._models | MODELS
        self._catalog = Catalog()

    async def start(self, catalog: Catalog) -> None:
        """Announces all models."""
        self._catalog = catalog
        await super().start(catalog)

    async def reload(self, configs: Sequence[ModelConfig], accept: Accept) -> None:
        """Serves those of its models that are named, and no others."""
        draft = Catalog()
        names = {config.name for config in configs}
        for name in self._catalog.names():
            for entry in self._catalog.versions(name):
                state = State.AVAILABLE if name in names else State.END
                draft.put(entry if entry.error else replace(entry, state=state))
        accept(draft)
        self._catalog.become(draft)

    async def load(self, name: str) -> None:
        """Has the model available again."""
        self._check(name)
        self._set(name, State.AVAILABLE)

    async def unload(self, name: str) -> None:
        """Has the model unloaded."""
        self._check(name)
        self._set(name, State.END)

    def _check(self, name: str) -> None:
        if name not in self._catalog:
            raise GatewayError(ErrorKind.MODEL_NOT_FOUND, f"there is no model {name!r}")

    def _set(self, name: str, state: State) -> None:
        for entry in self._catalog.versions(name):
            if not entry.error:
                self._catalog.put(replace(entry, state=state))
