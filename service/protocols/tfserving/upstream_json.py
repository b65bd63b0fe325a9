"""What TensorFlow Serving says to JSON that makes no tensor.

It goes through a document value by value and stops at the first that is wrong; a decoder that works in bulk does not
know which one that is. So this repeats the walk, for documents that are known to be wrong, only to find upstream's
words. Source of the order and of the words: its ``json_tensor.cc``, and recorded answers.
"""

from collections.abc import Iterator, Set
from typing import Any

from service.codecs.json_tensor import decode_base64, is_base64
from service.core.tensors import NUMPY_DTYPES, STRING, Signature
from service.errors import GatewayError
from service.protocols.tfserving.json_text import json_text, json_type
from service.protocols.tfserving.wording import dtype_text

_INT32 = range(-(2**31), 2**31)
_RANGES = {
    "int64": range(-(2**63), 2**63),
    "uint32": range(2**32),
    "uint64": range(2**64),
}

_NOT_IN_JSON = {"float16", "bfloat16", "uint16", "complex64", "complex128"}

Shape = tuple[int, ...]


def fault_of_rows(instances: list[Any], signature: Signature, names: Set[str]) -> str | None:
    """Returns upstream's words for what is wrong with the rows; ``None`` when it would take them.

    Args:
        instances: The rows.
        signature: Of the model.
        names: Inputs that each row must have, if it is an object.
    """
    if not isinstance(instances[0], dict) and len(signature.inputs) > 1:
        return (
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    objects = _is_object(instances[0])
    shapes: dict[str, Shape] = {}
    for index, row in enumerate(instances):
        if _is_object(row) != objects:
            wanted, got = ("object", "list") if objects else ("value/list", "object")
            return f"Expecting {wanted} but got {got} at item {index} of input list"
        where = f"Failed to process element: {index}"
        if objects and (fault := _fault_of_object(row, signature, names, shapes)) is not None:
            return where + fault
        if not objects and (fault := _fault_of_value(row, signature, shapes)) is not None:
            return f"{where} of 'instances' list. {fault}"
    return None


def _fault_of_object(
    row: dict[str, Any], signature: Signature, names: Set[str], shapes: dict[str, Shape]
) -> str | None:
    for name, value in row.items():
        fault = _fault_of_item(value, name, signature, shapes)
        if fault is not None:
            return f" key: {name} of 'instances' list. Error: {fault}"
    if row.keys() == names:
        return None
    return f" of 'instances' list. JSON object: {json_text(row)} keys must be equal to: {','.join(sorted(names))}"


def _fault_of_value(row: Any, signature: Signature, shapes: dict[str, Shape]) -> str | None:
    fault = _fault_of_item(row, next(iter(signature.inputs)), signature, shapes)
    return None if fault is None else f"Error: {fault}"


def _fault_of_item(value: Any, name: str, signature: Signature, shapes: dict[str, Shape]) -> str | None:
    if name not in signature.inputs:
        return f"INVALID_ARGUMENT: JSON object: does not have named input: {name}"
    fault = fault_of_tensor(value, signature.inputs[name].dtype)
    if fault is not None:
        return f"{_status(fault)}: {fault}"
    shape = _shape(value)
    first = shapes.setdefault(name, shape)
    if _size(first) != _size(shape):
        return f"INVALID_ARGUMENT: Expecting tensor size: {_size(first)} but got: {_size(shape)}"
    if first != shape:
        return f"INVALID_ARGUMENT: Expecting shape {_shape_text(first)} but got: {_shape_text(shape)}"
    return None


def _status(fault: str) -> str:
    return "UNIMPLEMENTED" if fault.startswith("Conversion of") else "INVALID_ARGUMENT"


def fault_of_tensor(value: Any, dtype: str) -> str | None:
    """Returns upstream's words for what keeps a value from being a tensor; ``None`` when it would be one."""
    return next(_faults(value, dtype, 0, _shape(value)), None)


def _shape(value: Any) -> Shape:
    """Returns the shape as the first element of each level has it."""
    sizes = []
    while isinstance(value, list):
        sizes.append(len(value))
        value = value[0] if value else None
    return tuple(sizes)


def _faults(value: Any, dtype: str, level: int, shape: Shape) -> Iterator[str]:
    if not isinstance(value, list):
        if level != len(shape):
            yield (
                f"JSON Value: {json_text(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                f"Expected at level: {len(shape)}"
            )
        elif (fault := _leaf_fault(value, dtype)) is not None:
            yield fault
    elif level >= len(shape):
        yield f"Encountered list at unexpected level: {level} expected < {len(shape)}"
    elif len(value) != shape[level]:
        yield (f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}")
    else:
        for element in value:
            yield from _faults(element, dtype, level + 1, shape)


def _leaf_fault(value: Any, dtype: str) -> str | None:
    if isinstance(value, dict) and dtype == STRING:
        return _base64_fault(value)
    if dtype in _NOT_IN_JSON:
        return f"Conversion of JSON Value: {json_text(value)} to type: {dtype_text(dtype)}"
    if not isinstance(value, dict) and _fits(value, dtype):
        return None
    return f"JSON Value: {json_text(value)} Type: {json_type(value)} is not of expected type: {dtype_text(dtype)}"


def _base64_fault(value: dict[str, Any]) -> str | None:
    if not is_base64(value):
        return f"JSON Value: {json_text(value)} not formatted correctly for base64 data"
    try:
        decode_base64(value["b64"], where="")
    except GatewayError:
        return "Unable to base64 decode"
    return None


def _fits(value: Any, dtype: str) -> bool:
    kind = NUMPY_DTYPES[dtype].kind
    if kind == "O":
        return isinstance(value, str)
    if kind == "b":
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if kind == "f":
        return isinstance(value, int | float)
    return isinstance(value, int) and value in _RANGES.get(dtype, _INT32)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not is_base64(value)


def _size(shape: Shape) -> int:
    size = 1
    for dimension in shape:
        size *= dimension
    return size


def _shape_text(shape: Shape) -> str:
    return "[" + ",".join(map(str, shape)) + "]"
