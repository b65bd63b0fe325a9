"""Bodies of inference requests over REST: JSON, JSON with raw tensors after it, or one raw tensor and no JSON."""

from collections.abc import Callable
from math import prod
from typing import Any

from service.codecs.json_arrays import as_lists, has_arrays, with_lists
from service.codecs.json_document import JsonError, parse_json
from service.codecs.open_inference import decode_raw
from service.codecs.open_inference_json import BASE64, CONTENT_TYPE, decode_data
from service.core.bounds import InputBounds
from service.core.tensors import NUMPY_DTYPES, STRING, Shape, Signature, Tensor, shape_text
from service.errors import ErrorKind, GatewayError, Violation, invalid_input, shown
from service.protocols.open_inference.json_fields import as_object, optional, path, required
from service.protocols.open_inference.messages import (
    InferMessage,
    InputHead,
    RequestedOutput,
    add_input,
    input_head,
    requested_output,
)

HEADER_LENGTH = "Inference-Header-Content-Length"
"""The header that says how long the JSON is; raw tensors come after it."""
BINARY_DATA_SIZE = "binary_data_size"
BINARY_DATA = "binary_data"
BINARY_DATA_OUTPUT = "binary_data_output"

Json = dict[str, Any]


def parse_object(data: bytes, *, bounds: InputBounds, hold: Callable[[int], None], arrays: bool = False) -> Json:
    """Returns the members of a JSON body.

    Args:
        data: The body.
        bounds: Of its depth, its values and its length.
        hold: Counts the bytes of what is made of it, before it is made.
        arrays: Whether a `NumericArray` may stand in place of lists of numbers.

    Raises:
        GatewayError: MALFORMED, INVALID_INPUT when it is no object, TOO_LARGE, and what ``hold`` raises.
    """
    try:
        document = parse_json(data, bounds=bounds, hold=hold, arrays=arrays)
    except JsonError as error:
        raise invalid_input(Violation("body", "JSON", f"something else: {error}"), kind=ErrorKind.MALFORMED) from None
    return as_object(document, where="body")


def json_length(header: str | None, body: bytes) -> int:
    """Returns how many bytes of the body are JSON: as many as the header says, or all.

    Raises:
        GatewayError: INVALID_INPUT.
    """
    if header is None:
        return len(body)
    # No number longer than this one is within the body, whatever its length.
    if not (header.isascii() and header.isdecimal() and len(header) <= 19 and int(header) <= len(body)):
        expected = f"a number of bytes, at most the {len(body)} of the body"
        raise invalid_input(Violation(HEADER_LENGTH, expected, shown(header)))
    return int(header)


def decode_body(
    body: bytes, length: int, *, bounds: InputBounds, hold: Callable[[int], None] = lambda _: None
) -> InferMessage:
    """Returns the request.

    Args:
        body: JSON, and then the raw tensors that it announces, in its order.
        length: Bytes of the JSON.
        bounds: Of the tensors and of the JSON.
        hold: Counts the bytes of what is made of the JSON, before it is made.

    Raises:
        GatewayError: MALFORMED, INVALID_INPUT, TOO_LARGE or NOT_SUPPORTED, and what ``hold`` raises.
    """
    document = parse_object(body if length == len(body) else body[:length], bounds=bounds, hold=hold, arrays=True)
    blobs = memoryview(body)[length:]
    try:
        return _message(document, blobs, bounds)
    except GatewayError:
        if not has_arrays(document):
            raise
        # What is wrong is said of the document as it came.
        return _message(with_lists(document), blobs, bounds)


def _message(document: Json, raw: memoryview, bounds: InputBounds) -> InferMessage:
    parameters = optional(document, "parameters", dict, {})
    blobs = _Blobs(raw)
    inputs: dict[str, Tensor] = {}
    entries = required(document, "inputs", list)
    bounds.check_count(len(entries), where="inputs")
    for index, value in enumerate(entries):
        members = as_object(value, where=f"inputs[{index}]")
        head = _head(index, members, bounds)
        add_input(inputs, head, _tensor(head, members, blobs, bounds))
    blobs.check_used_up()
    wanted = optional(document, "outputs", list, [])
    bounds.check_count(len(wanted), where="outputs")
    return InferMessage(
        inputs=inputs,
        outputs=[_output(index, value, bounds) for index, value in enumerate(wanted)],
        parameters={name: as_lists(value) for name, value in parameters.items()},
        id=optional(document, "id", str, ""),
        raw=optional(parameters, BINARY_DATA_OUTPUT, bool, False, where="parameters"),
    )


