from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.pictures import file, oriented
from training.classifier.data import load
from training.errors import TrainingError


def _fill(folder: Path, count: int, *, size: tuple[int, int] = (4, 6), mode: str = "L", seed: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    for number in range(count):
        shape = size if mode == "L" else (*size, 3)
        Image.fromarray(generator.integers(0, 256, shape, np.uint8)).save(folder / f"{number}.png")


def test_classes_are_the_folders_in_order_and_the_size_is_the_images_own(tmp_path: Path) -> None:
    _fill(tmp_path / "b", 5, seed=1)
    _fill(tmp_path / "a", 6, seed=2)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "a" / "notes.txt").write_text("no image")
    data = load(str(tmp_path))
    assert data.classes == ("a", "b")
    assert data.images.shape == (11, 4, 6, 1)
    assert data.labels.tolist() == [0] * 6 + [1] * 5
    np.testing.assert_array_equal(data.images[0, ..., 0], np.asarray(Image.open(tmp_path / "a" / "0.png")))


def test_one_coloured_image_makes_all_coloured_and_sizes_meet_in_the_middle(tmp_path: Path) -> None:
    _fill(tmp_path / "a", 5, size=(10, 8))
    _fill(tmp_path / "b", 6, size=(20, 16), mode="RGB")
    assert load(str(tmp_path)).images.shape == (11, 20, 16, 3)


def test_large_images_are_shrunk_in_their_proportions(tmp_path: Path) -> None:
    _fill(tmp_path / "a", 5, size=(200, 400), seed=1)
    _fill(tmp_path / "b", 5, size=(200, 400), seed=2)
    assert load(str(tmp_path)).images.shape == (10, 64, 128, 1)


def test_an_image_that_occurs_twice_is_read_once(tmp_path: Path) -> None:
    _fill(tmp_path / "a", 6, seed=1)
    _fill(tmp_path / "b", 5, seed=2)
    (tmp_path / "a" / "copy.png").write_bytes((tmp_path / "a" / "0.png").read_bytes())
    assert len(load(str(tmp_path)).labels) == 11


def test_the_same_image_in_two_classes_is_refused(tmp_path: Path) -> None:
    _fill(tmp_path / "a", 5, seed=1)
    _fill(tmp_path / "b", 5, seed=2)
    (tmp_path / "b" / "copy.png").write_bytes((tmp_path / "a" / "0.png").read_bytes())
    with pytest.raises(TrainingError, match=r"b/copy\.png: the same image"):
        load(str(tmp_path))


@pytest.mark.parametrize(("counts", "message"), [([], "got 0"), ([5], "got 1"), ([5, 0], "got 0"), ([5, 4], "got 4")])
def test_too_few_classes_or_images_are_refused(tmp_path: Path, counts: list[int], message: str) -> None:
    for index, count in enumerate(counts):
        _fill(tmp_path / f"class {index}", count, seed=index)
    with pytest.raises(TrainingError, match=message):
        load(str(tmp_path))


def test_a_damaged_image_is_named(tmp_path: Path) -> None:
    _fill(tmp_path / "a", 5, seed=1)
    _fill(tmp_path / "b", 5, seed=2)
    file = tmp_path / "b" / "3.png"
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(TrainingError, match=r"b/3\.png: expected a PNG, JPEG, GIF or BMP image"):
        load(str(tmp_path))


def test_pictures_are_learnt_from_as_people_see_them(tmp_path: Path) -> None:
    _fill(tmp_path / "a", 5, seed=1)
    _fill(tmp_path / "b", 5, seed=2)
    upright = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6)
    veil = Image.new("L", (6, 4))
    veil.putalpha(Image.fromarray(255 - upright))
    (tmp_path / "b" / "6.png").write_bytes(oriented(upright, "PNG", 6))
    (tmp_path / "b" / "7.png").write_bytes(file(veil, "PNG"))
    images = load(str(tmp_path)).images
    assert images.shape == (12, 4, 6, 1)
    for image in images[-2:]:
        np.testing.assert_array_equal(image[..., 0], upright)


def test_images_of_other_formats_are_not_passed_over_silently(tmp_path: Path) -> None:
    _fill(tmp_path / "a", 5, seed=1)
    _fill(tmp_path / "b", 5, seed=2)
    (tmp_path / "b" / "notes.txt").write_text("not an image, and nobody thinks so")
    assert len(load(str(tmp_path)).images) == 10
    (tmp_path / "b" / "9.webp").write_bytes(b"")
    with pytest.raises(TrainingError, match=r"9\.webp: expected PNG, JPEG, GIF or BMP images, got \.webp"):
        load(str(tmp_path))
