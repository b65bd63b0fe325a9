"""Two answers held against each other."""

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from service.core.tensors import Tensor
from service.replay.compare import Difference, Tolerance, differences
from service.replay.target import UNNAMED

EXACTLY = Tolerance(0, 0)


def found(expected: Any, got: Any, tolerance: Tolerance = EXACTLY, **options: Any) -> list[Difference]:
    return list(differences({"y": np.asarray(expected)}, {"y": np.asarray(got)}, tolerance, **options))


def of(dtype: Any, values: Any) -> Tensor:
    return np.array(values, dtype)


def texts(*values: bytes) -> Tensor:
    return np.array(values, object)


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        (of(np.float32, [1, np.nan, np.inf, -np.inf]), of(np.float32, [1, np.nan, np.inf, -np.inf])),
        (of(np.float32, [0.1]), of(np.float64, [0.1])),  # as JSON has it
        (of(np.float32, [1.0]), of(np.int64, [1])),
        (np.array([0.1], ml_dtypes.bfloat16), of(np.float64, [0.1])),
        (of(np.int64, [2**62 + 1]), of(np.int64, [2**62 + 1])),
        (np.array([True]), np.array([True])),
        (of(np.complex64, [1j]), of(np.complex64, [1j])),
        (texts(b"a", b"b"), texts(b"a", b"b")),
        (np.zeros((0, 3), np.float32), np.zeros((0, 3))),
        (of(np.float32, 3), of(np.float64, 3)),
    ],
)
def test_what_is_equal_does_not_differ(expected: Tensor, got: Tensor) -> None:
    assert found(expected, got) == []


def test_the_largest_difference_is_told_with_its_place() -> None:
    [difference] = found(of(np.float32, [[1, 2], [3, 4]]), of(np.float32, [[1.5, 2], [1, 4]]))
    assert difference == Difference("y", (1, 0), "3.0", "1.0", 2.0, 2)


@pytest.mark.parametrize(
    ("expected", "got", "size"),
    [
        (of(np.int64, [2**62 + 1]), of(np.int64, [2**62]), 0.0),  # whose float64 is the same
        (of(np.float32, [np.nan]), of(np.float32, [0]), np.inf),
        (of(np.float32, [np.inf]), of(np.float32, [1]), np.inf),
        (of(np.float32, [1]), of(np.float32, [-np.inf]), np.inf),
        (of(np.uint8, [0]), of(np.uint8, [255]), 255.0),
        (np.array([True]), np.array([False]), 1.0),
        (texts(b"a"), texts(b"b"), np.inf),
    ],
)
def test_what_differs_is_found(expected: Tensor, got: Tensor, size: float) -> None:
    [difference] = found(expected, got, Tolerance(1e9, 1e9) if expected.dtype.kind in "Oub" else EXACTLY)
    assert (difference.index, difference.size) == ((0,), size)


def test_floats_may_differ_within_the_tolerance() -> None:
    expected, got = of(np.float32, [100.0, 0.0]), of(np.float32, [100.05, 0.001])
    assert found(expected, got, Tolerance(1e-3, 0))[0].index == (1,)
    assert found(expected, got, Tolerance(0, 0.01))[0].index == (0,)
    assert found(expected, got, Tolerance(1e-3, 0.01)) == []
    assert found(of(np.float32, [np.inf]), of(np.float32, [1]), Tolerance(1, 1)) != []


def test_shapes_and_kinds_are_compared() -> None:
    [difference] = found(np.zeros((1, 2), np.float32), np.zeros(2, np.float32))
    assert (difference.expected, difference.got) == ("float32 [1, 2]", "float32 [2]")
    [difference] = found(np.zeros(1, np.float32), texts(b"0"))
    assert (difference.expected, difference.got) == ("float32 [1]", "string [1]")
    assert found(np.zeros((2, 1), np.float32), np.zeros(2, np.float32), flat=True) == []


def test_outputs_are_told_apart_by_name() -> None:
    one: dict[str, Tensor] = {"a": np.ones(1), "b": np.ones(1)}
    assert [each.output for each in differences(one, {"b": np.ones(1), "c": np.ones(1)}, EXACTLY)] == ["a", "c"]
    assert list(differences({"a": np.ones(1)}, {UNNAMED: np.ones(1)}, EXACTLY)) == []
    assert list(differences({UNNAMED: np.ones(1)}, {"a": np.ones(1)}, EXACTLY)) == []
    assert len(list(differences(one, {UNNAMED: np.ones(1)}, EXACTLY))) == 3
