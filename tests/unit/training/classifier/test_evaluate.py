import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score

from training.classifier.evaluate import accuracy, calibration


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60))
def test_accuracy_f1_and_recall_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = (np.array(side) for side in zip(*pairs, strict=True))
    found = accuracy(truth, predicted, 4)
    classes = list(range(4))
    assert found.accuracy == pytest.approx(accuracy_score(truth, predicted))
    assert found.macro_f1 == pytest.approx(f1_score(truth, predicted, labels=classes, average="macro", zero_division=0))
    np.testing.assert_allclose(
        found.recall, recall_score(truth, predicted, labels=classes, average=None, zero_division=0)
    )
    np.testing.assert_array_equal(found.confusion, confusion_matrix(truth, predicted, labels=classes))


def test_saying_the_commonest_class_is_worth_nothing_in_the_balanced_error() -> None:
    truth = np.array([0] * 120 + [1])
    found = accuracy(truth, np.zeros_like(truth), 2)
    assert found.accuracy > 0.99
    assert found.balanced_error == 0.5


def test_the_calibration_error_of_a_worked_example() -> None:
    # two bins: (0.5, 0.6] with top scores 0.6, 0.6, one right: |0.6 - 0.5|; (0.9, 1] with 1.0, right: 0
    scores = np.array([[0.6, 0.4], [0.6, 0.4], [0.0, 1.0]])
    found = calibration(scores, np.array([0, 1, 1]))
    assert found.error == pytest.approx((2 * 0.1 + 1 * 0.0) / 3)
    assert found.count.tolist() == [0, 0, 0, 0, 0, 2, 0, 0, 0, 1]


def test_scores_that_mean_what_they_say_have_no_calibration_error() -> None:
    scores = np.tile([0.75, 0.25], (4, 1))
    assert calibration(scores, np.array([0, 0, 0, 1])).error == pytest.approx(0)


def test_a_classifier_that_is_sure_and_wrong_has_the_largest_error() -> None:
    assert calibration(np.array([[1.0, 0.0]]), np.array([1])).error == pytest.approx(1)
