from dataclasses import replace

import numpy as np
import pytest

from service.core.signature import check_inputs, check_names
from service.core.tensors import Signature, Tensor, TensorSpec
from service.errors import ErrorKind, GatewayError


def signature(**inputs: TensorSpec) -> Signature:
    return Signature("serving_default", "tensorflow/serving/predict", inputs, {})


IMAGES = signature(images=TensorSpec("float32", (None, 2, 3, 1)))
PAIR = signature(left=TensorSpec("float32", (None, 2)), right=TensorSpec("int64", (None,)))


def refusal(spec: Signature, **inputs: Tensor) -> list[str]:
    with pytest.raises(GatewayError) as caught:
        check_inputs(spec, inputs)
    assert caught.value.kind is ErrorKind.INVALID_INPUT
    return [str(violation) for violation in caught.value.violations]


def test_what_fits_gives_the_number_of_rows() -> None:
    assert check_inputs(IMAGES, {"images": np.zeros((5, 2, 3, 1), np.float32)}) == 5
    assert check_inputs(IMAGES, {"images": np.zeros((0, 2, 3, 1), np.float32)}) == 0
    assert check_inputs(PAIR, {"left": np.zeros((4, 2), np.float32), "right": np.zeros(4, np.int64)}) == 4


def test_an_input_without_batch_dimension_is_one_row() -> None:
    assert check_inputs(signature(x=TensorSpec("float32", ())), {"x": np.zeros((), np.float32)}) == 1
    assert check_inputs(signature(x=TensorSpec("float32", (3,))), {"x": np.zeros(3, np.float32)}) == 1


def test_inputs_with_a_default_may_be_left_out_and_any_where_the_defaults_are_not_known() -> None:
    left, right = np.zeros((4, 2), np.float32), np.zeros(4, np.int64)
    assert refusal(PAIR, left=left) == ["inputs.right: expected int64 [?], got nothing"]
    assert check_inputs(replace(PAIR, defaults={"right": right}), {"left": left}) == 4
    assert refusal(replace(PAIR, defaults={"right": right}), right=right) == [
        "inputs.left: expected float32 [?, 2], got nothing"
    ]
    unknown = replace(PAIR, defaults_known=False)
    assert [check_inputs(unknown, inputs) for inputs in ({"left": left}, {"right": right}, {})] == [4, 4, 1]
    check_names(unknown, {"left"})
    assert len(refusal(unknown, left=left, middle=left)) == 1
    [text] = refusal(unknown, left=left[0])
    assert text.startswith("inputs.left: expected shape [?, 2], got shape [2]")


def test_an_unknown_rank_takes_any_shape() -> None:
    spec = signature(x=TensorSpec("float32", None))
    assert check_inputs(spec, {"x": np.zeros((2, 2, 2), np.float32)}) == 1


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([b"a"]), np.array([b"a"], object)])
def test_strings_are_strings_however_numpy_holds_them(array: Tensor) -> None:
    assert check_inputs(signature(x=TensorSpec("string", (None,))), {"x": array}) == 1


@pytest.mark.parametrize("shape", [(2, 3, 1), (1, 2, 3), (1, 2, 3, 1, 1), (1, 2, 3, 3), (1, 3, 2, 1), ()])
def test_a_wrong_shape_is_refused_with_both_shapes(shape: tuple[int, ...]) -> None:
    [text] = refusal(IMAGES, images=np.zeros(shape, np.float32))
    assert text.partition(", which")[0].partition(", without")[0] == (
        f"inputs.images: expected shape [?, 2, 3, 1], got shape {list(shape)}"
    )


@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ((2, 3, 1), ", which is one row alone: put it into a list of one"),
        ((5, 2, 3), ", without the last dimension: write [1.0], [2.0] in place of 1.0, 2.0"),
        ((2, 3), ""),
        ((1, 3, 2, 1), ""),
    ],
)
def test_a_dimension_that_is_forgotten_is_named(shape: tuple[int, ...], hint: str) -> None:
    [text] = refusal(IMAGES, images=np.zeros(shape, np.float32))
    assert text.endswith(f"got shape {list(shape)}{hint}")


def test_a_wrong_dtype_is_refused() -> None:
    [text] = refusal(IMAGES, images=np.zeros((1, 2, 3, 1), np.float64))
    assert text == "inputs.images: expected dtype float32, got dtype float64"


def test_everything_that_is_wrong_is_reported_at_once() -> None:
    texts = refusal(PAIR, left=np.zeros((1, 3), np.float64), middle=np.zeros(1))
    assert texts == [
        "inputs.middle: expected the inputs left, right, got an input that the signature does not have",
        "inputs.right: expected int64 [?], got nothing",
        "inputs.left: expected dtype float32, got dtype float64",
        "inputs.left: expected shape [?, 2], got shape [1, 3]",
    ]


def test_unequal_rows_are_refused() -> None:
    [text] = refusal(PAIR, left=np.zeros((2, 2), np.float32), right=np.zeros(3, np.int64))
    assert text == "inputs.right: expected 2 rows, as left has, got 3 rows"
