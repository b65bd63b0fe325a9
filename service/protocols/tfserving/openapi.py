"""TensorFlow Serving's part of the OpenAPI document: ``openapi.json``, with an example for a model that is served."""

from importlib.resources import files
from typing import Any

import orjson

from service.codecs.samples import Sample, smallest_sample
from service.core.catalog import Catalog

Json = dict[str, Any]

ERROR = "TfServingError"


def fragment(catalog: Catalog) -> Json:
    """Returns ``tags``, ``paths`` and ``components``.

    Args:
        catalog: The models that there are.
    """
    part: Json = orjson.loads(files("service.protocols.tfserving").joinpath("openapi.json").read_bytes())
    if (sample := smallest_sample(catalog)) is not None:
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
