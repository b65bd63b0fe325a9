import gzip
import io
import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest
from keras.src.utils import file_utils
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from training.classifier.data import load
from training.errors import TrainingError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for Keras' own loaders, which take what lies in it for what they would have downloaded."""
    monkeypatch.setattr(file_utils.config, "keras_home", lambda: str(tmp_path))
    monkeypatch.setattr(file_utils, "validate_file", lambda *_, **__: True)  # the test's files are not the real ones
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nothing listens there
    (tmp_path / "datasets" / "fashion-mnist").mkdir(parents=True)
    return tmp_path / "datasets"


def _images(count: int, *shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(count).integers(0, 256, (count, *shape), np.uint8)


def test_digits_are_scaled_to_the_range_of_pixels() -> None:
    data = load("digits")
    assert data.images.shape == (1797, 8, 8, 1)
    assert data.images.dtype == np.uint8
    assert (data.images.min(), data.images.max()) == (0, 255)
    assert data.held_out == 0
    assert data.classes == tuple("0123456789")
    np.testing.assert_allclose(data.images[..., 0] / 255 * 16, load_digits().images, atol=16 / 255)


def test_mnist_keeps_its_own_test_part_at_the_end(cache: Path) -> None:
    train, test = _images(30, 28, 28), _images(20, 28, 28)
    truth = np.arange(30, dtype=np.uint8) % 10
    np.savez(cache / "mnist.npz", x_train=train, y_train=truth, x_test=test, y_test=truth[:20])
    data = load("mnist")
    assert data.held_out == 20
    np.testing.assert_array_equal(data.images[..., 0], np.concatenate([train, test]))
    assert data.labels.tolist() == [*range(10)] * 5
    assert not data.mirrored


def test_fashion_mnist_names_its_garments(cache: Path) -> None:
    for part, count in (("train", 30), ("t10k", 20)):
        header = struct.pack(">II", 2049, count)
        labels = bytes(index % 10 for index in range(count))
        folder = cache / "fashion-mnist"
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(header + labels))
        content = struct.pack(">IIII", 2051, count, 28, 28) + _images(count, 28, 28).tobytes()
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(content))
    data = load("fashion-mnist")
    assert (data.images.shape, data.held_out) == ((50, 28, 28, 1), 20)
    assert data.classes[9] == "Ankle boot"
    np.testing.assert_array_equal(data.images[30:, ..., 0], _images(20, 28, 28))


def test_cifar10_is_in_colour(cache: Path) -> None:
    planes = np.zeros((10_000, 3072), np.uint8)
    planes[0, 1024:2048] = 200  # the second plane is green
    batch = pickle.dumps({b"data": planes, b"labels": [index % 10 for index in range(10_000)]})
    with tarfile.open(cache / "cifar-10-batches-py-target_archive", "w:gz", compresslevel=1) as archive:
        for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
            entry = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            entry.size = len(batch)
            archive.addfile(entry, io.BytesIO(batch))
    data = load("cifar10")
    assert (data.images.shape, data.held_out) == ((60_000, 32, 32, 3), 10_000)
    assert data.images[0, 5, 5].tolist() == [0, 200, 0]
    assert data.classes[8] == "ship"
    assert data.mirrored


@pytest.mark.usefixtures("cache")
def test_a_failed_download_is_one_sentence() -> None:
    with pytest.raises(TrainingError, match="--data mnist: Keras could not load or download it"):
        load("mnist")


def test_the_hash_knows_pixels_labels_and_names() -> None:
    data = load("digits")
    assert data.sha256() == load("digits").sha256()
    data.images[0, 0, 0, 0] += 1
    assert data.sha256() != load("digits").sha256()
