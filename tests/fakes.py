"""A backend in memory: a real implementation of the port, with models small enough to compute by hand."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from service.backends.registry import BackendOptions
from service.core.batch_policy import AS_THE_SERVER, BatchPolicies, BatchPolicy
from service.core.batching import Batcher, BatchLimits
from service.core.catalog import Catalog
from service.core.deadline import Deadline
from service.core.model_config import ModelConfig
from service.core.model_version import ModelVersion, State
from service.core.ports import Accept, Backend
from service.core.retry_budget import RetryBudget
from service.core.tasks import describe
from service.core.tensors import Signature, Tensor, TensorSpec
from service.errors import ErrorKind, GatewayError

SIZE = 4
LABELS = ("dark", "grey", "bright")
WINDOW = 6
HORIZON = 3
LEVELS = (0.1, 0.5, 0.9)

Function = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]


def _predict(name: str, inputs: dict[str, TensorSpec], outputs: dict[str, TensorSpec]) -> Signature:
    return Signature(name, "tensorflow/serving/predict", inputs, outputs)


def _scores(brightness: Tensor) -> dict[str, Tensor]:
    """Scores by brightness 0 to 1 [N]: dark, grey and bright add up to 1."""
    dark, bright = np.clip(1 - 2 * brightness, 0, 1), np.clip(2 * brightness - 1, 0, 1)
    scores = np.stack([dark, 1 - dark - bright, bright], axis=1).astype(np.float32)
    classes = np.array([[label.encode() for label in LABELS]] * len(scores), object)
    return {"scores": scores, "classes": classes}


def classify_pixels(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Classifies images [N, 4, 4, 1] by their mean."""
    return _scores(inputs["images"].mean(axis=(1, 2, 3)) / 255)


