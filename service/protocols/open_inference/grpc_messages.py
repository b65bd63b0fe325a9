"""Messages of inference over gRPC: protobuf to the same messages as over REST, and back."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.message import Message

from service.codecs.open_inference import datatype_of, decode_raw, encode_raw
from service.codecs.open_inference_contents import FIELDS, decode_contents, encode_contents
from service.core.bounds import InputBounds
from service.core.model_version import ModelVersion
from service.core.tensors import Tensor, dtype_name
from service.errors import Violation, invalid_input
from service.protocols.open_inference.messages import (
    InferMessage,
    InputHead,
    Parameters,
    add_input,
    input_head,
    requested_output,
)
from service.wire import open_inference_pb2 as pb

_RAW = "raw_input_contents"


def parameters_of(parameters: Mapping[str, Message], *, bounds: InputBounds, where: str = "parameters") -> Parameters:
    """Returns the values of parameters by name; ``None`` for one that has none.

    Raises:
        GatewayError: TOO_LARGE.
    """
    if not parameters:
        return {}
    bounds.check_count(len(parameters), where=where)
    return {name: _value(parameter) for name, parameter in parameters.items()}


def decode_request(request: pb.ModelInferRequest, *, bounds: InputBounds) -> InferMessage:
    """Returns the request.

    Raises:
        GatewayError: INVALID_INPUT, TOO_LARGE or NOT_SUPPORTED.
    """
    entries = request.inputs
    wanted = request.outputs
    bounds.check_count(len(entries), where="inputs")
    bounds.check_count(len(wanted), where="outputs")
    raw = request.raw_input_contents
    if raw and len(raw) != len(entries):
        raise invalid_input(Violation(_RAW, f"{len(entries)} entries, as there are inputs", str(len(raw))))
    inputs: dict[str, Tensor] = {}
    for index, entry in enumerate(entries):
        head = input_head(
            index=index,
            name=entry.name,
            datatype=entry.datatype,
            shape=tuple(entry.shape),
            parameters=parameters_of(entry.parameters, bounds=bounds, where="inputs.parameters"),
            bounds=bounds,
        )
        add_input(inputs, head, _raw(head, entry, raw[index], index) if raw else _typed(head, entry))
    return InferMessage(
        inputs=inputs,
        outputs=[
            requested_output(
                index=index,
                name=output.name,
                parameters=parameters_of(output.parameters, bounds=bounds, where="outputs.parameters"),
                bounds=bounds,
            )
            for index, output in enumerate(wanted)
        ]
        if wanted
        else (),
        parameters=parameters_of(request.parameters, bounds=bounds),
        id=request.id,
        raw=bool(raw) or not entries,
    )


def encode_response(
    response: pb.ModelInferResponse, version: ModelVersion, message: InferMessage, outputs: Mapping[str, Tensor]
) -> None:
    """Writes the answer to a message: raw or typed as the request was, raw where an output has no typed form.

    Args:
        response: Where it is written; a part of a message is not copied into its place.
        version: What answered it.
        message: Says how tensors are to be written.
        outputs: Tensors by name, in the order of the answer.

    Raises:
        GatewayError: NOT_SUPPORTED for an output of complex numbers.
    """
    response.model_name, response.model_version, response.id = version.name, str(version.version), message.id
    raw = message.raw or any(dtype_name(tensor) not in FIELDS for tensor in outputs.values())
    for name, tensor in outputs.items():
        entry = response.outputs.add(
            name=name, datatype=datatype_of(tensor, where=f"outputs.{name}"), shape=tensor.shape
        )
        if raw:
            response.raw_output_contents.append(encode_raw(tensor))
        else:
            entry.contents.CopyFrom(encode_contents(tensor, dtype_name(tensor)))


def _raw(head: InputHead, entry: pb.ModelInferRequest.InferInputTensor, data: bytes, index: int) -> Tensor:
    if entry.HasField("contents"):
        for field, _ in entry.contents.ListFields():
            raise invalid_input(Violation(f"{head.where}.contents", f"nothing, as there is {_RAW}", field.name))
    return decode_raw(data, head.dtype, head.shape, where=f"{_RAW}[{index}]")


def _typed(head: InputHead, entry: pb.ModelInferRequest.InferInputTensor) -> Tensor:
    return decode_contents(entry.contents, head.dtype, head.shape, where=f"{head.where}.contents")


def _value(parameter: Message) -> Any:
    choice = parameter.WhichOneof("parameter_choice")
    return None if choice is None else getattr(parameter, choice)
