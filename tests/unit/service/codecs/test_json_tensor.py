import base64
import json
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from service.codecs.json_tensor import decode_base64, decode_json_tensor, dump_json, encode_base64, jsonable
from service.core.bounds import InputBounds
from service.core.tensors import NUMPY_DTYPES
from service.errors import ErrorKind, GatewayError

BOUNDS = InputBounds(max_tensor_elements=1000, max_json_depth=6)
NUMBERS = [name for name, dtype in NUMPY_DTYPES.items() if dtype.kind not in "cO"]
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["b64", "x"]), inner, max_size=2),
    max_leaves=12,
)


def decoded(value: Any, dtype: str) -> Any:
    return decode_json_tensor(value, dtype, bounds=BOUNDS, where="x")


def refusal(value: Any, dtype: str) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        decoded(value, dtype)
    return caught.value


@pytest.mark.parametrize("dtype", NUMBERS)
@given(data=st.data())
def test_numbers_come_back(dtype: str, data: st.DataObject) -> None:
    words = NUMPY_DTYPES[dtype]
    shape = data.draw(arrays.array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=3))
    drawn = np.dtype(np.float32) if dtype == "bfloat16" else words
    tensor = data.draw(arrays.arrays(drawn, shape)).astype(words)
    value = json.loads(dump_json({"x": jsonable(tensor)}))["x"]  # Python's parser takes NaN and Infinity as written
    back = decoded(value, dtype)
    assert (back.dtype, back.shape) == (tensor.dtype, tensor.shape)
    np.testing.assert_array_equal(back.astype(np.float64), tensor.astype(np.float64))
    if words.kind in "iu":
        assert (back == tensor).all()


@given(st.lists(st.binary(max_size=6), min_size=1, max_size=5))
def test_bytes_come_back_as_base64(values: list[bytes]) -> None:
    assert decoded([encode_base64(value) for value in values], "string").tolist() == values


@given(st.binary(max_size=20))
def test_base64_is_read_in_both_alphabets_padded_or_not(data: bytes) -> None:
    for text in (base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()):
        assert decode_base64(text, where="x") == data
        assert decode_base64(text.rstrip("="), where="x") == data


@pytest.mark.parametrize("text", ["a", "%%%%", "YQ==YQ==", "é"])
def test_what_is_no_base64_is_refused(text: str) -> None:
    with pytest.raises(GatewayError, match="x: expected base64"):
        decode_base64(text, where="x")


@pytest.mark.parametrize(
    ("value", "dtype", "shape"),
    [
        (5, "int64", ()),
        ([], "float32", (0,)),
        ([[], []], "float32", (2, 0)),
        ([[["a"]]], "string", (1, 1, 1)),
        ("a", "string", ()),
        ({"b64": "YQ"}, "string", ()),
    ],
)
def test_the_shape_is_the_lists(value: Any, dtype: str, shape: tuple[int, ...]) -> None:
    assert decoded(value, dtype).shape == shape


def test_floats_may_be_any_number() -> None:
    np.testing.assert_array_equal(decoded([1, 2.5, 1e40, -1e40], "float32"), np.array([1, 2.5, np.inf, -np.inf], "f4"))
    np.testing.assert_array_equal(decoded([1, 2.5, 1e6], "float16"), np.array([1, 2.5, np.inf], "f2"))
    assert decoded([1.5], "bfloat16").dtype == ml_dtypes.bfloat16


@pytest.mark.parametrize(
    ("value", "dtype", "message"),
    [
        ([1, [2]], "float32", "x[1]: expected a number, got a list of 1"),
        ([[1], 2], "float32", "x[1]: expected a list of 1, as the first one has, got 2"),
        ([[1, 2], [3]], "float32", "x[1]: expected 2 elements, as the first one has, got 1"),
        ([[1, 2], [3, "4"]], "float32", "x[1][1]: expected a number, got '4'"),
        ([True], "float32", "x[0]: expected a number, got true"),
        ([1.0], "int32", "x[0]: expected an integer, got 1.0"),
        ([1], "bool", "x[0]: expected true or false, got 1"),
        ([None], "string", "x[0]: expected a string, got null"),
        ([{"b65": ""}], "string", "x: expected a string, or {\"b64\": \"...\"}, got an object"),
        ([300], "int8", "x: expected numbers within int8, got 300"),
        ([2**63], "int64", "x: expected numbers within int64, got 9223372036854775808"),
        ([-1], "uint64", "x: expected numbers within uint64, got -1"),
        ([10**400], "float64", "x: expected numbers within float64, got an integer beyond float64"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(value: Any, dtype: str, message: str) -> None:
    error = refusal(value, dtype)
    assert (error.kind, error.message) == (ErrorKind.INVALID_INPUT, message)


def test_size_and_depth_are_bounded() -> None:
    assert "max_tensor_elements" in refusal([0] * 1001, "float32").message
    deep: Any = 0
    for _ in range(7):
        deep = [deep]
    error = refusal(deep, "float32")
    assert (error.kind, "max_json_depth" in error.message) == (ErrorKind.TOO_LARGE, True)


def test_complex_numbers_have_no_form() -> None:
    assert refusal([1], "complex64").kind is ErrorKind.NOT_SUPPORTED
    with pytest.raises(GatewayError, match="complex64 has no form in JSON"):
        jsonable(np.zeros(1, np.complex64))


def test_numbers_that_are_not_finite_are_bare_tokens() -> None:
    tensor = np.array([[0.1, np.nan], [np.inf, -np.inf]], np.float32)
    assert dump_json(jsonable(tensor)) == b"[[0.1,NaN],[Infinity,-Infinity]]"
    assert dump_json(jsonable(np.array(np.nan, np.float64))) == b"NaN"


def test_columns_of_another_array_are_written_as_they_read() -> None:
    assert dump_json(jsonable(np.arange(6).reshape(2, 3).T)) == b"[[0,3],[1,4],[2,5]]"


@pytest.mark.parametrize("dtype", ["float32", "int8", "uint64", "bool", "string"])
@given(value=JSON_VALUES)
def test_no_value_whatever_crashes_it(dtype: str, value: Any) -> None:
    try:
        decoded(value, dtype)
    except GatewayError:
        return
