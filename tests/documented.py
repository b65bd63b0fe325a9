"""A backend in memory with a model for every operation of the OpenAPI document, to be sent its examples and others.

| model | beside what `ZooBackend` serves |
| --- | --- |
| ``digits`` | ``shades`` that takes tf.Examples too: ``classify_examples``, of files in ``image/encoded`` |
| ``sunspots`` | ``steps`` that takes tf.Examples too: ``regress_examples``, of the last values in ``history`` |

All have the model card in ``tests/data/version``. The newest versions of these and of ``text`` are labelled ``stable``.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from service.backends.registry import BackendOptions
from service.core.catalog import Catalog
from service.core.tensors import Signature, Tensor, TensorSpec
from service.errors import ErrorKind, GatewayError
from service.wire import tensorflow_pb2 as tf_pb
from tests.fakes import CLASSIFIER, FORECASTER, WINDOW, FakeModel, Function, classify_files, forecast
from tests.zoo import ZooBackend

REPORTED = Path(__file__).parent / "data/version"
"""A version's folder with a report, and no model."""
_SERIALIZED = {"inputs": TensorSpec("string", (None,))}


def _feature(data: bytes, name: str) -> tf_pb.Feature:
    try:
        return tf_pb.Example.FromString(data).features.feature[name]
    except Exception as error:
        raise GatewayError(ErrorKind.INVALID_INPUT, "Could not parse example input") from error


def _classify_examples(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    files = [_feature(data, "image/encoded").bytes_list.value for data in inputs["inputs"]]
    if not all(len(values) == 1 for values in files):
        raise GatewayError(ErrorKind.INVALID_INPUT, "Feature: image/encoded (data type: string) is required")
    return classify_files({"image_bytes": np.array([values[0] for values in files], object)})


def _regress_examples(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    series = [_feature(data, "history").float_list.value for data in inputs["inputs"]]
    if not all(len(values) >= WINDOW for values in series):
        raise GatewayError(ErrorKind.INVALID_INPUT, "Feature: history (data type: float) is required")
    histories = np.array([values[-WINDOW:] for values in series], np.float32)
    return {"outputs": forecast({"history": histories})["forecast"][:, 0]}


def _with(model: FakeModel, signature: Signature, function: Function) -> FakeModel:
    return replace(
        model,
        signatures={**model.signatures, signature.name: signature},
        functions={**model.functions, signature.name: function},
    )


class DocumentedBackend(ZooBackend):
    """Serves the models above, and those of `ZooBackend`."""

    def __init__(self, options: BackendOptions | None = None) -> None:
        super().__init__(options)
        scores = CLASSIFIER.signatures["classify_bytes"].outputs
        classify = Signature("classify_examples", "tensorflow/serving/classify", _SERIALIZED, scores)
        value = {"outputs": TensorSpec("float32", (None,))}
        regress = Signature("regress_examples", "tensorflow/serving/regress", _SERIALIZED, value)
        self._models = {
            **self._models,
            ("digits", 1): _with(CLASSIFIER, classify, _classify_examples),
            ("sunspots", 1): _with(FORECASTER, regress, _regress_examples),
        }

    async def start(self, catalog: Catalog) -> None:
        """Announces all models, and puts the label on."""
        await super().start(catalog)
        for name, version in {"text": 2, "digits": 1, "sunspots": 1}.items():
            catalog.set_labels(name, {"stable": version})
        for name in catalog.names():
            for entry in catalog.versions(name):
                catalog.put(replace(entry, folder=REPORTED))
