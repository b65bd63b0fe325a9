"""Answers to inference requests over REST: JSON, with raw tensors after it where they were requested."""

from collections.abc import Mapping
from typing import Any

from service.codecs.json_tensor import dump_json
from service.codecs.open_inference import datatype_of, encode_raw
from service.codecs.open_inference_json import BASE64, CONTENT_TYPE, encode_data
from service.core.model_version import ModelVersion
from service.core.tensors import Tensor
from service.protocols.open_inference.messages import InferMessage
from service.protocols.open_inference.rest_request import BINARY_DATA, BINARY_DATA_SIZE, HEADER_LENGTH
from service.seam.http import HttpResponse

BINARY = "application/octet-stream"


def encode_answer(version: ModelVersion, message: InferMessage, outputs: Mapping[str, Tensor]) -> HttpResponse:
    """Returns the answer to a message.

    Args:
        version: What answered it.
        message: Says which outputs are to be raw.
        outputs: Tensors by name, in the order of the answer.

    Raises:
        GatewayError: NOT_SUPPORTED for an output of complex numbers.
    """
    said = {output.name: output.parameters.get(BINARY_DATA) for output in message.outputs}
    blobs: list[bytes] = []
    entries = []
    for name, tensor in outputs.items():
        wanted = said.get(name)
        raw = message.raw if wanted is None else bool(wanted)
        entries.append(_entry(name, tensor, blobs if raw else None))
    document: dict[str, Any] = {"model_name": version.name, "model_version": str(version.version)}
    if message.id:
        document["id"] = message.id
    document["outputs"] = entries
    head = dump_json(document)
    if not blobs:
        return HttpResponse(head)
    return HttpResponse(b"".join((head, *blobs)), media_type=BINARY, headers={HEADER_LENGTH.lower(): str(len(head))})


def _entry(name: str, tensor: Tensor, blobs: list[bytes] | None) -> dict[str, Any]:
    """Returns an output's member of the answer; adds its bytes to the blobs, if there are to be any."""
    entry: dict[str, Any] = {
        "name": name,
        "datatype": datatype_of(tensor, where=f"outputs.{name}"),
        "shape": list(tensor.shape),
    }
    if blobs is not None:
        blobs.append(encode_raw(tensor))
        return {**entry, "parameters": {BINARY_DATA_SIZE: len(blobs[-1])}}
    data, is_base64 = encode_data(tensor)
    if is_base64:
        entry["parameters"] = {CONTENT_TYPE: BASE64}
    return {**entry, "data": data}
