import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from training.classifier.data import ImageData, load
from training.classifier.findings import findings
from training.classifier.likeness import alike
from training.classifier.split import split


def _photos(count: int, *, seed: int = 0, size: tuple[int, int] = (48, 64)) -> NDArray[np.uint8]:
    """Smooth pictures, each unlike the others: uint8 [N,H,W,3]."""
    generator = np.random.default_rng(seed)
    photos = []
    for _ in range(count):
        few = Image.fromarray(generator.integers(0, 256, (6, 8, 3), np.uint8))
        photos.append(np.asarray(few.resize(size[::-1], Image.Resampling.BICUBIC)))
    return np.stack(photos)


def _as_jpeg(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "JPEG", quality=40)
    return np.asarray(Image.open(file))


def _in_small(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    image = Image.fromarray(photo)
    return np.asarray(image.resize((32, 24)).resize(image.size))


def _brighter(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(ImageEnhance.Brightness(Image.fromarray(photo)).enhance(1.04))


@pytest.mark.parametrize("changed", [_as_jpeg, _in_small, _brighter, np.copy])
def test_pictures_that_look_alike_are_found(changed: object) -> None:
    photos = _photos(40)
    copies = np.stack([changed(photo) for photo in photos[5:15]])  # type: ignore[operator]
    assert alike(copies, photos).tolist() == list(range(5, 15))


def test_pictures_that_do_not_look_alike_are_not_found() -> None:
    assert (alike(_photos(300, seed=1), _photos(300, seed=2)) == -1).all()


def test_small_grey_and_plain_pictures_are_compared_as_well() -> None:
    digits = load("digits").images[:200]
    assert alike(digits[:5], digits).tolist() == [0, 1, 2, 3, 4]
    plain = np.stack([np.full((20, 30, 1), level, np.uint8) for level in (0, 100, 200)])
    assert alike(plain[::-1], plain).tolist() == [2, 1, 0]


def _folder(root: Path, a: NDArray[np.uint8], b: NDArray[np.uint8]) -> ImageData:
    for name, photos in (("a", a), ("b", b)):
        (root / name).mkdir()
        for number, photo in enumerate(photos):
            Image.fromarray(photo).save(root / name / f"{number}.png")
    return load(str(root))


def test_near_duplicates_in_the_test_part_are_told_with_their_names(tmp_path: Path) -> None:
    photos = _photos(20)
    data = _folder(
        tmp_path, np.concatenate([photos, np.stack([_as_jpeg(photo) for photo in photos])]), _photos(20, seed=3)
    )
    parts = split(data, 0)
    [note] = findings(data, parts)
    tested = {data.files[row] for row in parts.test.rows}
    pairs = {frozenset({f"a/{number}.png", f"a/{number + 20}.png"}) for number in range(20)}
    apart = [pair for pair in pairs if len(pair & tested) == 1]
    assert apart
    assert note.startswith(f"{len(apart)} of {len(tested)} test images look like images that are trained on")
    assert any(" like ".join(order) in note for pair in apart for order in (sorted(pair), sorted(pair)[::-1]))


def test_classes_of_very_different_sizes_are_told(tmp_path: Path) -> None:
    data = _folder(tmp_path, _photos(60), _photos(6, seed=3))
    [note] = findings(data, split(data, 0))
    assert note.endswith("a 60, b 6")


def test_nothing_is_said_of_a_data_set_of_a_library() -> None:
    data = load("digits")
    assert findings(data, split(data, 0)) == ()
