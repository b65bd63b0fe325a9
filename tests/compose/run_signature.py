"""Runs one signature of a SavedModel in whatever release of TensorFlow runs this: inputs and outputs are .npz files."""

import sys

import numpy as np
import tensorflow as tf


def main(model: str, signature: str, inputs: str, outputs: str) -> None:
    """Reads the inputs, runs the signature, writes its outputs."""
    with np.load(inputs, allow_pickle=True) as given:
        tensors = {
            name: tf.constant(array.tolist() if array.dtype == object else array) for name, array in given.items()
        }
    answers = tf.saved_model.load(model).signatures[signature](**tensors)
    np.savez(outputs, **{name: tensor.numpy() for name, tensor in answers.items()})
    sys.stdout.write(tf.__version__)


if __name__ == "__main__":
    main(*sys.argv[1:])
