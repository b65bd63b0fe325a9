"""What is served of a trained network: scores that mean what they say, and how unlike the known an image is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.classifier.augmentation import augmented
from training.classifier.ood import class_distance
from training.classifier.split import Part, Parts
from training.classifier.temperature import temperature
from training.convergence import check_converged

_ROWS = 64  # a network keeps what all of its layers give until it has answered
_ENOUGH = 2_000  # images to find a temperature by
_MOST_LEARNT = 10_000  # of the training part, to tell where its classes lie


@dataclass(frozen=True, slots=True)
class Served:
    """A network as it is exported.

    Attributes:
        model: from float32 [N,H,W,C], raw pixels 0 to 255, to `scores` float32 [N,K], probabilities, and `ood_score`
            float32 [N], above 1 for what is less like the training part than 99 of 100 validation images.
        temperature: by which its logits are divided.
    """

    model: keras.Model
    temperature: float


def served(network: keras.Model, parts: Parts) -> Served:
    """Finds temperature and distances, the test part untouched.

    Args:
        network: trained, from images to `logits` and `features`.
        parts: the training part says where the classes lie; the validation part, how sure and how far from them the
            network is with images that it does not know.

    Raises:
        TrainingError: the network's answers are not finite.
    """
    learnt = _some(parts.training)
    features = answers(network, learnt.images)["features"]
    unseen = answers(network, parts.validation.images)
    # The loss of the last epoch was known before its last step, and may be finite all the same.
    check_converged("network's answer", features, *unseen.values())
    others, labels = _logits_of_changed(network, parts.validation)
    divisor = temperature(
        np.concatenate([unseen["logits"], *others]),
        np.concatenate([parts.validation.labels, labels]),
    )
    distance = class_distance(features, learnt.labels, unseen=unseen["features"])
    logits = keras.layers.Rescaling(1 / divisor)(network.output["logits"])
    outputs = {
        "scores": keras.layers.Softmax(name="scores")(logits),
        "ood_score": distance(network.output["features"]),
    }
    return Served(keras.Model(network.input, outputs, name=network.name), divisor)


def _logits_of_changed(network: keras.Model, part: Part) -> tuple[list[NDArray[np.float32]], NDArray[np.int64]]:
    """Logits of copies of a small part's images, changed as those that are trained on, until there are enough.

    They come in pieces [<=64,K], beside the labels of all, as hundreds of larger pictures take gigabytes to change.
    Among the images alone there would be hardly any that is put in the wrong class, which is what sets a temperature.
    """
    copies = -(-_ENOUGH // len(part)) - 1
    rows = np.tile(np.arange(len(part)), copies)
    logits = []
    for start in range(0, len(rows), _ROWS):
        images = tf.constant(part.images[rows[start : start + _ROWS]], tf.float32)
        changed = augmented(images, tf.constant([start, 0]), mirrored=False)
        logits.append(answers(network, changed.numpy())["logits"])
    return logits, part.labels[rows]


def answers(model: keras.Model, images: NDArray[Any]) -> Mapping[str, NDArray[np.float32]]:
    """What a model with named outputs says of images [N,H,W,C], of any number type; rows as they are asked."""
    starts = range(0, max(len(images), 1), _ROWS)  # of none, too, what there is of each output
    found = [model(images[start : start + _ROWS].astype(np.float32), training=False) for start in starts]
    return {name: np.concatenate([keras.ops.convert_to_numpy(part[name]) for part in found]) for name in found[0]}


def _some(part: Part) -> Part:
    """At most ten thousand images of a part, spread over all of it, and of each class at least one."""
    chosen = np.arange(0, len(part), -(-len(part) // _MOST_LEARNT))
    _, firsts = np.unique(part.labels, return_index=True)
    rows = np.union1d(chosen, firsts)
    return Part(part.images[rows], part.labels[rows], part.rows[rows])
