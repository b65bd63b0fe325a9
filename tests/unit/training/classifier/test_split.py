import dataclasses

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from training.classifier.data import ImageData
from training.classifier.split import Parts, split


def _data(per_class: list[int], *, held_out: int = 0) -> ImageData:
    """Images that carry their own number in their pixels."""
    labels = np.repeat(np.arange(len(per_class)), per_class)
    if held_out:  # so that every class occurs on both sides
        labels = np.random.default_rng(0).permutation(labels)
    numbers = np.arange(len(labels), dtype=np.int64)
    images = np.stack([numbers % 256, numbers // 256], axis=-1).astype(np.uint8).reshape(-1, 1, 2, 1)
    return ImageData("numbers", images, labels, tuple(map(str, range(len(per_class)))), held_out)


def _numbers(images: NDArray[np.uint8]) -> set[int]:
    flat = images.reshape(len(images), 2).astype(int)
    return set((flat[:, 0] + 256 * flat[:, 1]).tolist())


def _all(parts: Parts) -> list[set[int]]:
    return [_numbers(part.images) for part in (parts.training, parts.validation, parts.test)]


@given(per_class=st.lists(st.integers(5, 60), min_size=2, max_size=6), seed=st.integers(0, 2**32 - 1))
def test_every_image_is_in_exactly_one_part_and_every_class_in_every_part(per_class: list[int], seed: int) -> None:
    data = _data(per_class)
    parts = split(data, seed)
    found = _all(parts)
    assert set.union(*found) == _numbers(data.images)
    assert sum(map(len, found)) == len(data.labels)
    for part in (parts.training, parts.validation, parts.test):
        assert set(part.labels) == set(range(len(per_class)))


@given(seed=st.integers(0, 1000))
def test_classes_keep_their_shares_and_labels_stay_with_their_images(seed: int) -> None:
    data = _data([100, 300])
    parts = split(data, seed)
    assert len(parts.test) == 80
    assert np.bincount(parts.test.labels).tolist() == [20, 60]
    assert _numbers(parts.test.images[parts.test.labels == 0]) <= set(range(100))


def test_the_same_seed_gives_the_same_parts_and_another_seed_others() -> None:
    data = _data([50, 50])
    assert _all(split(data, 1)) == _all(split(data, 1))
    assert _all(split(data, 1)) != _all(split(data, 2))


def test_a_data_set_with_its_own_test_part_keeps_it() -> None:
    data = _data([60, 60], held_out=30)
    parts = split(data, 0)
    assert _numbers(parts.test.images) == set(range(90, 120))


def test_images_from_files_stay_in_the_test_part_when_others_are_added() -> None:
    content = np.random.default_rng(0).integers(0, 2**64, 220, np.uint64)
    data = _data([220, 220])
    data = dataclasses.replace(data, content=np.concatenate([content, content[::-1]]))
    before = np.flatnonzero(np.arange(440) % 220 < 200)  # of each class 200, and then 20 more
    fewer = dataclasses.replace(
        data, images=data.images[before], labels=data.labels[before], content=data.fingerprints()[before]
    )
    first, second = _numbers(split(fewer, 7).test.images), _numbers(split(data, 7).test.images)
    assert (len(first), len(second)) == (80, 88)
    assert len(first & second) >= 72
    assert _numbers(split(data, 8).test.images) != second
