"""What models are called with, to measure how long their runs take."""

import numpy as np
import pytest

from capacity.runs import CannotAskError, random_input
from tensorgate.client.metadata import TensorSpec
from tensorgate.client.tensors import array_of, encode

DTYPES = ["bool", "uint8", "int8", "int32", "int64", "uint64", "float16", "bfloat16", "float32", "float64"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_client_takes_numbers_of_every_dtype(dtype: str) -> None:
    spec = TensorSpec("x:0", dtype, (None, 2, None))
    made = random_input("x", spec, (4, 3), seed=1)
    assert made.shape == (4, 2, 3)
    assert len(np.unique(made)) > 1
    assert encode(array_of(made, spec, "x"), dtype, "x")[1]
    assert (made == random_input("x", spec, (4, 3), seed=1)).all()


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (TensorSpec("x:0", "string", (None,)), r"input 'x' is string \[\?\]: expected numbers"),
        (TensorSpec("x:0", "float32", (1, 2)), "in any number of rows"),
        (TensorSpec("x:0", "float32", None), "in any number of rows"),
        (TensorSpec("x:0", "float32", (None, None)), "expected known sizes"),
    ],
)
def test_inputs_that_cannot_be_made_up(spec: TensorSpec, expected: str) -> None:
    with pytest.raises(CannotAskError, match=expected):
        random_input("x", spec, (4, 0), seed=1)
