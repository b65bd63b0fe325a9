"""The model that is called, and its requests: it answers each row with its mean, so that only the size matters."""

from pathlib import Path

import numpy as np

from benchmarks.questions import OIP_REST, OIP_RPC, OIP_STREAM, TFS_REST, TFS_RPC, Examples

MODEL, INPUT, OUTPUT = "mean", "x", "y"
SIZES = (64, 37_632, 262_144)
"""Numbers in a request: a picture of 8x8; 150 KB and 1 MB as float32."""
PROTOCOLS = tuple(question.name for question in (OIP_RPC, OIP_STREAM, TFS_RPC, OIP_REST, TFS_REST))
ASKED = {OIP_RPC: SIZES, OIP_STREAM: SIZES[:1], TFS_RPC: SIZES, OIP_REST: SIZES, TFS_REST: SIZES}
"""The sizes that are measured in each protocol: streams are for many small messages."""
_COUNT = 8


def examples(numbers: int) -> Examples:
    """Returns rows of that many numbers with four digits, float32 [8, numbers], and the model's answer to each."""
    rows = np.random.default_rng(0).random((_COUNT, numbers)).round(4).astype(np.float32)
    return Examples(rows, rows.mean(1, keepdims=True))


def export(models: Path) -> None:
    """Exports the model, float32 [N, M] to [N, 1], into a models folder. Imports tensorflow."""
    import tensorflow as tf  # noqa: PLC0415 - slow, and needs memory

    module = tf.Module()
    spec = tf.TensorSpec([None, None], tf.float32, name=INPUT)
    mean = tf.function(lambda x: {OUTPUT: tf.reduce_mean(x, 1, keepdims=True)})
    tf.saved_model.save(module, models / MODEL / "1", signatures=mean.get_concrete_function(spec))
