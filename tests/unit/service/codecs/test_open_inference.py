import json
import re
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from service.codecs.json_document import parse_json
from service.codecs.json_tensor import dump_json
from service.codecs.open_inference import DATATYPES, DTYPES, datatype_of, decode_raw, dtype_of, encode_raw
from service.codecs.open_inference_contents import FIELDS, decode_contents, encode_contents
from service.codecs.open_inference_json import decode_data, encode_data
from service.core.bounds import InputBounds
from service.core.tensors import NUMPY_DTYPES, STRING, Tensor
from service.errors import ErrorKind, GatewayError
from service.wire import open_inference_pb2 as pb

BOUNDS = InputBounds()
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


def strings(values: list[bytes]) -> Tensor:
    array = np.empty(len(values), object)
    array[:] = values
    return array


@st.composite
def tensors(draw: st.DrawFn, dtypes: list[str] | None = None, elements: Any = None) -> tuple[str, Tensor]:
    dtype = draw(st.sampled_from(dtypes or list(DATATYPES)))
    shape = draw(SHAPES)
    count = int(np.prod(shape))
    if dtype == STRING:
        values = draw(st.lists(elements or st.binary(max_size=20), min_size=count, max_size=count))
        return dtype, strings(values).reshape(shape)
    target = NUMPY_DTYPES[dtype]
    if dtype == "bool":
        return dtype, draw(hnp.arrays(np.bool_, shape))
    data = draw(st.binary(min_size=count * target.itemsize, max_size=count * target.itemsize))
    return dtype, np.frombuffer(data, target).reshape(shape)


def assert_same(decoded: Tensor, tensor: Tensor) -> None:
    assert decoded.dtype == tensor.dtype
    assert decoded.shape == tensor.shape
    if tensor.dtype.kind == "O":
        assert decoded.tolist() == tensor.tolist()
    else:
        assert decoded.tobytes() == tensor.tobytes()


@given(tensors())
def test_raw_bytes_are_read_as_they_were_written(drawn: tuple[str, Tensor]) -> None:
    dtype, tensor = drawn
    raw = encode_raw(tensor)
    assert_same(decode_raw(raw, dtype, tensor.shape, where="x"), tensor)


@given(tensors(list(FIELDS)))
def test_typed_contents_are_read_as_they_were_written(drawn: tuple[str, Tensor]) -> None:
    dtype, tensor = drawn
    if tensor.dtype.kind == "f":
        tensor = np.nan_to_num(tensor)  # what NaNs look like is the processor's affair
    message = pb.InferTensorContents.FromString(encode_contents(tensor, dtype).SerializeToString())
    assert_same(decode_contents(message, dtype, tensor.shape, where="x"), tensor)


@given(tensors())
def test_json_is_read_as_it_was_written(drawn: tuple[str, Tensor]) -> None:
    dtype, tensor = drawn
    if dtype in {"float16", "float32", "float64", "bfloat16"}:
        with np.errstate(invalid="ignore"):  # some NaNs of bfloat16 complain of being looked at
            tensor = np.where(np.isnan(tensor), tensor.dtype.type(0), tensor)
    data, is_base64 = encode_data(tensor)
    document = parse_json(dump_json({"data": data}), bounds=BOUNDS)
    decoded = decode_data(document["data"], dtype, tensor.shape, is_base64=is_base64, bounds=BOUNDS, where="x")
    assert_same(decoded, tensor)


@given(st.binary(max_size=100), st.sampled_from(list(DATATYPES)), SHAPES)
def test_no_raw_bytes_whatever_crash_it(data: bytes, dtype: str, shape: tuple[int, ...]) -> None:
    try:
        decoded = decode_raw(data, dtype, shape, where="x")
    except GatewayError as error:
        assert error.kind is ErrorKind.INVALID_INPUT
        assert error.violations[0].where.startswith("x")
    else:
        assert encode_raw(decoded) == data


@given(st.binary(max_size=60), st.sampled_from(list(DATATYPES)), SHAPES)
def test_no_contents_whatever_crash_it(data: bytes, dtype: str, shape: tuple[int, ...]) -> None:
    try:
        contents = pb.InferTensorContents.FromString(data)
    except Exception:  # protobuf's own refusal
        return
    try:
        assert decode_contents(contents, dtype, shape, where="x").shape == shape
    except GatewayError as error:
        assert error.kind is ErrorKind.INVALID_INPUT


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=12,
)


@given(JSON, st.sampled_from(list(DATATYPES)), SHAPES, st.booleans())
def test_no_json_whatever_crashes_it(data: Any, dtype: str, shape: tuple[int, ...], is_base64: bool) -> None:
    try:
        decoded = decode_data(data, dtype, shape, is_base64=is_base64, bounds=BOUNDS, where="x")
    except GatewayError as error:
        assert error.kind is ErrorKind.INVALID_INPUT
    else:
        assert decoded.shape == shape


def test_numbers_are_not_copied() -> None:
    data = np.arange(6, dtype=np.float32).tobytes()
    decoded = decode_raw(memoryview(data), "float32", (2, 3), where="x")
    assert not decoded.flags.owndata
    assert not decoded.flags.writeable


def packed(*values: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(value)) + value for value in values)


