"""A network of `keras.applications` whose weights somebody has trained, as they are, with new classes on top."""

import importlib
from pathlib import Path

import keras

from training.classifier.model import with_classes
from training.errors import TrainingError
from training.options import ARCHITECTURES

_LEAST_SIDE = 96  # pixels: these networks halve a picture five times
_LAST_WORDS = 200  # characters of a message about weights that do not fit


def architecture_of(weights: Path, named: str | None) -> str:
    """Which network a file of weights belongs to: the one that is named, or that its name is made of.

    Raises:
        TrainingError: neither says it, or there is no such file.
    """
    if not weights.is_file():
        raise TrainingError(f"--weights: expected a file, got {str(weights)!r}, which is none")
    if named is not None:
        return named
    plain = "".join(filter(str.isalnum, weights.name)).lower()
    found = [name for name in ARCHITECTURES if plain.startswith(name.lower())]
    if not found:
        raise TrainingError(
            f"--weights: the name {weights.name!r} does not begin with that of a network: say which it is, "
            f"--architecture {', '.join(ARCHITECTURES)}"
        )
    return max(found, key=len)


def transferred(weights: Path, architecture: str, shape: tuple[int, int, int], classes: int) -> keras.Model:
    """Builds a network of which only the last layer is untrained.

    The other layers are not trained further. Pictures are made larger where they are smaller than 96 pixels, and grey
    ones coloured, inside the network, which also has what the architecture expects of pixels.

    Args:
        weights: a file of the architecture's weights without its top, `.h5` or `.weights.h5`.
        architecture: its name.
        shape: height, width and channels of an image.
        classes: how many there are.

    Returns:
        As `training.classifier.model.build` does.

    Raises:
        TrainingError: the file has no such weights.
    """
    images = keras.Input(shape, name="images")
    height, width, channels = shape
    signal = keras.layers.Concatenate()([images] * 3) if channels == 1 else images
    larger = max(1.0, _LEAST_SIDE / min(height, width))
    if larger > 1:
        signal = keras.layers.Resizing(round(height * larger), round(width * larger))(signal)
    make = getattr(keras.applications, architecture)
    signal = importlib.import_module(make.__module__).preprocess_input(signal)
    network = make(include_top=False, weights=None, input_shape=signal.shape[1:])
    try:
        network.load_weights(str(weights))
    except Exception as error:  # whatever Keras' readers stumble over
        words = " ".join(str(error).split())[:_LAST_WORDS]
        raise TrainingError(
            f"--weights {weights}: expected weights of {architecture} without its top, got a file that does not fit: "
            f"{words}"
        ) from error
    network.trainable = False
    last = keras.layers.GlobalAveragePooling2D(dtype="float32")(network(signal, training=False))
    return with_classes(images, last, last, classes, name=architecture.lower())
