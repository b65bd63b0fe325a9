"""tf.Example messages: of the gRPC API as they come, of the REST API made of JSON objects."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from service.codecs.json_tensor import decode_base64, is_base64
from service.core.bounds import InputBounds
from service.core.tensors import Tensor
from service.errors import ErrorKind, GatewayError, Violation, invalid_input
from service.protocols.tfserving.json_text import json_type
from service.wire import tensorflow_pb2 as tf_pb
from service.wire import tensorflow_serving_pb2 as serving_pb

_INT64 = range(-(2**63), 2**63)
_KINDS = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64"}


def serialized_examples(input_message: serving_pb.Input, *, bounds: InputBounds, hold: Callable[[int], None]) -> Tensor:
    """Returns the serialized examples [N], each with the context's features where it has none of that name.

    Args:
        input_message: The examples.
        bounds: Of their number, and of what they are together with their context.
        hold: Counts the bytes of the context, which each of them gets, before they are made.

    Raises:
        GatewayError: INVALID_INPUT when there are none, TOO_LARGE when there are too many, and what ``hold`` raises.
    """
    kind = input_message.WhichOneof("kind")
    holder: Any = getattr(input_message, kind) if kind else input_message.example_list
    bounds.check_rows(len(holder.examples), where="input.examples")
    if not holder.examples:
        raise GatewayError(ErrorKind.INVALID_INPUT, "Input is empty.")
    if kind == "example_list_with_context":
        size = len(holder.examples) * holder.context.ByteSize()
        bounds.check_bytes(size, where="the context of all examples")
        hold(size)
        return _array(_with_context(example, holder.context) for example in holder.examples)
    return _array(example.SerializeToString() for example in holder.examples)


def _with_context(example: tf_pb.Example, context: tf_pb.Example) -> bytes:
    merged = tf_pb.Example()
    merged.CopyFrom(context)
    for name, feature in example.features.feature.items():
        merged.features.feature[name].CopyFrom(feature)
    return merged.SerializeToString()


def _array(examples: Iterable[bytes]) -> Tensor:
    serialized = list(examples)
    array = np.empty(len(serialized), object)
    array[:] = serialized
    return array


def input_from_json(document: dict[str, Any], *, bounds: InputBounds) -> serving_pb.Input:
    """Returns the examples of a classify or regress body, already known to hold a list of them.

    Raises:
        GatewayError: INVALID_INPUT in upstream's words, TOO_LARGE.
    """
    examples = document["examples"]
    bounds.check_rows(len(examples), where="examples")
    message = serving_pb.Input()
    if "context" in document:
        holder: Any = message.example_list_with_context
        _fill(holder.context, document["context"], "context")
    else:
        holder = message.example_list
    for index, example in enumerate(examples):
        _fill(holder.examples.add(), example, f"examples[{index}]")
    return message


def _fill(example: tf_pb.Example, value: Any, where: str) -> None:
    if not isinstance(value, dict):
        raise _wrong(
            where, "an object", json_type(value), f"Example must be JSON object but got JSON {json_type(value)}"
        )
    for name, content in value.items():
        feature = example.features.feature[name]
        elements = content if isinstance(content, list) else [content]
        if not _extend(feature, elements):
            for element in elements:
                _add(feature, element, name, f"{where}.{name}")


def _extend(feature: tf_pb.Feature, elements: list[Any]) -> bool:
    """Adds elements that are all numbers of one kind, or all strings; returns whether they are."""
    kinds = set(map(type, elements))
    if kinds == {float}:
        feature.float_list.value.extend(elements)
    elif kinds == {str}:
        feature.bytes_list.value.extend([element.encode() for element in elements])
    elif kinds == {int} and min(elements) in _INT64 and max(elements) in _INT64:
        feature.int64_list.value.extend(elements)
    else:
        return False
    return True


def _add(feature: tf_pb.Feature, value: Any, name: str, where: str) -> None:
    kind, converted = _converted(value, name, where)
    present = feature.WhichOneof("kind")
    if present not in {None, kind}:
        text = f"Unexpected element type in feature: {name} expecting type: {_KINDS[present]}"
        raise _wrong(where, f"{_KINDS[present]} throughout", _KINDS[kind], text)
    getattr(feature, kind).value.append(converted)


def _converted(value: Any, name: str, where: str) -> tuple[str, Any]:
    """Returns the list of a feature that a value belongs into, and the value as it goes there."""
    match value:
        case bool():
            return "int64_list", int(value)
        case int():
            if value not in _INT64:
                text = f"Feature: {name} has uint64 element. Only int64 is supported."
                raise _wrong(where, "an integer of 64 bits", str(value), text)
            return "int64_list", value
        case float():
            return "float_list", value
        case str():
            return "bytes_list", value.encode()
        case dict() if is_base64(value):
            return "bytes_list", decode_base64(value["b64"], where=where)
        case _:
            text = f"Feature: {name} has element with unexpected JSON type: {json_type(value)}"
            raise _wrong(where, "a number, a string, or a list of them", json_type(value), text)


def _wrong(where: str, expected: str, got: str, text: str) -> GatewayError:
    return invalid_input(Violation(where, expected, got)).reworded(text)
