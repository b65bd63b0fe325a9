"""Recorded requests as lines of JSON: tensors as the Open Inference Protocol writes them, and what is known beside.

Numbers that are not finite are the bare tokens ``NaN``, ``Infinity`` and ``-Infinity``, as in every answer in JSON.
Inputs that are redacted are left out; ``redacted`` names them.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from service.codecs.json_arrays import as_lists
from service.codecs.json_document import JsonError, parse_json
from service.codecs.json_tensor import dump_json
from service.codecs.open_inference import datatype_of, dtype_of
from service.codecs.open_inference_json import BASE64, CONTENT_TYPE, decode_data, encode_data
from service.core.bounds import InputBounds
from service.core.record import Record
from service.core.tensors import Tensor
from service.errors import OK, Violation, invalid_input, shown

_INT64 = range(-(2**63), 2**63)
_CHUNK = 16_384
"""Elements that are written at once: between two of them other threads get their turn."""


def encode_line(record: Record) -> bytes:
    """Returns the line, with its end.

    Raises:
        GatewayError: NOT_SUPPORTED for complex numbers.
    """
    document: dict[str, Any] = {
        "time": datetime.fromtimestamp(record.time, UTC).isoformat(timespec="microseconds"),
        "request_id": record.request_id,
        "method": record.method,
        "model": record.model,
        "version": record.version,
        "signature": record.signature,
        "code": record.code,
        "seconds": round(record.seconds, 6),
    }
    if record.wanted:
        document["wanted"] = list(record.wanted)
    if record.redacted:
        document["redacted"] = sorted(record.redacted)
    kept = {name: tensor for name, tensor in record.inputs.items() if name not in record.redacted}
    document["inputs"] = encode_tensors(kept, where="inputs")
    if record.outputs is not None:
        document["outputs"] = encode_tensors(record.outputs, where="outputs")
    return dump_json(document) + b"\n"


def decode_line(line: bytes, *, bounds: InputBounds) -> Record:
    """Returns the request of a line, with its answer if it has one.

    Args:
        line: With or without its end.
        bounds: Of the document and its tensors.

    Raises:
        GatewayError: INVALID_INPUT when it is none.
    """
    try:
        document = parse_json(line, bounds=bounds, arrays=True)
    except JsonError as error:
        raise invalid_input(Violation("line", "JSON", f"something else: {error}")) from None
    if not isinstance(document, dict):
        raise invalid_input(Violation("line", "an object", shown(document)))
    version, outputs = document.get("version"), document.get("outputs")
    if not (version is None or (type(version) is int and version in _INT64)):
        raise invalid_input(Violation("version", "an integer of 64 bits", shown(version)))
    return Record(
        model=_text(document, "model"),
        signature=_text(document, "signature"),
        inputs=decode_tensors(document.get("inputs"), bounds=bounds, where="inputs"),
        outputs=decode_tensors(outputs, bounds=bounds, where="outputs") if outputs is not None else None,
        wanted=_texts(document, "wanted"),
        code=_text(document, "code", OK),
        version=version,
        method=_text(document, "method", ""),
        request_id=_text(document, "request_id", ""),
        redacted=_texts(document, "redacted"),
    )


def encode_tensors(tensors: Mapping[str, Tensor], *, where: str) -> list[dict[str, Any]]:
    """Returns tensors as an inference request or answer of the Open Inference Protocol has them, for `dump_json`.

    Raises:
        GatewayError: NOT_SUPPORTED for complex numbers.
    """
    entries = []
    for name, tensor in tensors.items():
        entry: dict[str, Any] = {"name": name, "datatype": datatype_of(tensor, where=where), "shape": tensor.shape}
        data, is_base64 = encode_data(tensor) if tensor.size <= _CHUNK else _in_chunks(tensor.reshape(-1))
        if is_base64:
            entry["parameters"] = {CONTENT_TYPE: BASE64}
        entries.append({**entry, "data": data})
    return entries


def _in_chunks(flat: Tensor) -> tuple[Any, bool]:
    if flat.dtype.kind == "O":
        return encode_data(flat)
    parts = (dump_json(encode_data(flat[start : start + _CHUNK])[0]) for start in range(0, len(flat), _CHUNK))
    return orjson.Fragment(b"[" + b",".join(part[1:-1] for part in parts) + b"]"), False


def decode_tensors(entries: Any, *, bounds: InputBounds, where: str) -> dict[str, Tensor]:
    """Returns the tensors of the entries by name.

    Raises:
        GatewayError: INVALID_INPUT when they are none, TOO_LARGE.
    """
    if not isinstance(entries, list):
        raise invalid_input(Violation(where, "a list", shown(entries)))
    tensors = {}
    for index, entry in enumerate(entries):
        place = f"{where}[{index}]"
        if not isinstance(entry, dict):
            raise invalid_input(Violation(place, "an object", shown(entry)))
        shape = _shape(entry.get("shape"), place)
        bounds.check_shape(shape, where=f"{place}.shape")
        parameters = entry.get("parameters")
        tensors[_text(entry, "name")] = decode_data(
            entry.get("data"),
            dtype_of(_text(entry, "datatype"), where=f"{place}.datatype"),
            shape,
            is_base64=isinstance(parameters, dict) and parameters.get(CONTENT_TYPE) == BASE64,
            bounds=bounds,
            where=f"{place}.data",
        )
    return tensors


def _shape(value: Any, where: str) -> tuple[int, ...]:
    sizes = as_lists(value)
    if not isinstance(sizes, list) or not set(map(type, sizes)) <= {int}:
        raise invalid_input(Violation(f"{where}.shape", "a list of integers", shown(value)))
    return tuple(sizes)


def _text(members: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = members.get(name, default)
    if not isinstance(value, str):
        raise invalid_input(Violation(name, "a string", "nothing" if value is None else shown(value)))
    return value


def _texts(members: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = members.get(name, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise invalid_input(Violation(name, "a list of strings", shown(values)))
    return tuple(values)
