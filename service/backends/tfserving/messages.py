"""What goes to TensorFlow Serving, and what comes back."""

from collections.abc import Mapping

from service.codecs.tensor_proto import decode_tensor, encode_tensor
from service.core.bounds import InputBounds
from service.core.catalog import ModelVersion
from service.core.tensors import Signature, Tensor, dtype_name
from service.errors import ErrorKind, GatewayError
from service.wire import tensorflow_serving_pb2 as pb

_ANSWERS = InputBounds(max_request_bytes=2**31, max_request_rows=2**31, max_tensor_elements=2**31)
"""What a model answers is as large as it is; only what makes no sense is refused."""


def predict_request(version: ModelVersion, signature: Signature, inputs: Mapping[str, Tensor]) -> bytes:
    """Returns a serialized ``PredictRequest``; numbers travel as bytes."""
    spec = pb.ModelSpec(name=version.name, signature_name=signature.name)
    spec.version.value = version.version
    request = pb.PredictRequest(model_spec=spec)
    for name, tensor in inputs.items():
        encode_tensor(tensor, request.inputs[name], as_content=True)
    return request.SerializeToString()


def outputs_of(response: pb.PredictResponse, signature: Signature) -> dict[str, Tensor]:
    """Returns the tensors of an answer by output name.

    Raises:
        GatewayError: BACKEND_FAILED when they are not those of the signature.
    """
    if response.outputs.keys() != signature.outputs.keys():
        raise _senseless(f"the outputs {sorted(response.outputs)} instead of {sorted(signature.outputs)}")
    outputs = {}
    for name, spec in signature.outputs.items():
        try:
            tensor = decode_tensor(response.outputs[name], bounds=_ANSWERS, where=f"outputs.{name}")
        except GatewayError as error:
            raise _senseless(error.message) from None
        # Not so its shape: where a signature leaves that of an input open, an output may have another than it says.
        if dtype_name(tensor) != spec.dtype:
            raise _senseless(f"{dtype_name(tensor)} for the output {name}, which is {spec.dtype}")
        outputs[name] = tensor
    return outputs


def _senseless(what: str) -> GatewayError:
    return GatewayError(ErrorKind.BACKEND_FAILED, f"the backend's answer makes no sense: {what}")
