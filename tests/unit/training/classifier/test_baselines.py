import numpy as np
import pytest

from training.classifier.baselines import majority_accuracy, support_vectors
from training.classifier.split import Part, Parts


def _part(count: int, side: int, seed: int) -> Part:
    """Pictures whose left or right half is bright."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    images = generator.integers(0, 60, (count, side, side, 1), np.uint8)
    half = side // 2
    images[labels == 0, :, :half] += 150
    images[labels == 1, :, half:] += 150
    return Part(images, labels, np.arange(count))


@pytest.mark.parametrize("side", [7, 32, 33, 70])
def test_the_machine_tells_pictures_of_any_size_apart(side: int) -> None:
    parts = Parts(_part(60, side, 0), _part(12, side, 1), _part(20, side, 2))
    found = support_vectors(parts)
    np.testing.assert_array_equal(found.predicted, parts.test.labels)
    assert found.rows == 72


def test_one_picture_more_than_settings_are_compared_on_is_no_trouble() -> None:
    parts = Parts(_part(1_990, 2, 0), _part(11, 2, 1), _part(10, 2, 2))
    assert support_vectors(parts).rows == 2_001


def test_guessing_the_commonest_class_is_right_as_often_as_it_comes() -> None:
    training, test = _part(11, 4, 0), _part(5, 4, 1)
    assert majority_accuracy(Parts(training, test, test)) == 3 / 5
