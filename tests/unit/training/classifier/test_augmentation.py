from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from training.classifier.augmentation import augmented

Images = NDArray[np.float32]


def _changed(images: Images, number: int = 0, *, mirrored: bool = False) -> Images:
    changed: Any = augmented(tf.constant(images), tf.constant([7, number]), mirrored=mirrored)
    return np.asarray(changed)


def _spots(count: int, place: tuple[int, int] = (8, 8), side: int = 17) -> Images:
    """Black pictures with one white square of 3x3 pixels."""
    images = np.zeros((count, side, side, 1), np.float32)
    images[:, place[0] - 1 : place[0] + 2, place[1] - 1 : place[1] + 2] = 255
    return images


def _centres(images: Images) -> NDArray[np.float64]:
    down, across = np.mgrid[: images.shape[1], : images.shape[2]]
    weights = images.mean(axis=-1) / images.mean(axis=-1).sum(axis=(1, 2), keepdims=True)
    return np.stack([(weights * down).sum(axis=(1, 2)), (weights * across).sum(axis=(1, 2))], axis=1)


def test_the_same_seed_changes_pictures_alike_and_each_in_its_own_way() -> None:
    images = _spots(20)
    first, again, other = _changed(images), _changed(images), _changed(images, number=4)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert len({image.tobytes() for image in first}) == len(images)


def test_what_is_in_the_middle_stays_about_there() -> None:
    apart = _centres(_changed(_spots(200))) - 8
    assert np.abs(apart).max() < 0.25 * 17
    assert np.abs(apart).max() > 0.5
    assert np.abs(apart.mean(axis=0)).max() < 0.3


@pytest.mark.parametrize("shape", [(8, 8, 1), (5, 9, 3), (1, 7, 1), (1, 1, 3)])
def test_pictures_of_any_form_keep_it_and_their_range(shape: tuple[int, int, int]) -> None:
    images = np.random.default_rng(0).uniform(0, 255, (10, *shape)).astype(np.float32)
    changed = _changed(images, mirrored=True)
    assert changed.shape == images.shape
    assert changed.min() >= images.min() - 1e-3
    assert changed.max() <= images.max() + 1e-3


def test_a_plain_picture_is_left_as_it_is() -> None:
    np.testing.assert_allclose(_changed(np.full((5, 8, 8, 3), 200, np.float32)), 200, rtol=1e-6)


def test_pictures_are_mirrored_where_that_is_wanted_and_only_there() -> None:
    images = _spots(100, (8, 3))
    assert (_centres(_changed(images))[:, 1] < 8).all()
    is_mirrored = _centres(_changed(images, mirrored=True))[:, 1] > 8
    assert 30 < is_mirrored.sum() < 70
