import io
from pathlib import Path

import keras
import numpy as np
import pytest
from rich.console import Console

from training.classifier import fit as fitting
from training.classifier.model import build, preset_for, with_classes
from training.classifier.split import Part, Parts
from training.classifier.transfer import architecture_of, transferred
from training.display import Display
from training.errors import TrainingError
from training.options import ARCHITECTURES, ClassifierOptions
from training.progress import Progress

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras, as it saves


@pytest.mark.parametrize("preset", ["small", "residual"])
@pytest.mark.parametrize("shape", [(8, 8, 1), (64, 48, 3), (3, 20, 1), (1, 1, 3)])
def test_both_networks_take_pictures_of_any_size(preset: str, shape: tuple[int, int, int]) -> None:
    network = build(preset, shape, 5, mean=100, deviation=50)
    images = np.random.default_rng(0).uniform(0, 255, (3, *shape)).astype(np.float32)
    answered = network(images, training=False)
    assert answered["logits"].shape == (3, 5)
    assert answered["features"].shape[0] == 3
    assert answered["features"].shape[1] <= 4 * 4 * 32 * 4 + 256
    assert np.isfinite(answered["logits"]).all()


def test_the_network_follows_the_size_of_the_pictures() -> None:
    assert preset_for((8, 8, 1)) == preset_for((32, 32, 3)) == preset_for((32, 128, 3)) == "small"
    assert preset_for((64, 64, 3)) == "residual"


def _part(count: int) -> Part:
    """Dark and bright pictures."""
    labels = np.arange(count) % 2
    images = np.broadcast_to((50 + 150 * labels)[:, None, None, None], (count, 8, 8, 1)).astype(np.uint8)
    return Part(images, labels.astype(np.int64), np.arange(count))


def test_a_network_that_is_trained_in_16_bits_is_of_32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "precision", lambda: "mixed_bfloat16")
    parts = Parts(_part(64), _part(16), _part(16))
    fitted = fitting.fit(
        parts,
        lambda: build("small", (8, 8, 1), 2, mean=125, deviation=75),
        ClassifierOptions("pictures", seed=0, split_seed=0, epochs=8),
        mirrored=False,
        progress=Progress(Display(Console(file=io.StringIO()))),
    )
    assert keras.config.dtype_policy().name == "float32"
    assert {layer.compute_dtype for layer in fitted.network.layers} == {"float32"}
    assert {name: len(values) for name, values in fitted.history.items()} == dict.fromkeys(
        ("loss", "accuracy", "val_loss", "val_accuracy"), 8
    )
    said = fitted.network(parts.test.images.astype(np.float32), training=False)["logits"]
    np.testing.assert_array_equal(np.argmax(said, axis=1), parts.test.labels)


def test_a_training_that_diverges_says_so() -> None:
    def build() -> keras.Model:
        images = keras.Input((8, 8, 1))
        flat = keras.layers.Flatten()(images)
        return with_classes(images, flat, flat, 2, name="flat")

    with pytest.raises(TrainingError, match="diverged: the loss of the last epoch is not finite; try a smaller --lear"):
        fitting.fit(
            Parts(_part(64), _part(16), _part(16)),
            build,
            ClassifierOptions("pictures", seed=0, split_seed=0, epochs=1, learning_rate=1e38),
            mirrored=False,
            progress=Progress(Display(Console(file=io.StringIO()))),
        )


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "mobilenet_v2_of_mine_notop.weights.h5"
    keras.utils.set_random_seed(0)
    keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(96, 96, 3)).save_weights(path)
    return path


def test_weights_of_an_application_give_its_features(weights: Path) -> None:
    network = transferred(weights, "MobileNetV2", (96, 96, 3), 4)
    images = np.random.default_rng(0).uniform(0, 255, (2, 96, 96, 3)).astype(np.float32)
    theirs = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(96, 96, 3), pooling="avg")
    theirs.load_weights(weights)
    expected = theirs(keras.applications.mobilenet_v2.preprocess_input(images.copy()), training=False)
    answered = network(images, training=False)
    np.testing.assert_allclose(answered["features"], expected, rtol=1e-4, atol=1e-6)
    assert [variable.shape for variable in network.trainable_variables] == [(1280, 4), (4,)]


def test_small_and_grey_pictures_are_made_what_the_application_takes(weights: Path) -> None:
    network = transferred(weights, "MobileNetV2", (8, 12, 1), 3)
    assert network(np.zeros((2, 8, 12, 1), np.float32), training=False)["logits"].shape == (2, 3)


def test_weights_that_do_not_fit_are_refused(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="expected weights of ResNet50 without its top, got a file that does not"):
        transferred(weights, "ResNet50", (96, 96, 3), 4)
    (tmp_path / "mobilenetv2.h5").write_text("no weights")
    with pytest.raises(TrainingError, match="expected weights of MobileNetV2"):
        transferred(tmp_path / "mobilenetv2.h5", "MobileNetV2", (96, 96, 3), 4)


@pytest.mark.parametrize(
    ("name", "architecture"),
    [
        ("mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5", "MobileNetV2"),
        ("resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5", "ResNet50"),
        ("resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5", "ResNet50V2"),
        ("efficientnetv2-b0_notop.h5", "EfficientNetV2B0"),
    ],
)
def test_published_files_say_what_they_are_for(tmp_path: Path, name: str, architecture: str) -> None:
    path = tmp_path / name
    path.touch()
    assert architecture_of(path, None) == architecture
    assert architecture_of(path, "DenseNet121") == "DenseNet121"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_networks_are_built_as_those_that_keras_downloads_weights_for(
    architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EfficientNetB0 lacks a layer that scales pixels, unless it downloads its weights itself."""
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda *_, **__: "weights.h5")
    monkeypatch.setattr(keras.Model, "load_weights", lambda *_: None)
    make = getattr(keras.applications, architecture)
    ours, theirs = (
        make(include_top=False, weights=weights, input_shape=(96, 96, 3)).layers for weights in (None, "imagenet")
    )
    assert [type(layer) for layer in ours] == [type(layer) for layer in theirs]


def test_a_file_of_no_known_network_is_asked_about(tmp_path: Path) -> None:
    path = tmp_path / "best.h5"
    path.touch()
    with pytest.raises(TrainingError, match="--architecture DenseNet121, EfficientNetV2B0"):
        architecture_of(path, None)
    with pytest.raises(TrainingError, match="expected a file"):
        architecture_of(tmp_path / "nowhere.h5", "MobileNetV2")
