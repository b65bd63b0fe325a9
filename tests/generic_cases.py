"""What any generic protocol must answer, and refuse, of the models in `zoo_models`: in no protocol's terms."""

import ml_dtypes
import numpy as np

from tests.questions import Array, Question, texts

F4, I8 = np.float32, np.int64
LIMITS = {"max_request_rows": 64, "max_tensor_elements": 4096, "max_name_length": 40}
"""The settings of the server that is asked."""


def floats(*values: float) -> Array:
    return np.array(values, F4)


ANSWERS: dict[str, tuple[Question, dict[str, Array], int]] = {
    "several inputs and outputs": (
        Question("pair", {"left": np.array([[1, 2], [3, 4]], F4), "right": np.array([10, 20], I8)}),
        {"sum": np.array([[11, 12], [23, 24]], F4), "scaled": np.array([5.0, 10.0])},
        1,
    ),
    "zero rows": (
        Question("pair", {"left": np.zeros((0, 2), F4), "right": np.zeros(0, I8)}),
        {"sum": np.zeros((0, 2), F4), "scaled": np.zeros(0)},
        1,
    ),
    "strings, and bytes that are none": (
        Question("words", {"text": texts(["añb", b"\xff\x00", ""])}),
        {"upper": texts(["AñB", b"\xff\x00", ""]), "length": np.array([4, 2, 0], np.int32), "raw_bytes": texts(["añb", b"\xff\x00", ""])},
        1,
    ),
    "no batch dimension": (Question("vector", {"x": floats(1, 2, 3)}), {"y": floats(2, 4, 6), "total": np.array(6, F4)}, 1),
    "a scalar": (Question("scalar", {"x": np.array(1.5, F4)}), {"y": np.array(3, F4)}, 1),
    "any rank: 0": (Question("anything", {"x": np.array(1.5, F4)}), {"y": np.array(3, F4)}, 1),
    "any rank: 3": (Question("anything", {"x": np.ones((2, 1, 3), F4)}), {"y": np.full((2, 1, 3), 2, F4)}, 1),
    "another signature": (Question("modes", {"x": floats(3)}, signature="square"), {"y": floats(9)}, 1),
    "the newest version": (Question("versions", {"x": floats(0)}), {"y": floats(2)}, 2),
    "a version": (Question("versions", {"x": floats(0)}, version=1), {"y": floats(1)}, 1),
    "a label": (Question("versions", {"x": floats(0)}, version="stable"), {"y": floats(1)}, 1),
    "an input that is given in place of its default": (Question("optional", {"x": floats(1), "scale": np.array(3, F4)}), {"y": floats(3)}, 1),
    "not finite": (Question("modes", {"x": floats(np.nan, np.inf, -np.inf)}, signature="negate"), {"y": floats(np.nan, -np.inf, np.inf)}, 1),
}  # fmt: skip

SELECTIONS: dict[str, tuple[Question, dict[str, Array]]] = {
    "one output of several": (
        Question("vector", {"x": floats(1, 2, 3)}, outputs=["total"]),
        {"total": np.array(6, F4)},
    ),
    "outputs in an order of one's own": (
        Question("vector", {"x": floats(1, 2, 3)}, outputs=["y", "total"]),
        {"y": floats(2, 4, 6), "total": np.array(6, F4)},
    ),
}

REFUSALS: dict[str, tuple[Question, str, str]] = {
    "unknown model": (Question("nope", {"x": floats(1)}), "model_not_found", "model"),
    "unknown version": (Question("versions", {"x": floats(1)}, version=9), "model_not_found", "version"),
    "unknown label": (Question("versions", {"x": floats(1)}, version="nope"), "label_not_found", "label"),
    "unknown signature": (Question("modes", {"x": floats(1)}, signature="nope"), "signature_not_found", "signature"),
    "a name that is too long": (Question("m" * 41, {"x": floats(1)}), "too_large", "model"),
    "a missing input": (Question("pair", {"left": np.ones((1, 2), F4)}), "invalid_input", "inputs.right"),
    "a wrong rank": (Question("modes", {"x": np.ones((1, 1), F4)}), "invalid_input", "inputs.x"),
    "a wrong dimension": (Question("vector", {"x": floats(1, 2)}), "invalid_input", "inputs.x"),
    "unequal rows": (Question("pair", {"left": np.ones((2, 2), F4), "right": np.ones(3, I8)}), "invalid_input", "inputs.right"),
    "too many rows": (Question("modes", {"x": np.ones(65, F4)}), "too_large", ""),
    "too many elements": (Question("anything", {"x": np.ones(4097, F4)}), "too_large", ""),
    "what the model refuses": (Question("strict", {"x": floats(1, -1)}), "invalid_input", ""),
}  # fmt: skip


def assert_same(outputs: dict[str, Array], expected: dict[str, Array]) -> None:
    assert outputs.keys() == expected.keys()
    for name, array in expected.items():
        assert (outputs[name].dtype, outputs[name].shape) == (array.dtype, array.shape), name
        np.testing.assert_array_equal(outputs[name], array, err_msg=name)


def numbers_of(dtype: str) -> Array:
    """Returns a few numbers of a dtype, the least and the greatest of integers among them."""
    words = np.dtype(ml_dtypes.bfloat16) if dtype == "bfloat16" else np.dtype(dtype)
    if words.kind in "iu":
        limits = np.iinfo(words)
        return np.array([limits.min, limits.max, 7], words)
    return np.array([0.5, -2, 3] if words.kind in "fV" else [0, 1, 1, 0], words)
