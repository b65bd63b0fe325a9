"""How far two answers agree."""

import numpy as np
import pytest

from service.core.agreement import Agreement, agreement
from service.core.tasks import ImageClassifier
from service.core.tensors import Tensor
from tests import fakes
from tests.questions import texts

CLASSIFIER = ImageClassifier(4, 4, 1, fakes.LABELS, accepts_encoded=True)


def classes(*brightness: float) -> dict[str, Tensor]:
    return fakes.classify_pixels(
        {"images": np.full((len(brightness), 4, 4, 1), np.array(brightness)[:, None, None, None])}
    )


def test_classes_are_compared_row_by_row() -> None:
    found = agreement(CLASSIFIER, classes(0, 128, 255), classes(10, 255, 240))
    assert (found.rows, found.changed) == (3, 1)
    assert 0 < found.difference <= 1
    assert agreement(CLASSIFIER, classes(0, 255), classes(0, 255)) == Agreement(2, 0, 0.0)
    assert agreement(CLASSIFIER, classes(0, 255), {}) == Agreement(2, 2, np.inf)


def test_strings_are_classes_where_there_is_one_tensor_of_them() -> None:
    one, other = {"label": texts(["a", "b"])}, {"label": texts(["a", "c"])}
    assert agreement(None, one, other) == Agreement(2, 1, 0.0)
    assert agreement(None, {**one, "more": texts(["x", "y"])}, {**other, "more": texts(["x", "y"])}).rows == 0


@pytest.mark.parametrize(
    ("expected", "got", "difference"),
    [
        ([1.0, 2.0], [1.0, 2.5], 0.2),
        ([0.0, 0.0], [0.0, 0.0], 0.0),
        ([np.nan, np.inf], [np.nan, np.inf], 0.0),
        ([1.0, 2.0], [np.nan, 2.0], np.inf),
        ([1.0, 2.0], [1.0], np.inf),
        ([-1.0], [1.0], 2.0),
    ],
)
def test_numbers_are_compared_as_parts_of_each_other(
    expected: list[float], got: list[float], difference: float
) -> None:
    for dtype in (np.float32, np.float64):
        found = agreement(None, {"y": np.array(expected, dtype)}, {"y": np.array(got, dtype)})
        assert (found.rows, found.changed) == (0, 0)
        assert found.difference == pytest.approx(difference)
    assert agreement(None, {"y": np.array([1])}, {"y": np.array([1.0])}).difference == np.inf
