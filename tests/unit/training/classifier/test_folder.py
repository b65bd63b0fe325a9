from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.pictures import file, oriented
from training.classifier import folder
from training.classifier.data import load
from training.classifier.decoding import decode_images
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


def test_damaged_images_are_named_and_too_many_are_refused(tmp_path: Path) -> None:
    _fill(tmp_path / "a", 5, seed=1)
    _fill(tmp_path / "b", 6, seed=2)
    file = tmp_path / "b" / "3.png"
    file.write_bytes(file.read_bytes()[:50])
    (tmp_path / "b" / "4.png").unlink()
    (tmp_path / "b" / "4.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "b" / "7.heic").write_bytes(b"ftypheic")
    (tmp_path / "b" / "others").symlink_to(tmp_path / "a")
    with pytest.raises(
        TrainingError, match=r"4 of 13 files cannot be read, and --max-broken 0\.05 allows 1 of"
    ) as refusal:
        load(str(tmp_path))
    for reason in (
        r"b/3.png: expected a PNG, JPEG, GIF, BMP or WebP image, got a file that cannot be decoded",
        r"b/4.png: expected a picture, got a link to nothing",
        r"b/7.heic: expected a PNG, JPEG, GIF, BMP or WebP image, got .heic",
        r"b/others: expected a picture, got a link to a folder",
    ):
        assert reason in str(refusal.value)


def test_damaged_images_are_left_out_up_to_a_share_and_listed(tmp_path: Path) -> None:
    _fill(tmp_path / "a", 5, seed=1)
    _fill(tmp_path / "b", 6, seed=2)
    (tmp_path / "b" / "3.png").write_bytes(b"no image")
    data = load(str(tmp_path), most_broken=0.1)
    assert len(data.labels) == 10
    [note] = data.notes
    assert note.startswith(f"1 of 11 files cannot be read and were left out: {tmp_path / 'b' / '3.png'}: expected")


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


def test_what_systems_leave_among_pictures_is_passed_over(tmp_path: Path) -> None:
    _fill(tmp_path / "a", 5, seed=1)
    _fill(tmp_path / "b", 5, seed=2)
    for name in ("a/._0.png", "a/.thumbnails/0.png", "__MACOSX/a/._1.png", "a/__MACOSX/2.png", "b/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"no image, and nobody thinks so")
    data = load(str(tmp_path))
    assert data.classes == ("a", "b")
    assert len(data.images) == 10
    assert not data.notes


@pytest.mark.parametrize("name", ["7.webp", "7.jpg"])
def test_webp_is_read_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    _fill(tmp_path / "a", 5, seed=1)
    _fill(tmp_path / "b", 5, seed=2)
    pixels = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6)
    Image.fromarray(pixels).convert("RGB").save(tmp_path / "b" / name, "WEBP", lossless=True)
    images = load(str(tmp_path)).images
    assert images.shape == (11, 4, 6, 3)
    np.testing.assert_array_equal(images[-1, ..., 0], pixels)


def test_parts_of_a_data_set_are_not_taken_for_classes(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        for seed, name in enumerate(("a", "b")):
            _fill(tmp_path / part / name, 5, seed=seed)
    with pytest.raises(TrainingError, match=rf"split already \(test, train, val\).*--data {tmp_path / 'train'},"):
        load(str(tmp_path))
    assert load(str(tmp_path / "train")).classes == ("a", "b")


def test_classes_that_are_called_like_parts_are_told(tmp_path: Path) -> None:
    _fill(tmp_path / "train", 5, seed=1)
    _fill(tmp_path / "test", 5, seed=2)
    data = load(str(tmp_path))
    assert data.classes == ("test", "train")
    assert "test, train are taken as classes" in data.notes[0]


def test_a_folder_that_cannot_be_listed_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(TrainingError, match=f"{tmp_path}: cannot be read: Permission denied"):
        load(str(tmp_path))


def test_pictures_are_decoded_a_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fill(tmp_path / "a", 5, seed=1, size=(9, 7))
    _fill(tmp_path / "b", 6, seed=2)
    whole = load(str(tmp_path)).images
    sizes = []

    def counted(files: Any, **size: int) -> Any:
        sizes.append(len(files))
        return decode_images(files, **size)

    monkeypatch.setattr(folder, "decode_images", counted)
    monkeypatch.setattr(folder, "_ROWS", 4)
    np.testing.assert_array_equal(load(str(tmp_path)).images, whole)
    assert sizes == [4, 4, 3]


def test_a_picture_that_can_be_read_no_more_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"a/1\.png: could be read before, and now: expected a picture"):
        folder.read_picture(tmp_path / "a" / "1.png")
