"""What goes to TensorFlow Serving, and what comes back."""

from collections.abc import Mapping
from typing import Any

from service.backends.tfserving.failures import invalid_answer
from service.codecs.packed import field_head
from service.codecs.tensor_proto import decode_tensor, serialize_tensor
from service.core.bounds import InputBounds
from service.core.model_version import ModelVersion
from service.core.tensors import Signature, Tensor, dtype_name
from service.errors import GatewayError
from service.wire import tensorflow_serving_pb2 as pb

_ANSWERS = InputBounds(max_request_bytes=2**31, max_request_rows=2**31, max_tensor_elements=2**31)
"""What a model answers is as large as it is; only what makes no sense is refused."""
_INPUTS = pb.PredictRequest.INPUTS_FIELD_NUMBER
_KEY, _VALUE = 1, 2
"""Fields of an entry of a map (https://protobuf.dev/programming-guides/encoding/#maps)."""


def predict_request(version: ModelVersion, signature: Signature, inputs: Mapping[str, Tensor]) -> bytes:
    """Returns a serialized ``PredictRequest``; numbers travel as bytes, and are copied once."""
    parts: list[Any] = [_model_spec(version.name, version.version, signature.name)]
    for name, tensor in inputs.items():
        key = name.encode()
        head, content = serialize_tensor(tensor)
        size = len(head) + content.nbytes
        head = b"".join((field_head(_KEY, len(key)), key, field_head(_VALUE, size), head))
        parts += (field_head(_INPUTS, len(head) + content.nbytes), head, content)
    return b"".join(parts)


def _model_spec(name: str, version: int, signature: str) -> bytes:
    """Returns a serialized request without inputs."""
    spec = pb.ModelSpec(name=name, signature_name=signature)
    spec.version.value = version
    return pb.PredictRequest(model_spec=spec).SerializeToString()


def outputs_of(response: pb.PredictResponse, signature: Signature) -> dict[str, Tensor]:
    """Returns the tensors of an answer by output name.

    Raises:
        GatewayError: BACKEND_FAILED when they are not those of the signature.
    """
    found = response.outputs
    if len(found) != len(signature.outputs) or any(name not in found for name in signature.outputs):
        raise invalid_answer(f"the outputs {sorted(found)} instead of {sorted(signature.outputs)}").error
    outputs = {}
    for name, spec in signature.outputs.items():
        try:
            tensor = decode_tensor(found[name], bounds=_ANSWERS, where=f"outputs.{name}")
        except GatewayError as error:
            raise invalid_answer(error.message).error from None
        # Not so its shape: where a signature leaves that of an input open, an output may have another than it says.
        if tensor.dtype != spec.numpy_dtype:
            raise invalid_answer(f"{dtype_name(tensor)} for the output {name}, which is {spec.dtype}").error
        outputs[name] = tensor
    return outputs
