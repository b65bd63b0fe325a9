"""The convolutional network: convolution, ReLU and pooling, then fully connected layers and a softmax."""

import keras

_FIRST_FILTERS = 32
_MOMENTUM = 0.9  # of the running statistics: a small data set has few steps to gather them
_MOST_BLOCKS = 4
_SMALLEST_SIDE = 4  # no pooling below it: there would be nothing left to recognise


def build(shape: tuple[int, int, int], classes: int, *, mean: float, deviation: float, mirrored: bool) -> keras.Model:
    """Builds an untrained network.

    Args:
        shape: height, width and channels of an image.
        classes: how many there are.
        mean: of the training pixels, 0 to 255.
        deviation: the standard deviation of the training pixels, above 0.
        mirrored: images may be mirrored while training.

    Returns:
        A model from float32 [N,H,W,C], raw pixels 0 to 255, to float32 [N,classes], probabilities. Its augmentation
        acts in training only.
    """
    images = keras.Input(shape, name="images")
    signal = _augmented(keras.layers.Rescaling(1 / deviation, -mean / deviation)(images), mirrored=mirrored)
    filters, side = _FIRST_FILTERS, min(shape[:2])
    for _ in range(_MOST_BLOCKS):
        if side < _SMALLEST_SIDE and filters > _FIRST_FILTERS:
            break
        signal = _block(signal, filters)
        filters, side = filters * 2, side // 2
    signal = keras.layers.Flatten()(signal)
    signal = keras.layers.Dropout(0.4)(signal)
    signal = keras.layers.Dense(128, activation="relu")(signal)
    signal = keras.layers.Dropout(0.4)(signal)
    scores = keras.layers.Dense(classes, activation="softmax", name="scores")(signal)
    return keras.Model(images, scores, name="cnn")


def _augmented(signal: keras.KerasTensor, *, mirrored: bool) -> keras.KerasTensor:
    """Shifts, turns and zooms a little, as another camera or another hand would."""
    if mirrored:
        signal = keras.layers.RandomFlip("horizontal")(signal)
    signal = keras.layers.RandomTranslation(0.08, 0.08, fill_mode="nearest")(signal)
    signal = keras.layers.RandomRotation(0.03, fill_mode="nearest")(signal)
    return keras.layers.RandomZoom(0.1, 0.1, fill_mode="nearest")(signal)


def _block(signal: keras.KerasTensor, filters: int) -> keras.KerasTensor:
    """Two convolutions with ReLU, and one pooling where the image is large enough for it."""
    for _ in range(2):
        signal = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)(signal)
        signal = keras.layers.BatchNormalization(momentum=_MOMENTUM)(signal)
        signal = keras.layers.ReLU()(signal)
    if min(signal.shape[1:3]) >= 2:
        signal = keras.layers.MaxPooling2D(2)(signal)
    return signal
