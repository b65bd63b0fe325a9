"""The Open Inference Protocol's part of the OpenAPI document: ``openapi.json``, with an example for a served model."""

from importlib.resources import files
from typing import Any

import orjson

from service.codecs.open_inference import DATATYPES
from service.codecs.samples import Sample, smallest_sample
from service.core.visibility import SeenModels

Json = dict[str, Any]

ERROR = "OpenInferenceError"
SHARED = frozenset({"/v2/models/{model}", "/v2/models/{model}/infer"})
"""Paths whose requests several versions may share."""


def fragment(models: SeenModels) -> Json:
    """Returns ``tags``, ``paths`` and ``components``.

    Args:
        models: Those that are to be shown.
    """
    part: Json = orjson.loads(files("service.protocols.open_inference").joinpath("openapi.json").read_bytes())
    if (sample := smallest_sample(models)) is not None:
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
