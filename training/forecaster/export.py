"""Writes a forecaster as a SavedModel that takes raw series, or tf.Examples."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.forecaster.forecast import Forecaster
from training.forecaster.model import LEVELS
from training.savedmodel import REGRESS, Signature, save
from training.verify import Case

METHODS = {"regress_examples": REGRESS}
_HISTORY = "history"


def export(forecaster: Forecaster, folder: Path, dtype: str = "float32") -> None:
    """Writes the SavedModel.

    Args:
        forecaster: free of kernels that only a GPU has.
        folder: where to.
        dtype: that the weights are stored in; see `training.storage`.
    """
    window, features = forecaster.network.input_shape[1:]
    shape = _history_shape(window, features)

    def forecast(history: Any) -> dict[str, Any]:
        values, quantiles = forecaster(tf.reshape(history, [-1, window, features]))
        levels = tf.broadcast_to(tf.constant(LEVELS, tf.float32), [tf.shape(values)[0], len(LEVELS)])
        levels = tf.ensure_shape(levels, [None, len(LEVELS)])
        return {"forecast": values, "quantiles": quantiles, "quantile_levels": levels}

    def regress_examples(inputs: Any) -> dict[str, Any]:
        with tf.device("/CPU:0"):
            features = tf.io.parse_example(inputs, {_HISTORY: tf.io.FixedLenFeature(shape, tf.float32)})
        return {"outputs": forecast(features[_HISTORY])["forecast"][:, :1]}

    signatures = {
        "serving_default": Signature(forecast, tf.TensorSpec([None, *shape], tf.float32, _HISTORY)),
        "regress_examples": Signature(
            regress_examples, tf.TensorSpec([None], tf.string, "inputs"), METHODS["regress_examples"]
        ),
    }
    save(folder, signatures, variables=forecaster.network.variables, dtype=dtype)


def cases(
    histories: NDArray[np.float32], forecast: NDArray[np.float32], quantiles: NDArray[np.float32]
) -> dict[str, Case]:
    """What every signature must answer for some histories.

    Args:
        histories: float32 [N,window,F].
        forecast: what the trained forecaster says, float32 [N,H].
        quantiles: likewise, float32 [N,H,Q].
    """
    histories = shaped(histories)
    levels = np.broadcast_to(np.array(LEVELS, np.float32), (len(histories), len(LEVELS)))
    expected = {"forecast": forecast, "quantiles": quantiles, "quantile_levels": levels}
    examples = np.array([_example(history) for history in histories], object)
    return {
        "serving_default": Case({_HISTORY: histories}, expected),
        "regress_examples": Case({"inputs": examples}, {"outputs": forecast[:, :1]}),
    }


def shaped(histories: NDArray[np.float32]) -> NDArray[np.float32]:
    """Histories [N,window,F] in the shape in which the exported model takes them."""
    return histories.reshape(len(histories), *_history_shape(*histories.shape[1:]))


def _history_shape(window: int, features: int) -> list[int]:
    """One column needs no dimension of its own."""
    return [window] if features == 1 else [window, features]


def _example(history: NDArray[np.float32]) -> bytes:
    """A serialized tf.Example that carries a history, step after step."""
    feature = tf.train.Feature(float_list=tf.train.FloatList(value=history.reshape(-1)))
    example = tf.train.Example(features=tf.train.Features(feature={_HISTORY: feature}))
    return bytes(example.SerializeToString())
