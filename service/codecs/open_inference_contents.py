"""Typed contents of the Open Inference Protocol over gRPC: its repeated fields to numpy arrays and back."""

from collections.abc import Sequence
from math import prod

import numpy as np

from service.codecs.packed import append_packed, is_packable, read_numbers
from service.core.tensors import NUMPY_DTYPES, STRING, Tensor
from service.errors import Violation, invalid_input
from service.wire import open_inference_pb2 as pb

FIELDS = {
    "bool": "bool_contents",
    **dict.fromkeys(("int8", "int16", "int32"), "int_contents"),
    "int64": "int64_contents",
    **dict.fromkeys(("uint8", "uint16", "uint32"), "uint_contents"),
    "uint64": "uint64_contents",
    "float32": "fp32_contents",
    "float64": "fp64_contents",
    STRING: "bytes_contents",
}
"""The field of each dtype, by TensorFlow's name; float16 and bfloat16 have none, and are sent as raw bytes only."""


def decode_contents(contents: pb.InferTensorContents, dtype: str, shape: Sequence[int], *, where: str) -> Tensor:
    """Returns the tensor.

    Args:
        contents: With as many values as the shape says, in the field of the dtype.
        dtype: TensorFlow's name of the dtype.
        shape: Of the tensor; one that was found to be within bounds.
        where: Path of the contents, for errors.

    Raises:
        GatewayError: INVALID_INPUT when the contents are not what dtype and shape say, or the dtype has no field.
    """
    if dtype not in FIELDS:
        raise invalid_input(Violation(where, f"raw_input_contents, as {dtype} has no field of its own", "none"))
    field = FIELDS[dtype]
    for other, _ in contents.ListFields():
        if other.name != field:
            raise invalid_input(Violation(where, f"{dtype} in {field}", other.name))
    values = getattr(contents, field)
    count = prod(shape)
    if len(values) != count:
        raise invalid_input(Violation(f"{where}.{field}", f"{count} values, as the shape says", str(len(values))))
    if dtype == STRING:
        strings = np.empty(count, object)
        strings[:] = list(values)
        return strings.reshape(shape)
    return _narrowed(values, NUMPY_DTYPES[dtype], f"{where}.{field}").reshape(shape)


def encode_contents(tensor: Tensor, dtype: str) -> pb.InferTensorContents:
    """Returns the contents of a tensor whose dtype has a field."""
    if is_packable(tensor):
        contents = pb.InferTensorContents()
        append_packed(contents, FIELDS[dtype], tensor)
        return contents
    return pb.InferTensorContents(**{FIELDS[dtype]: tensor.ravel().tolist()})


def _narrowed(values: Sequence[float], target: "np.dtype[np.generic]", where: str) -> Tensor:
    """Returns the numbers in a dtype that may be narrower than their field."""
    wide = read_numbers(values, target if target.kind in "bf" else f"{target.kind}8")
    narrow = wide.astype(target, copy=False)
    outside = wide != narrow
    if target.kind in "iu" and outside.any():
        index = int(np.argmax(outside))
        raise invalid_input(Violation(f"{where}[{index}]", f"a number within {target.name}", str(wide[index])))
    return narrow
