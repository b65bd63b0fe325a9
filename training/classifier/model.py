"""The networks: convolution, ReLU and pooling, then fully connected layers, and a number for each class."""

import keras

_FIRST_FILTERS = 32
_MOMENTUM = 0.9  # of the running statistics: a small data set has few steps to gather them
_MOST_BLOCKS = 4
_SMALLEST_SIDE = 4  # no pooling below it: there would be nothing left to recognise
_DROPOUT = 0.4
_COARSE = 4
SMALL, RESIDUAL = "small", "residual"
_LARGEST_SMALL = 32  # pixels on the shorter side, up to which the small network is the better one


def preset_for(shape: tuple[int, int, int]) -> str:
    """The network that suits images of a height, a width and channels."""
    return SMALL if min(shape[:2]) <= _LARGEST_SMALL else RESIDUAL


def build(preset: str, shape: tuple[int, int, int], classes: int, *, mean: float, deviation: float) -> keras.Model:
    """Builds an untrained network.

    Args:
        preset: `small` or `residual`.
        shape: height, width and channels of an image.
        classes: how many there are.
        mean: of the training pixels, 0 to 255.
        deviation: the standard deviation of the training pixels, above 0.

    Returns:
        A model from float32 [N,H,W,C], raw pixels 0 to 255, to `logits` float32 [N,classes], whose softmax are
        probabilities, and `features` float32 [N,D], of the first layers and the last.
    """
    images = keras.Input(shape, name="images")
    signal = keras.layers.Rescaling(1 / deviation, -mean / deviation)(images)
    first, last = _small(signal, min(shape[:2])) if preset == SMALL else _residual(signal)
    features = keras.layers.Concatenate(dtype="float32")([_coarse(first), last])
    return with_classes(images, last, features, classes, name=preset)


def with_classes(
    images: keras.KerasTensor, last: keras.KerasTensor, features: keras.KerasTensor, classes: int, *, name: str
) -> keras.Model:
    """Ends a network: from the last features [N,D] to a logit for each class, in float32 whatever they are."""
    logits = keras.layers.Dense(classes, dtype="float32", name="logits")(keras.layers.Dropout(_DROPOUT)(last))
    return keras.Model(images, {"logits": logits, "features": features}, name=name)


def _coarse(signal: keras.KerasTensor) -> keras.KerasTensor:
    """The means over at most 4x4 parts of a picture, [N,D]: what strokes and textures there are, and about where."""
    parts = [max(1, side // _COARSE) for side in signal.shape[1:3]]
    return keras.layers.Flatten()(keras.layers.AveragePooling2D(parts)(signal))


def _small(signal: keras.KerasTensor, side: int) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Blocks of two convolutions and a pooling, then a fully connected layer; the first block and that."""
    filters, first = _FIRST_FILTERS, None
    for _ in range(_MOST_BLOCKS):
        if side < _SMALLEST_SIDE and filters > _FIRST_FILTERS:
            break
        for _ in range(2):
            signal = _convolved(signal, filters)
            signal = keras.layers.ReLU()(signal)
        if min(signal.shape[1:3]) >= 2:
            signal = keras.layers.MaxPooling2D(2)(signal)
        first = signal if first is None else first
        filters, side = filters * 2, side // 2
    signal = keras.layers.Flatten()(signal)
    signal = keras.layers.Dropout(_DROPOUT)(signal)
    return first, keras.layers.Dense(128, activation="relu")(signal)


def _residual(signal: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """A short ResNet: the stem, four stages of one block each, and the mean over the picture; the stem and that.

    He et al., "Deep Residual Learning for Image Recognition", 2016, with a smaller stem for smaller pictures.
    """
    signal = keras.layers.ReLU()(_convolved(signal, _FIRST_FILTERS, stride=2))
    first = signal = keras.layers.MaxPooling2D(2, padding="same")(signal)
    for stage in range(_MOST_BLOCKS):
        filters, stride = _FIRST_FILTERS * 2**stage, 1 if stage == 0 else 2
        shortcut = signal if stride == 1 else _convolved(signal, filters, side=1, stride=stride)
        signal = keras.layers.ReLU()(_convolved(signal, filters, stride=stride))
        signal = keras.layers.Add()([_convolved(signal, filters), shortcut])
        signal = keras.layers.ReLU()(signal)
    return first, keras.layers.GlobalAveragePooling2D()(signal)


def _convolved(signal: keras.KerasTensor, filters: int, *, side: int = 3, stride: int = 1) -> keras.KerasTensor:
    """A convolution and a batch normalisation."""
    signal = keras.layers.Conv2D(filters, side, strides=stride, padding="same", use_bias=False)(signal)
    return keras.layers.BatchNormalization(momentum=_MOMENTUM)(signal)
