"""TensorFlow Serving's part of the OpenAPI document: ``openapi.json``, with an example for a model that is served."""

from importlib.resources import files
from typing import Any

import orjson

from service.codecs.samples import Sample, smallest_sample
from service.core.visibility import SeenModels

Json = dict[str, Any]

ERROR = "TfServingError"
_MODEL = "/v1/models/{model}"
SHARED = frozenset(
    f"{whose}{call}"
    for whose in (_MODEL, f"{_MODEL}/labels/{{label}}")
    for call in (":predict", ":classify", ":regress", "/metadata")
)
"""Paths whose requests several versions may share."""


def fragment(models: SeenModels) -> Json:
    """Returns ``tags``, ``paths`` and ``components``.

    Args:
        models: Those that are to be shown.
    """
    part: Json = orjson.loads(files("service.protocols.tfserving").joinpath("openapi.json").read_bytes())
    if (sample := smallest_sample(models)) is not None:
        parameters, bodies = part["components"]["parameters"], part["components"]["requestBodies"]
        parameters["TfServingModel"]["example"] = sample.version.name
        parameters["TfServingVersion"]["example"] = sample.version.version
        bodies["TfServingPredict"]["content"]["application/json"]["example"] = _predict_request(sample)
    return part


def _predict_request(sample: Sample) -> Json:
    columns = {name: tensor.tolist() for name, tensor in sample.inputs.items()}
    if not sample.signature.batchable:
        return {"inputs": columns}
    return {"instances": [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]}
