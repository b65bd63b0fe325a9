"""Changes pictures a little while training, as another camera or another hand would.

Shift, turn, zoom, shear and an elastic distortion (Simard, Steinkraus and Platt, "Best Practices for Convolutional
Neural Networks Applied to Visual Document Analysis", 2003) are one map of positions, so that pixels are interpolated
once, however many of them there are.
"""

from typing import Any

import tensorflow as tf

_SHIFT = 0.08  # of the side, at most
_TURN = 0.15  # radians, at most
_ZOOM = 0.1  # of the logarithm of the size, at most; for each axis its own
_SHEAR = 0.1  # at most
_ELASTIC = 0.03  # of the side: standard deviation of the positions' own shifts
_CELLS = 3  # shifts of their own along each axis, and smooth in between


def augmented(images: Any, seed: Any, *, mirrored: bool) -> Any:
    """Changes each picture in its own way.

    Args:
        images: float32 [N,H,W,C].
        seed: int32 [2]; the same seed changes the same pictures alike. The second number and the two after it are used.
        mirrored: half of them are mirrored, too.

    Returns:
        float32 [N,H,W,C]; what is shifted in from outside repeats the border.
    """
    count, height, width = tf.shape(images)[0], images.shape[1], images.shape[2]
    if mirrored:
        turned = tf.random.stateless_uniform([count, 1, 1, 1], tf.add(seed, [0, 2])) < 0.5
        images = tf.where(turned, tf.reverse(images, [2]), images)
    down, across = _positions(count, height, width, seed)
    elastic = tf.random.stateless_normal([count, _CELLS, _CELLS, 2], tf.add(seed, [0, 1]), stddev=_ELASTIC)
    elastic = tf.image.resize(elastic, [height, width], "bicubic")
    return _sampled(images, down + height * elastic[..., 0], across + width * elastic[..., 1])


def _positions(count: Any, height: int, width: int, seed: Any) -> tuple[Any, Any]:
    """Where each pixel comes from after shift, turn, zoom and shear about the centre: rows and columns, [N,H,W]."""
    drawn = tf.random.stateless_uniform([6, count, 1, 1], seed, -1.0, 1.0)
    turn, shear = _TURN * drawn[0], _SHEAR * drawn[1]
    zoom_down, zoom_across = tf.exp(_ZOOM * drawn[2]), tf.exp(_ZOOM * drawn[3])
    rows = tf.range(height, dtype=tf.float32)[:, tf.newaxis] - (height - 1) / 2
    columns = tf.range(width, dtype=tf.float32) - (width - 1) / 2
    down = tf.cos(turn) * zoom_down * rows + (tf.sin(turn) * zoom_across + shear) * columns
    across = (shear - tf.sin(turn) * zoom_down) * rows + tf.cos(turn) * zoom_across * columns
    centre_down, centre_across = (height - 1) / 2, (width - 1) / 2
    return down + centre_down + _SHIFT * height * drawn[4], across + centre_across + _SHIFT * width * drawn[5]


def _sampled(images: Any, down: Any, across: Any) -> Any:
    """The pictures at these positions, [N,H,W] each, by bilinear interpolation."""
    height, width, channels = images.shape[1:]
    pixels = tf.reshape(images, [-1, height * width, channels])
    down, across = tf.clip_by_value(down, 0.0, height - 1.0), tf.clip_by_value(across, 0.0, width - 1.0)
    top, left = tf.floor(down), tf.floor(across)
    lower, right = (down - top)[..., tf.newaxis], (across - left)[..., tf.newaxis]
    top, left = tf.cast(top, tf.int32), tf.cast(left, tf.int32)
    bottom, beside = tf.minimum(top + 1, height - 1), tf.minimum(left + 1, width - 1)

    def at(row: Any, column: Any) -> Any:
        return tf.gather(pixels, row * width + column, batch_dims=1)

    upper_line = (1 - right) * at(top, left) + right * at(top, beside)
    lower_line = (1 - right) * at(bottom, left) + right * at(bottom, beside)
    return (1 - lower) * upper_line + lower * lower_line
