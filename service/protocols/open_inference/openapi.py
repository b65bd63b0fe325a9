"""The Open Inference Protocol's part of the OpenAPI document: ``openapi.json``, with an example for a served model."""

from importlib.resources import files
from typing import Any

import orjson

from service.codecs.open_inference import DATATYPES
from service.codecs.samples import Sample, smallest_sample
from service.core.catalog import Catalog

Json = dict[str, Any]

ERROR = "OpenInferenceError"


def fragment(catalog: Catalog) -> Json:
    """Returns ``tags``, ``paths`` and ``components``.

    Args:
        catalog: The models that there are.
    """
    part: Json = orjson.loads(files("service.protocols.open_inference").joinpath("openapi.json").read_bytes())
    if (sample := smallest_sample(catalog)) is not None:
        parameters, bodies = part["components"]["parameters"], part["components"]["requestBodies"]
        parameters["OpenInferenceModel"]["example"] = sample.version.name
        parameters["OpenInferenceVersion"]["example"] = str(sample.version.version)
        bodies["OpenInferenceInfer"]["content"]["application/json"]["example"] = {"inputs": _inputs(sample)}
    return part


def _inputs(sample: Sample) -> list[Json]:
    return [
        {
            "name": name,
            "datatype": DATATYPES[sample.signature.inputs[name].dtype],
            "shape": list(tensor.shape),
            "data": tensor.ravel().tolist(),
        }
        for name, tensor in sample.inputs.items()
    ]
