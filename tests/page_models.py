"""A backend in memory whose models are odd to look at: for what the page makes of them.

| model | beside what `DocumentedBackend` serves |
| --- | --- |
| ``film`` | ``x`` float32 [?, 8, 16, 16, 3] → ``brightness`` float32 [?, 8], of each picture |
| ``plain`` | ``shades`` that takes no files: pixels alone |
| ``gone`` | its only version could not be loaded |
| ``slow`` | its only version is being loaded |
"""

from collections.abc import Mapping

from service.backends.registry import BackendOptions
from service.core.catalog import Catalog
from service.core.model_version import ModelVersion, State
from service.core.tensors import Signature, Tensor, TensorSpec
from tests.documented import DocumentedBackend
from tests.fakes import CLASSIFIER, FakeModel

DEFAULT = "serving_default"


def _brightness(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {"brightness": inputs["x"].mean(axis=(2, 3, 4))}


_FILM = Signature(
    DEFAULT,
    "tensorflow/serving/predict",
    {"x": TensorSpec("float32", (None, 8, 16, 16, 3))},
    {"brightness": TensorSpec("float32", (None, 8))},
)


class PageBackend(DocumentedBackend):
    """Serves the models above, and those of `DocumentedBackend`."""

    def __init__(self, options: BackendOptions | None = None) -> None:
        super().__init__(options)
        pixels = {DEFAULT: CLASSIFIER.signatures[DEFAULT]}
        self._models |= {
            ("film", 1): FakeModel({DEFAULT: _FILM}, {DEFAULT: _brightness}),
            ("plain", 1): FakeModel(pixels, {DEFAULT: CLASSIFIER.functions[DEFAULT]}),
        }

    async def start(self, catalog: Catalog) -> None:
        """Announces all models, and those that are not there."""
        await super().start(catalog)
        catalog.put(ModelVersion("gone", 4, State.END, error="saved_model.pb: expected a SavedModel"))
        catalog.put(ModelVersion("slow", 1, State.LOADING))