@pytest.mark.parametrize(
    ("data", "dtype", "shape", "where", "expected"),
    [
        (b"123", "float32", (1,), "x", "4 bytes, as float32 [1] has"),
        (b"12345", "float32", (1,), "x", "4 bytes"),
        (b"\0\1\2", "bool", (3,), "x, element 2", "a byte that is 0 or 1"),
        (packed(b"a"), STRING, (2,), "x", "2 elements of 4 bytes or more"),
        (packed(b"a", b"bc")[:-1], STRING, (2,), "x, element 1 at byte 9", "2 bytes, as its length says"),
        (packed(b"a" * 10) + b"\1\0", STRING, (2,), "x, element 1 at byte 14", "a length of 4 bytes"),
        (packed(b"a", b"b"), STRING, (1,), "x", "1 elements, as the shape says"),
        (b"\xff\xff\xff\xff", STRING, (1,), "x, element 0 at byte 4", "4294967295 bytes"),
        (b"", STRING, (2**26,), "x", "67108864 elements"),
        (b"", "float32", (2**26,), "x", "268435456 bytes"),
    ],
)
def test_raw_bytes_that_do_not_fit_are_refused(
    data: bytes, dtype: str, shape: tuple[int, ...], where: str, expected: str
) -> None:
    with pytest.raises(GatewayError) as caught:
        decode_raw(data, dtype, shape, where=where[:1])
    violation = caught.value.violations[0]
    assert violation.where == where
    assert violation.expected.startswith(expected)


@pytest.mark.parametrize(
    ("contents", "dtype", "where"),
    [
        ({"fp32_contents": [1]}, "float32", "x.fp32_contents"),
        ({"fp64_contents": [1, 2]}, "float32", "x"),
        ({"fp32_contents": [1, 2], "bool_contents": [True]}, "float32", "x"),
        ({"int_contents": [1, 300]}, "int8", "x.int_contents[1]"),
        ({"uint_contents": [2**16, 0]}, "uint16", "x.uint_contents[0]"),
        ({"fp32_contents": [1, 2]}, "float16", "x"),
        ({"fp32_contents": [1, 2]}, "bfloat16", "x"),
        ({}, "float16", "x"),
        ({}, STRING, "x.bytes_contents"),
    ],
)
def test_contents_that_do_not_fit_are_refused(contents: dict[str, Any], dtype: str, where: str) -> None:
    with pytest.raises(GatewayError) as caught:
        decode_contents(pb.InferTensorContents(**contents), dtype, (2,), where="x")
    assert (caught.value.kind, caught.value.violations[0].where) == (ErrorKind.INVALID_INPUT, where)


@pytest.mark.parametrize(
    ("data", "dtype", "where"),
    [
        (5, "int32", "x"),
        (None, "int32", "x"),
        ([1, 2, 3], "int32", "x"),
        ([[1], [2, 3]], "int32", "x[1]"),
        ([1, 2.5], "int32", "x[1]"),
        ([1, True], "int32", "x[1]"),
        ([1, 300], "uint8", "x"),
        (["a", 1], STRING, "x[1]"),
    ],
)
def test_data_that_does_not_fit_is_refused(data: Any, dtype: str, where: str) -> None:
    with pytest.raises(GatewayError) as caught:
        decode_data(data, dtype, (2,), is_base64=False, bounds=BOUNDS, where="x")
    assert (caught.value.kind, caught.value.violations[0].where) == (ErrorKind.INVALID_INPUT, where)


@pytest.mark.parametrize("data", [["YQ==", "?"], ["YQ==", 1], ["YQ==", "ä"]])
def test_data_that_is_no_base64_is_refused(data: Any) -> None:
    with pytest.raises(GatewayError) as caught:
        decode_data(data, STRING, (2,), is_base64=True, bounds=BOUNDS, where="x")
    assert "1" in caught.value.violations[0].where


def test_data_may_be_nested_or_flat() -> None:
    for data in ([1, 2, 3, 4, 5, 6], [[1, 2, 3], [4, 5, 6]]):
        decoded = decode_data(data, "int64", (2, 3), is_base64=False, bounds=BOUNDS, where="x")
        assert decoded.tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize(
    ("data", "shape", "got"),
    [
        ([[1, 2, 3], [4, 5, 6]], (3, 2), "[2, 3]"),
        ([[1, 2, 3], [4, 5, 6]], (6,), "[2, 3]"),
        ([[1, 2, 3, 4, 5, 6]], (2, 3), "[1, 6]"),
        ([[[1], [2], [3]], [[4], [5], [6]]], (2, 3), "[2, 3, 1]"),
        ([[1]], (), "[1, 1]"),
        ([[]], (0, 1), "[1, 0]"),
    ],
)
@pytest.mark.parametrize("is_base64", [False, True])
def test_data_nested_in_another_shape_is_refused(data: Any, shape: tuple[int, ...], got: str, is_base64: bool) -> None:
    dtype = STRING if is_base64 else "int64"
    if is_base64:
        data = json.loads(re.sub("([0-9])", '"YQ=="', json.dumps(data)))
    with pytest.raises(GatewayError) as caught:
        decode_data(data, dtype, shape, is_base64=is_base64, bounds=BOUNDS, where="x")
    violation = caught.value.violations[0]
    assert (caught.value.kind, violation.where) == (ErrorKind.INVALID_INPUT, "x")
    assert str(list(shape)) in violation.expected
    assert got in violation.got


def test_strings_are_text_where_all_of_them_are() -> None:
    assert encode_data(strings([b"a", "ä".encode()])) == (["a", "ä"], False)
    assert encode_data(strings([b"a", b"\xff"])) == (["YQ==", "/w=="], True)


def test_datatypes_are_named_both_ways() -> None:
    assert {dtype_of(datatype, where="x") for datatype in DTYPES} == set(DATATYPES)
    assert datatype_of(strings([b""]), where="x") == "BYTES"
    with pytest.raises(GatewayError, match=r"one of BOOL, UINT8.*'FLOAT'"):
        dtype_of("FLOAT", where="x")
    with pytest.raises(GatewayError) as caught:
        datatype_of(np.zeros(1, np.complex64), where="x")
    assert caught.value.kind is ErrorKind.NOT_SUPPORTED
