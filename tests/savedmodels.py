"""Small SavedModels, written by real TensorFlow: for tests of the backend that runs them. Imports tensorflow."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import Message
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

LABELS = ["dark", "bright"]
SIZE = 4
WINDOW, HORIZON = 6, 3


class Shades(tf.Module):  # type: ignore[misc]
    """An image classifier by brightness; takes pixels and files."""

    def _scores(self, images: Any) -> dict[str, Any]:
        brightness = tf.reduce_mean(images, axis=[1, 2, 3]) / 255.0
        scores = tf.stack([1.0 - brightness, brightness], axis=1)
        return {"scores": scores, "classes": tf.tile([LABELS], [tf.shape(scores)[0], 1])}

    @tf.function(input_signature=[tf.TensorSpec([None, SIZE, SIZE, 1], tf.float32, name="images")])
    def pixels(self, images: Any) -> dict[str, Any]:
        return self._scores(images)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    def files(self, image_bytes: Any) -> dict[str, Any]:
        def decoded(data: Any) -> Any:
            image = tf.io.decode_image(data, channels=1, expand_animations=False)
            image.set_shape([None, None, 1])
            return tf.image.resize(image, [SIZE, SIZE])

        return self._scores(tf.map_fn(decoded, image_bytes, fn_output_signature=tf.TensorSpec([SIZE, SIZE, 1])))


class Steps(tf.Module):  # type: ignore[misc]
    """A forecaster that goes on by one a step."""

    @tf.function(input_signature=[tf.TensorSpec([None, WINDOW], tf.float32, name="history")])
    def forecast(self, history: Any) -> dict[str, Any]:
        points = history[:, -1:] + tf.range(1.0, HORIZON + 1.0)
        levels = tf.tile([[0.1, 0.5, 0.9]], [tf.shape(points)[0], 1])
        return {
            "forecast": points,
            "quantiles": points[:, :, tf.newaxis] + tf.constant([-10.0, 0.0, 10.0]),
            "quantile_levels": levels,
        }


def save_shades(folder: Path) -> Path:
    """Writes a version of the classifier."""
    module = Shades()
    signatures = {"serving_default": module.pixels, "classify_bytes": module.files}
    tf.saved_model.save(module, str(folder), signatures=signatures)
    return folder


def save_steps(folder: Path) -> Path:
    """Writes a version of the forecaster."""
    module = Steps()
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.forecast})
    return folder


def save_mute(folder: Path) -> Path:
    """Writes a version without any signature."""
    tf.saved_model.save(tf.Module(), str(folder), signatures={})
    return folder


def save_thief(folder: Path, secret: Path, theirs: Path) -> Path:
    """Saves a model that copies a file of the machine that it runs on."""

    class Thief(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
        def steal(self, x: Any) -> Any:
            with tf.control_dependencies([tf.io.write_file(str(theirs), tf.io.read_file(str(secret)))]):
                return {"y": tf.identity(x)}

    thief = Thief()
    tf.saved_model.save(thief, str(folder), thief.steal)
    return folder


def predict_log(signature: str, **inputs: Any) -> Message:
    """Returns a recorded request, in TensorFlow Serving's own messages."""
    request = predict_pb2.PredictRequest()
    request.model_spec.signature_name = signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    log: Message = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
    return log


def write_warmup(version: Path, *records: Message) -> None:
    """Writes the version's warm-up file."""
    extra = version / "assets.extra"
    extra.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(extra / "tf_serving_warmup_requests")) as writer:
        for record in records:
            writer.write(record.SerializeToString())


def black(rows: int = 1) -> Any:
    """Returns black images."""
    return np.zeros((rows, SIZE, SIZE, 1), np.float32)


def png_with_damaged_pixels() -> bytes:
    """Returns a PNG that is whole by its structure and checksums, and whose pixels do not unpack."""
    header = struct.pack(">IIBBBBB", SIZE, SIZE, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", b"not zlib") + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def truncated_tfrecord() -> bytes:
    """Returns bytes that begin as a TFRecord and are none."""
    return struct.pack("<Q", 1 << 40) + bytes(20)
