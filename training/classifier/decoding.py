"""Turns image files into pixels inside the graph, so that a served model takes PNG, JPEG, GIF and BMP as they are.

The same code reads the images of a folder for training: the model is trained on what it will be given.
"""

from typing import Any

import tensorflow as tf

_LUMA = (0.299, 0.587, 0.114)  # the weights of red, green and blue in brightness, ITU-R BT.601
_BMP_PALETTE_BITS = 8
_WHITE = 255.0


def decode_images(files: Any, *, height: int, width: int, channels: int) -> Any:
    """Decodes image files of any size and kind.

    Args:
        files: string [N].
        height: of the result.
        width: of the result.
        channels: of the result, 1 or 3.

    Returns:
        float32 [N,height,width,channels], 0 to 255.

    Raises:
        InvalidArgumentError: when run, for a file that is not one of the four formats, or is damaged.
    """

    def one(file: Any) -> Any:
        return _resized(decode_image(file, channels=channels), height, width)

    # The decoders exist for the CPU only; said here, it holds wherever the rest of the graph is placed.
    with tf.device("/CPU:0"):
        spec = tf.TensorSpec([height, width, channels], tf.float32)
        return tf.map_fn(one, files, fn_output_signature=spec)


def decode_image(file: Any, *, channels: int) -> Any:
    """Decodes one image file to float32 [height,width,channels], 0 to 255; of an animation the first frame.

    What is transparent lies on white, and of 16 bits a channel the upper 8 count. What the decoders do not tell of is
    ignored: orientation, and what is transparent in a GIF, or without an alpha channel or a palette in a PNG.
    """
    is_bmp = tf.strings.substr(file, 0, 2) == b"BM"
    pixels = tf.cond(is_bmp, lambda: _decode_bmp(file), lambda: _decode_other(file))
    return _with_channels(pixels, channels)


def _decode_other(file: Any) -> Any:
    """Pixels float32 [height,width,1 or 3], on white."""
    decoded = tf.io.decode_image(file, channels=0, expand_animations=False)
    pixels = tf.cast(tf.ensure_shape(decoded, [None, None, None]), tf.float32)
    has_alpha = tf.shape(pixels)[-1] % 2 == 0
    return tf.cond(has_alpha, lambda: _on_white(pixels[..., :-1], pixels[..., -1:] / _WHITE), lambda: pixels)


def _on_white(colours: Any, alpha: Any) -> Any:
    return colours * alpha + _WHITE * (1.0 - alpha)


def _decode_bmp(file: Any) -> Any:
    """A BMP's pixels, float32 [height,width,3]; the fourth byte of 32 bits means nothing.

    TensorFlow's decoder returns the palette indices of 8-bit images, so the colours are looked up here.
    """
    header = tf.io.decode_raw(tf.strings.substr(file, 0, 54), tf.uint8)
    bits = tf.cast(header[28], tf.int32)
    compressed = (header[30] == 1) | (header[30] == 2)  # run lengths, which the decoder would read as pixels
    with tf.control_dependencies([tf.debugging.assert_equal(compressed, False, "run-length encoded BMP")]):
        pixels = tf.ensure_shape(tf.io.decode_bmp(file, channels=0), [None, None, None])
    colours = tf.cond(bits == _BMP_PALETTE_BITS, lambda: _coloured(file, header, pixels), lambda: pixels[..., :3])
    return tf.cast(colours, tf.float32)


def _coloured(file: Any, header: Any, indices: Any) -> Any:
    """Looks up the colours of an 8-bit BMP: four bytes each, blue, green, red and unused, after the header."""
    start = 14 + _little_endian(header[14:18])
    count = (_little_endian(header[10:14]) - start) // 4  # the palette ends where the pixels begin
    palette = tf.reshape(tf.io.decode_raw(tf.strings.substr(file, start, count * 4), tf.uint8), [-1, 4])
    return tf.gather(palette[:, 2::-1], tf.cast(indices[..., 0], tf.int32))


def _little_endian(octets: Any) -> Any:
    return tf.reduce_sum(tf.cast(octets, tf.int32) * tf.constant([1, 1 << 8, 1 << 16, 1 << 24]))


def _with_channels(pixels: Any, channels: int) -> Any:
    """Converts 1 (grey) or 3 (colour) channels to the model's."""
    coloured = tf.shape(pixels)[-1] == 3
    if channels == 1:
        return tf.cond(
            coloured,
            lambda: tf.reduce_sum(pixels * tf.constant(_LUMA), axis=-1, keepdims=True),
            lambda: pixels,
        )
    return tf.cond(coloured, lambda: pixels, lambda: tf.repeat(pixels, 3, axis=-1))


def _resized(pixels: Any, height: int, width: int) -> Any:
    """Resizes by antialiased bilinear interpolation; pixels that fit already pass through untouched."""
    fits = tf.reduce_all(tf.shape(pixels)[:2] == tf.constant([height, width]))
    resized = tf.cond(
        fits, lambda: pixels, lambda: tf.image.resize(pixels, [height, width], method="bilinear", antialias=True)
    )
    return tf.ensure_shape(resized, [height, width, pixels.shape[-1]])