def classify_files(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Classifies files by their length, and refuses those that hold the word ``damaged``."""
    for data in inputs["image_bytes"]:
        if b"damaged" in data:
            raise GatewayError(ErrorKind.INVALID_INPUT, "cannot decode that")
    lengths = np.array([len(data) for data in inputs["image_bytes"]], np.float32)
    return _scores(np.minimum(lengths / 1000, 1))


def forecast(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Forecasts last value + step; the quantiles are 10 below, at, and 10 above."""
    last = inputs["history"][:, -1:]
    points = last + np.arange(1, HORIZON + 1, dtype=np.float32)
    quantiles = points[:, :, np.newaxis] + np.array([-10, 0, 10], np.float32)
    levels = np.tile(np.array(LEVELS, np.float32), (len(points), 1))
    return {"forecast": points, "quantiles": quantiles, "quantile_levels": levels}


@dataclass(frozen=True, slots=True)
class FakeModel:
    """Signatures, and the functions behind them by name."""

    signatures: dict[str, Signature]
    functions: dict[str, Function]


_OUTPUT = {"scores": TensorSpec("float32", (None, 3)), "classes": TensorSpec("string", (None, 3))}
CLASSIFIER = FakeModel(
    {
        "serving_default": _predict(
            "serving_default", {"images": TensorSpec("float32", (None, SIZE, SIZE, 1))}, _OUTPUT
        ),
        "classify_bytes": _predict("classify_bytes", {"image_bytes": TensorSpec("string", (None,))}, _OUTPUT),
    },
    {"serving_default": classify_pixels, "classify_bytes": classify_files},
)
FORECASTER = FakeModel(
    {
        "serving_default": _predict(
            "serving_default",
            {"history": TensorSpec("float32", (None, WINDOW))},
            {
                "forecast": TensorSpec("float32", (None, HORIZON)),
                "quantiles": TensorSpec("float32", (None, HORIZON, 3)),
                "quantile_levels": TensorSpec("float32", (None, 3)),
            },
        )
    },
    {"serving_default": forecast},
)
DOUBLER = FakeModel(
    {
        "serving_default": _predict(
            "serving_default", {"x": TensorSpec("float32", None)}, {"y": TensorSpec("float32", None)}
        )
    },
    {"serving_default": lambda inputs: {"y": inputs["x"] * 2}},
)


async def loaded(name: str, version: int, model: FakeModel) -> ModelVersion:
    """Returns the model as an available version."""

    async def run(signature: Signature, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return model.functions[signature.name](inputs)

    described = await describe(model.signatures, run)
    return ModelVersion(name, version, State.AVAILABLE, signatures=model.signatures, task=described.task)


class FakeBackend:
    """Serves ``shades`` (classifier, versions 1 and 2), ``steps`` (forecaster), ``double`` (generic) and ``broken``.

    Attributes:
        gate: While it is cleared, runs wait for it.
        failure: Raised by every run while it is set.
        spread: Added to the quantiles that are answered.
        runs: How many runs were begun.
        cancelled: How many runs were cancelled.
    """

    def __init__(self, options: BackendOptions | None = None) -> None:
        self._models = {
            ("shades", 1): CLASSIFIER,
            ("shades", 2): CLASSIFIER,
            ("steps", 7): FORECASTER,
            ("double", 1): DOUBLER,
        }
        self.gate = asyncio.Event()
        self.gate.set()
        self.failure: Exception | None = None
        self.spread = 0.0
        self.runs = 0
        self.cancelled = 0
        self.closed = False
        self.catalog = Catalog()

    async def start(self, catalog: Catalog) -> None:
        """Announces all models as available, and one version that failed to load."""
        self.catalog = catalog
        versions = [await loaded(*key, model) for key, model in self._models.items()]
        versions.append(ModelVersion("shades", 3, State.END, error="half of it is missing"))
        catalog.announce(versions)

    async def run(
        self, version: ModelVersion, signature: Signature, inputs: Mapping[str, Tensor], deadline: Deadline
    ) -> Mapping[str, Tensor]:
        """Runs at once, or when the gate opens."""
        self.runs += 1
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.failure is not None:
            raise self.failure
        outputs = self._models[version.name, version.version].functions[signature.name](inputs)
        if self.spread:
            with np.errstate(over="ignore"):
                outputs["quantiles"] = outputs["quantiles"] + np.float32(self.spread)
        return outputs

    async def close(self) -> None:
        """Notes that it was closed."""
        self.closed = True


class WaryBackend(FakeBackend):
    """Its ``shades`` say how unlike the known an image is: twice the score of ``bright``."""

    def __init__(self, options: BackendOptions | None = None) -> None:
        super().__init__(options)
        outputs = _OUTPUT | {"ood_score": TensorSpec("float32", (None,))}
        signatures = {name: replace(one, outputs=outputs) for name, one in CLASSIFIER.signatures.items()}
        self._models["shades", 2] = FakeModel(
            signatures, {name: _wary(function) for name, function in CLASSIFIER.functions.items()}
        )


def _wary(function: Function) -> Function:
    def answer(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        outputs = function(inputs)
        return {**outputs, "ood_score": 2 * outputs["scores"][:, -1]}

    return answer


class SlowBackend(FakeBackend):
    """Takes a second for each run, or as many as TENSORGATE_TEST_SLOW_SECONDS says."""

    async def run(
        self, version: ModelVersion, signature: Signature, inputs: Mapping[str, Tensor], deadline: Deadline
    ) -> Mapping[str, Tensor]:
        """Runs late."""
        await asyncio.sleep(float(os.environ.get("TENSORGATE_TEST_SLOW_SECONDS", "1")))
        return await super().run(version, signature, inputs, deadline)


class FailingBackend(FakeBackend):
    """Fails each run with an error that nobody expects."""

    def __init__(self, options: BackendOptions | None = None) -> None:
        super().__init__(options)
        self.failure = RuntimeError("/secret/path")


class ControllableFake(FakeBackend):
    """Controllable: the folder ``.../shades`` holds all versions that `FakeBackend` has of ``shades``.

    Attributes:
        damaged: Versions that cannot be loaded.
        loading: While it is cleared, loads wait for it.
        loads: How many loads were begun.
    """

    def __init__(self, options: BackendOptions | None = None) -> None:
        super().__init__(options)
        self.damaged: set[tuple[str, int]] = set()
        self.loading = asyncio.Event()
        self.loading.set()
        self.loads = 0
        self._folders = dict(self._models)
        self._configs = None if options is None else options.configs

    async def start(self, catalog: Catalog) -> None:
        """Serves the configured models, or all of them."""
        if self._configs is None:
            await super().start(catalog)
        else:
            self.catalog = catalog
            catalog.announce([])
            for config in self._configs:
                await self._follow(config, catalog)

    async def reload(self, configs: Sequence[ModelConfig], accept: Accept) -> None:
        """Loads all of it beside what is served, which it then replaces."""
        draft = Catalog()
        for config in configs:
            await self._follow(config, draft)
        accept(draft)
        self._configs = tuple(configs)
        self.catalog.become(draft)

    async def load(self, name: str) -> None:
        """Tries again what could not be loaded, or was unloaded."""
        for config in self._configs or ():
            if config.name == name:
                await self._follow(config, self.catalog)
                return
        raise GatewayError(ErrorKind.MODEL_NOT_FOUND, f"there is no {name}")

    async def unload(self, name: str) -> None:
        """Leaves entries that say that it is over."""
        for entry in self.catalog.versions(name):
            self.catalog.put(ModelVersion(name, entry.version, State.END))

    async def _follow(self, config: ModelConfig, catalog: Catalog) -> None:
        entries = catalog.versions(config.name) if config.name in catalog else []
        available = {entry.version for entry in entries if entry.state is State.AVAILABLE}
        folder = config.base_path.name
        wanted = config.policy.choose(version for name, version in self._folders if name == folder)
        for version in wanted:
            if version not in available:
                await self._load(config.name, version, catalog, self._folders[folder, version])
        for entry in entries:
            if entry.version not in wanted:
                catalog.drop(entry.name, entry.version)

    async def _load(self, name: str, version: int, catalog: Catalog, model: FakeModel) -> None:
        catalog.put(ModelVersion(name, version, State.LOADING))
        self.loads += 1
        await asyncio.sleep(0)
        await self.loading.wait()
        if (name, version) in self.damaged:
            catalog.put(ModelVersion(name, version, State.END, error="it is damaged"))
        else:
            self._models[name, version] = model
            catalog.put(await loaded(name, version, model))


def batcher(backend: Backend, **limits: int) -> Batcher:
    """Returns a batcher that nobody observes."""
    return Batcher(
        backend=backend,
        limits=BatchLimits(**limits),
        policies=BatchPolicies(BatchPolicy(), lambda _: AS_THE_SERVER),
        budget=RetryBudget(),
        observe=lambda version, rows, requests: None,
    )
