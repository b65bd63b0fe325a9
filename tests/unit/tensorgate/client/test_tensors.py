"""Arrays of the client, held against what the server reads and writes."""

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from service.codecs.open_inference import DTYPES, decode_raw, encode_raw
from tensorgate.client.errors import InvalidInput, ServerError
from tensorgate.client.metadata import TensorSpec
from tensorgate.client.tensors import array_of, decode, encode


def spec(dtype: str) -> TensorSpec:
    return TensorSpec("x", dtype, (None,))


@pytest.mark.parametrize("datatype", [name for name in DTYPES if name not in {"BYTES", "BF16"}])
def test_numbers_come_as_they_went(datatype: str) -> None:
    dtype = DTYPES[datatype]
    array = np.array([[0, 1], [1, 0], [0, 1]], dtype)
    for sent in (array, array[::-1][:, ::-1], array.astype(array.dtype.newbyteorder(">")), np.asfortranarray(array)):
        name, data = encode(sent, dtype, "x")
        assert name == datatype
        np.testing.assert_array_equal(decode_raw(data, dtype, sent.shape, where="x"), sent)
    back = decode(datatype, array.shape, encode_raw(array), "x")
    np.testing.assert_array_equal(back, array)
    assert back.dtype == array.dtype
    assert back.flags.writeable


@pytest.mark.parametrize(
    "value", [["a", "é"], [b"a", b"\0\xff\0"], np.array(["a", "é"]), np.array(["a", b"x"], object)]
)
def test_strings_are_bytes(value: Any) -> None:
    array = array_of(value, spec("string"), "x")
    wanted = [one.encode() if isinstance(one, str) else one for one in value]
    name, data = encode(array, "string", "x")
    assert name == "BYTES"
    assert decode_raw(data, "string", (2,), where="x").tolist() == wanted
    assert decode("BYTES", (2,), encode_raw(array), "x").tolist() == wanted


def test_a_string_alone_is_a_scalar_whatever_bytes_it_has() -> None:
    array = array_of(b"ends\0\0", spec("string"), "x")
    assert array.shape == ()
    assert array.item() == b"ends\0\0"


def test_bfloat16_is_rounded_as_by_others_and_read_as_float32() -> None:
    numbers = np.array([0, -0.0, 1, 1.00390625, 1.01171875, 3.3e38, 3.4e38, 1e-40, np.inf, -np.inf, np.nan], np.float32)
    random = np.random.default_rng(0).normal(size=500).astype(np.float32)
    values = np.concatenate([numbers, random])
    name, data = encode(array_of(values, spec("bfloat16"), "x"), "bfloat16", "x")
    with np.errstate(over="ignore"):
        expected = values.astype(ml_dtypes.bfloat16)
    assert name == "BF16"
    np.testing.assert_array_equal(
        np.frombuffer(data, ml_dtypes.bfloat16).astype(np.float32), expected.astype(np.float32)
    )
    np.testing.assert_array_equal(decode("BF16", expected.shape, data, "x"), expected.astype(np.float32))
    assert encode(expected, "bfloat16", "x")[1] == expected.tobytes()


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        ([1, 2], "float32"),
        ([1.5], "float16"),
        ([1, 255], "uint8"),
        ([True], "bool"),
        (np.array([1.5]), "float32"),
        (np.array([-5]), "int8"),
        ([np.inf, np.nan], "float32"),
    ],
)
def test_numbers_are_made_what_the_model_takes(value: Any, dtype: str) -> None:
    array = array_of(value, spec(dtype), "x")
    assert array.dtype.name == dtype
    np.testing.assert_array_equal(array, np.asarray(value))


@pytest.mark.parametrize(
    ("value", "dtype", "got"),
    [
        ([1.5], "int32", "float64 [1]"),
        ([256], "uint8", "int64 [1] from 256 to 256"),
        ([-1], "uint64", "int64 [1] from -1 to -1"),
        ([1e39], "float32", "float64 [1] from 1e+39 to 1e+39"),
        ([1], "bool", "int64 [1]"),
        ([True], "float32", "bool [1]"),
        (["1"], "float32", "string [1]"),
        ([1j], "float32", "complex128 [1]"),
        ([[1], [1, 2]], "float32", "inhomogeneous"),
        ([None], "float32", "NoneType None"),
        ([1], "string", "int 1"),
    ],
)
def test_what_would_become_other_numbers_is_refused(value: Any, dtype: str, got: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        array_of(value, spec(dtype), "x")
    [violation] = refused.value.violations
    assert violation.where == "x"
    assert got in violation.got


def test_complex_numbers_cannot_travel() -> None:
    with pytest.raises(InvalidInput, match="expected a dtype that the Open Inference Protocol has, got complex64"):
        encode(np.array([1j], np.complex64), "complex64", "x")


@pytest.mark.parametrize(
    ("datatype", "shape", "data"),
    [("FP32", (2,), b"1234"), ("FP128", (1,), b""), ("BYTES", (1,), b"\5"), ("BYTES", (2,), b"\1\0\0\0a")],
)
def test_answers_that_are_not_what_they_say_are_the_servers_fault(
    datatype: str, shape: tuple[int, ...], data: bytes
) -> None:
    with pytest.raises(ServerError):
        decode(datatype, shape, data, "y")


def test_without_a_spec_arrays_are_left_as_they_are() -> None:
    assert array_of([1.5], None, "x").dtype == np.float64
    assert encode(array_of([1], None, "x"), "", "x")[0] == "INT64"
