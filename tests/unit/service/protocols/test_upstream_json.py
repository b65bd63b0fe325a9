"""Upstream's words for JSON that makes no tensor, held against the decoder: one is wrong exactly when the other is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.codecs.json_tensor import decode_json_tensor
from service.core.bounds import InputBounds
from service.core.tensors import Signature, TensorSpec
from service.errors import GatewayError
from service.protocols.tfserving.instances import predict_body
from service.protocols.tfserving.json_text import json_text
from service.protocols.tfserving.upstream_json import fault_of_tensor

BOUNDS = InputBounds()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-100, 100) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.fixed_dictionaries({"b64": inner}),
    max_leaves=10,
)


def signature(**inputs: str) -> Signature:
    return Signature("serving_default", "", {name: TensorSpec(dtype, None) for name, dtype in inputs.items()}, {})


@pytest.mark.parametrize("dtype", ["float32", "int32", "int64", "bool", "string"])
@given(value=VALUES)
def test_upstream_has_words_exactly_where_the_decoder_refuses(dtype: str, value: Any) -> None:
    try:
        decode_json_tensor(value, dtype, bounds=BOUNDS, where="x")
    except GatewayError:
        assert fault_of_tensor(value, dtype) is not None
    else:
        assert fault_of_tensor(value, dtype) is None


@pytest.mark.parametrize(
    ("instances", "inputs", "text", "where"),
    [
        ([{"a": 1}], {"a": "float32", "b": "float32"}, 'Failed to process element: 0 of \'instances\' list. JSON object: {\n    "a": 1\n} keys must be equal to: a,b', "instances[0]"),
        ([1], {"a": "float32", "b": "float32"}, "instances is a plain list, but expecting list of objects as multiple input tensors required as per tensorinfo_map", "instances[0]"),
        ([{"a": 1}, 2], {"a": "float32"}, "Expecting object but got list at item 1 of input list", "instances[1]"),
        ([{"a": [1, 2]}, {"a": [1]}], {"a": "float32"}, "Failed to process element: 1 key: a of 'instances' list. Error: INVALID_ARGUMENT: Expecting tensor size: 2 but got: 1", "instances[1].a"),
        ([{"a": [[1, 2]]}, {"a": [[1], [2]]}], {"a": "float32"}, "Failed to process element: 1 key: a of 'instances' list. Error: INVALID_ARGUMENT: Expecting shape [1,2] but got: [2,1]", "instances[1].a"),
        ([{"a": [1, "x"]}], {"a": "int64"}, "Failed to process element: 0 key: a of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: \"x\" Type: String is not of expected type: int64", "instances[0].a[1]"),
        ([[1, [2]]], {"a": "float32"}, "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: Encountered list at unexpected level: 1 expected < 1", "instances[0][1]"),
        ([[[1], [1, 2]]], {"a": "float32"}, "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: Encountered list at unexpected size: 2 at level: 1 expected size: 1", "instances[0][1]"),
        ([[[1], 2]], {"a": "float32"}, "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2", "instances[0][1]"),
        ([{"b64": "%"}], {"a": "string"}, "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: Unable to base64 decode", "instances"),
        ([{"b64": "YQ=="}], {"a": "float32"}, 'Failed to process element: 0 of \'instances\' list. Error: INVALID_ARGUMENT: JSON Value: {\n    "b64": "YQ=="\n} Type: Object is not of expected type: float', "instances[0]"),
        ([None], {"a": "float64"}, "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: null Type: Null is not of expected type: double", "instances[0]"),
    ],
)  # fmt: skip
def test_rows_are_refused_in_upstreams_words_with_our_place(
    instances: list[Any], inputs: dict[str, str], text: str, where: str
) -> None:
    with pytest.raises(GatewayError) as caught:
        predict_body({"instances": instances}, signature(**inputs), bounds=BOUNDS)
    assert caught.value.message == text
    assert caught.value.violations[0].where == where


def test_an_integer_out_of_range_is_refused_where_upstream_wraps_it_around() -> None:
    with pytest.raises(GatewayError, match="expected numbers within int8, got 300"):
        predict_body({"inputs": [300]}, signature(a="int8"), bounds=BOUNDS)


@given(VALUES)
def test_a_value_is_quoted_in_at_most_256_bytes(value: Any) -> None:
    assert len(json_text([value] * 40).encode()) <= 256


def test_an_integer_of_any_length_is_quoted() -> None:
    assert json_text(2**70) == "1180591620717411303424"


def test_a_deep_value_is_quoted_too() -> None:
    deep: Any = 1
    for _ in range(900):
        deep = {"a": [deep]}
    assert json_text(deep).startswith('{\n    "a": [{')
