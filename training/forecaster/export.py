"""Writes a forecaster as a SavedModel that takes raw series, or tf.Examples."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.forecaster.forecast import Forecaster
from training.forecaster.model import LEVELS
from training.savedmodel import REGRESS, Signature, save
from training.verify import Case

METHODS = {"regress_examples": REGRESS}
_HISTORY = "history"


@dataclass(frozen=True, slots=True)
class Exported:
    """What is exported.

    Attributes:
        forecast: from histories, float32 [N,*shape], to forecasts, float32 [N,H], and their quantiles, float32 [N,H,Q].
            It is free of kernels that only a GPU has.
        shape: of a history.
        levels: the Q levels, ascending.
        variables: the Keras variables that it reads.
    """

    forecast: Callable[[Any], tuple[Any, Any]]
    shape: Sequence[int]
    levels: Sequence[float]
    variables: Sequence[Any]

    @classmethod
    def of(cls, forecaster: Forecaster) -> Self:
        """A trained forecaster."""
        window, features = forecaster.network.input_shape[1:]
        return cls(
            lambda history: forecaster(tf.reshape(history, [-1, window, features])),
            _history_shape(window, features),
            LEVELS,
            forecaster.network.variables,
        )


def export(model: Exported, folder: Path, dtype: str = "float32") -> None:
    """Writes the SavedModel.

    Args:
        model: the forecaster.
        folder: where to.
        dtype: that the weights are stored in; see `training.storage`.
    """

    def forecast(history: Any) -> dict[str, Any]:
        values, quantiles = model.forecast(history)
        count = len(model.levels)
        levels = tf.broadcast_to(tf.constant(model.levels, tf.float32, [count]), [tf.shape(values)[0], count])
        return {
            "forecast": values,
            "quantiles": quantiles,
            "quantile_levels": tf.ensure_shape(levels, [None, count]),
        }

    def regress_examples(inputs: Any) -> dict[str, Any]:
        with tf.device("/CPU:0"):
            features = tf.io.parse_example(inputs, {_HISTORY: tf.io.FixedLenFeature(model.shape, tf.float32)})
        return {"outputs": forecast(features[_HISTORY])["forecast"][:, :1]}

    signatures = {
        "serving_default": Signature(forecast, tf.TensorSpec([None, *model.shape], tf.float32, _HISTORY)),
        "regress_examples": Signature(
            regress_examples, tf.TensorSpec([None], tf.string, "inputs"), METHODS["regress_examples"]
        ),
    }
    save(folder, signatures, variables=model.variables, dtype=dtype)


def cases(
    histories: NDArray[np.float32],
    forecast: NDArray[np.float32],
    quantiles: NDArray[np.float32],
    levels: Sequence[float] = LEVELS,
) -> dict[str, Case]:
    """What every signature must answer for some histories.

    Args:
        histories: float32 [N,...], in the shape in which the exported model takes them.
        forecast: what the forecaster says, float32 [N,H].
        quantiles: likewise, float32 [N,H,Q].
        levels: of the quantiles.
    """
    expected = {
        "forecast": forecast,
        "quantiles": quantiles,
        "quantile_levels": np.broadcast_to(np.array(levels, np.float32), (len(histories), len(levels))),
    }
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
