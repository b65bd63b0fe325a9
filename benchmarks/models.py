"""The models that are measured: their names, and what they are asked."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

INPUT = "keras_tensor"
SMALL, LARGE, SUM = "cnn28", "cnn224", "sum"
Images = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Example:
    """What a model is asked, and what it answers when it is called by itself.

    Attributes:
        image: float32 [1, H, W, C], of numbers with four digits: in JSON they are as long as numbers that people send.
        scores: float32 [1, 10].
    """

    image: Images
    scores: Images
