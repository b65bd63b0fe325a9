from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from service.codecs.json_lists import decode_numbers
from service.errors import ErrorKind, GatewayError

FINITE = arrays.arrays(
    np.float32,
    arrays.array_shapes(min_dims=1, max_dims=4, max_side=4),
    elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
)


def refusal(value: Any) -> str:
    with pytest.raises(GatewayError) as caught:
        decode_numbers(value, where="x")
    assert caught.value.kind is ErrorKind.INVALID_INPUT
    return str(caught.value)


@given(FINITE)
def test_what_is_encoded_decodes_to_the_same(array: Any) -> None:
    decoded = decode_numbers(orjson.loads(orjson.dumps(array.tolist())), where="x")
    assert decoded.dtype == np.float32
    np.testing.assert_array_equal(decoded, array)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=2), children, max_size=2),
    max_leaves=20,
)


@given(JSON)
def test_anything_else_is_refused_and_nothing_crashes(value: Any) -> None:
    try:
        decoded = decode_numbers(value, where="x")
    except GatewayError as error:
        assert error.violations
    else:
        assert np.isfinite(decoded).all()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("12", "x: expected a list of numbers, got '12'"),
        (5, "x: expected a list of numbers, got 5"),
        ([], "x: expected a list of numbers, got an empty list"),
        ([[1, 2], []], "x[1]: expected 2 elements, as the first one has, got 0"),
        ([[1, 2], [3]], "x[1]: expected 2 elements, as the first one has, got 1"),
        ([[1, 2], 3], "x[1]: expected a list of 2, as the first one has, got 3"),
        ([[[1], [2]], [[1, 2], [3, 4]]], "x[1][0]: expected 1 elements, as the first one has, got 2"),
        ([[[1]], [1]], "x[1][0]: expected a list of 1, as the first one has, got 1"),
        ([[], [1]], "x[1]: expected 0 elements, as the first one has, got 1"),
        ([1, [2]], "x[1]: expected a number, got a list of 1"),
        ([1, "2"], "x[1]: expected a number, got '2'"),
        ([1, None], "x[1]: expected a number, got null"),
        ([True, False], "x[0]: expected a number, got true"),
        ([{}], "x[0]: expected a number, got an object"),
        ([[1, float("nan")]], "x[0][1]: expected a finite number within float32, got nan"),
        ([1e39], "x[0]: expected a finite number within float32, got 1e+39"),
        ([-float("inf")], "x[0]: expected a finite number within float32, got -inf"),
    ],
)
def test_a_refusal_names_the_first_element_that_is_wrong(value: Any, text: str) -> None:
    assert refusal(value) == text


def test_lists_may_not_be_deeper_than_a_few_levels() -> None:
    value: Any = 1
    for _ in range(100):
        value = [value]
    assert "at most 8 deep" in refusal(value)


def test_a_long_string_among_numbers_costs_nothing() -> None:
    # To numpy these would be a hundred thousand strings of ten million characters each.
    assert refusal([0] * 100_000 + ["x" * 10_000_000]).startswith("x[100000]: expected a number, got 'xxx")


def test_booleans_among_numbers_are_refused() -> None:
    assert refusal([[1, 2], [3, True]]) == "x[1][1]: expected a number, got true"


def test_integers_beyond_every_type_are_refused() -> None:
    assert refusal([10**400])
