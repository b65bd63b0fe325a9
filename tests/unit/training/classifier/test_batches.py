from typing import Any

import numpy as np
import pytest

from training.classifier.batches import class_weights, training_batches
from training.classifier.split import Part


def _part(count: int) -> Part:
    """Plain pictures, which no change alters: each is as bright as its number."""
    numbers = np.arange(count)
    images = np.broadcast_to(numbers.astype(np.uint8)[:, None, None, None], (count, 4, 4, 1))
    return Part(np.ascontiguousarray(images), (numbers % 3).astype(np.int64), numbers)


def _batches(part: Part, size: int, **options: Any) -> list[tuple[Any, Any, Any]]:
    return list(training_batches(part, size, mirrored=False, **options).as_numpy_iterator())


def _numbers(batches: list[tuple[Any, Any, Any]]) -> list[int]:
    return [round(float(image[0, 0, 0])) for images, _, _ in batches for image in images]


def test_every_picture_comes_once_before_any_comes_again() -> None:
    part = _part(50)
    found = _numbers(_batches(part, 8, first=0, count=25, seed=3))
    orders = [found[start : start + 50] for start in range(0, 200, 50)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == len(orders)


def test_labels_stay_with_their_pictures() -> None:
    for images, labels, _ in _batches(_part(50), 8, first=0, count=10, seed=0):
        np.testing.assert_array_equal(np.rint(images[:, 0, 0, 0]) % 3, labels)


def test_a_batch_follows_from_the_seed_and_its_number_alone() -> None:
    images = np.random.default_rng(0).integers(0, 256, (30, 6, 6, 3), np.uint8)
    part = Part(images, np.arange(30) % 3, np.arange(30))
    whole = _batches(part, 8, first=0, count=9, seed=5)
    for one, other in zip(whole[4:], _batches(part, 8, first=4, count=5, seed=5), strict=True):
        for array, same in zip(one, other, strict=True):
            np.testing.assert_array_equal(array, same)
    assert not np.array_equal(whole[0][0], _batches(part, 8, first=0, count=1, seed=6)[0][0])


def test_classes_weigh_the_same_but_for_very_rare_ones() -> None:
    labels = np.repeat([0, 1], [90, 30])
    weights = class_weights(labels)
    assert weights[0] * 90 == pytest.approx(weights[1] * 30)
    assert weights[labels].mean() == pytest.approx(1)
    assert class_weights(np.repeat([0, 1], [999, 1])).max() == 10