def decode_raw_body(body: bytes, signature: Signature, *, bounds: InputBounds) -> InferMessage:
    """Returns the request that a body without JSON makes: the raw tensor of the model's only input.

    Args:
        body: The tensor; a string's bytes alone, without their length.
        signature: Has one input, whose shape has at most one free dimension, or fits one string.
        bounds: Of the tensor.

    Raises:
        GatewayError: INVALID_INPUT when the signature is another, or the body does not fit it; TOO_LARGE.
    """
    if len(signature.inputs) != 1:
        expected = f"JSON, as the signature has {len(signature.inputs)} inputs"
        raise invalid_input(Violation("body", expected, "one raw tensor"))
    ((name, spec),) = signature.inputs.items()
    where = f"inputs.{name}"
    if spec.dtype == STRING:
        shape = _inferred(spec.shape, 1, where)
        return InferMessage(
            {name: decode_raw(len(body).to_bytes(4, "little") + body, STRING, shape, where=where)}, raw=True
        )
    shape = _inferred(spec.shape, len(body) // NUMPY_DTYPES[spec.dtype].itemsize, where)
    bounds.check_shape(shape, where=where)
    return InferMessage({name: decode_raw(body, spec.dtype, shape, where=where)}, raw=True)


def _inferred(shape: Shape | None, count: int, where: str) -> tuple[int, ...]:
    """Returns the shape in which that many elements fill the free dimension."""
    free = 0 if shape is None else sum(size is None for size in shape)
    if shape is None or (free > 1 and count != 1):
        expected = f"JSON that states the shape, as the model takes {shape_text(shape)}"
        raise invalid_input(Violation(where, expected, "a raw tensor"))
    known = prod(size for size in shape if size is not None)
    filled = count // known if known and free == 1 else 1
    return tuple(filled if size is None else size for size in shape)


class _Blobs:
    """The raw tensors of a body, one after the other."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._used = 0

    def take(self, size: int, *, where: str) -> memoryview:
        left = len(self._data) - self._used
        if not 0 <= size <= left:
            raise invalid_input(Violation(where, f"at most the {left} bytes that are left of the body", str(size)))
        self._used += size
        return self._data[self._used - size : self._used]

    def check_used_up(self) -> None:
        if self._used < len(self._data):
            got = f"{len(self._data) - self._used} bytes after them"
            raise invalid_input(
                Violation("body", f"the {self._used} bytes that the inputs' {BINARY_DATA_SIZE} state", got)
            )


def _head(index: int, members: Json, bounds: InputBounds) -> InputHead:
    where = f"inputs[{index}]"
    shape = required(members, "shape", list, where=where)
    if not set(map(type, shape)) <= {int}:
        wrong = next(size for size in shape if type(size) is not int)
        raise invalid_input(Violation(f"{where}.shape", "a list of integers", f"one with {shown(wrong)}"))
    return input_head(
        index=index,
        name=required(members, "name", str, where=where),
        datatype=required(members, "datatype", str, where=where),
        shape=shape,
        parameters=optional(members, "parameters", dict, {}, where=where),
        bounds=bounds,
    )


def _tensor(head: InputHead, members: Json, blobs: _Blobs, bounds: InputBounds) -> Tensor:
    where = path(head.where, "data")
    data = members.get("data")
    parameters: Json | None = members.get("parameters")
    if not parameters:
        return decode_data(data, head.dtype, head.shape, is_base64=False, bounds=bounds, where=where)
    inside = path(head.where, "parameters")
    if parameters.get(BINARY_DATA_SIZE) is not None:
        if data is not None:
            raise invalid_input(Violation(where, f"nothing, as there is {BINARY_DATA_SIZE}", "data"))
        size = required(parameters, BINARY_DATA_SIZE, int, where=inside)
        blob = blobs.take(size, where=path(inside, BINARY_DATA_SIZE))
        return decode_raw(blob, head.dtype, head.shape, where=where)
    is_base64 = optional(parameters, CONTENT_TYPE, str, "", where=inside) == BASE64
    return decode_data(data, head.dtype, head.shape, is_base64=is_base64, bounds=bounds, where=where)


def _output(index: int, value: Any, bounds: InputBounds) -> RequestedOutput:
    where = f"outputs[{index}]"
    members = as_object(value, where=where)
    parameters = optional(members, "parameters", dict, {}, where=where)
    optional(parameters, BINARY_DATA, bool, False, where=path(where, "parameters"))
    return requested_output(
        index=index, name=required(members, "name", str, where=where), parameters=parameters, bounds=bounds
    )
