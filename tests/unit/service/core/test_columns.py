"""Numbers that come in another shape than the column that a signature asks for."""

from typing import Any

import numpy as np
import pytest

from service.core.columns import as_columns, in_shape
from service.core.tensors import Signature, TensorSpec

COLUMN = TensorSpec("float32", (None, 1))


def signature(*specs: TensorSpec) -> Signature:
    return Signature("s", "", {f"x{index}": spec for index, spec in enumerate(specs)}, {"y": COLUMN})


@pytest.mark.parametrize("shape", [(), (3,), (0,), (1, 3), (3, 1, 1), (2, 2, 2), (2, 0)])
@pytest.mark.parametrize("ones", [1, 3])
def test_each_number_is_a_row_and_its_answer_stands_in_its_place(shape: tuple[int, ...], ones: int) -> None:
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    made = as_columns(signature(TensorSpec("float32", (None, *[1] * ones))), {"x0": x})
    assert made is not None
    columns, came = made
    assert (columns["x0"].shape, came) == ((x.size, *[1] * ones), shape)
    outputs = in_shape({"y": columns["x0"] * 2, "wide": np.tile(columns["x0"].reshape(-1, 1), 4)}, x.size, shape)
    np.testing.assert_array_equal(outputs["y"], x * 2)
    np.testing.assert_array_equal(outputs["wide"], np.stack([x] * 4, axis=-1))


@pytest.mark.parametrize(
    "spec",
    [
        TensorSpec("float32", None),
        TensorSpec("float32", ()),
        TensorSpec("float32", (None,)),
        TensorSpec("float32", (None, None)),
        TensorSpec("float32", (None, 1, 2)),
        TensorSpec("float32", (3, 1)),
    ],
)
def test_what_is_no_column_stays_as_it_came(spec: TensorSpec) -> None:
    assert as_columns(signature(spec), {"x0": np.ones(3, np.float32)}) is None


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"x0": np.ones(3)},
        {"x0": np.ones(3), "other": np.ones(3)},
        {"x0": np.ones(3), "x1": np.ones((3, 1))},  # TensorFlow would make a square of it
        {"x0": np.ones(3), "x1": np.ones(4)},
    ],
)
def test_inputs_must_be_all_there_and_of_one_shape(inputs: dict[str, Any]) -> None:
    assert as_columns(signature(COLUMN, COLUMN), inputs) is None


def test_an_output_that_has_no_rows_stays_as_it_is() -> None:
    outputs = in_shape({"total": np.array(3.0), "other": np.ones(2)}, 3, (3,))
    assert (outputs["total"].shape, outputs["other"].shape) == ((), (2,))
