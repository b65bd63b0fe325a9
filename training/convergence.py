"""Notices that a training diverged."""

import numpy as np
from numpy.typing import ArrayLike

from training.errors import TrainingError


def check_converged(name: str, *numbers: ArrayLike) -> None:
    """Checks what came of a training, named for the message.

    Raises:
        TrainingError: a number is not finite.
    """
    if not all(np.isfinite(each).all() for each in numbers):
        raise TrainingError(f"the training diverged: the {name} is not finite; try a smaller --learning-rate")
