from pathlib import Path

import numpy as np
import pytest

from training.classifier.plots import worst
from training.classifier.split import Part


@pytest.mark.parametrize("shape", [(1, 7, 1), (7, 1, 1), (1, 1, 1), (1, 1, 3), (1, 7, 3)])
def test_pictures_of_one_pixel_on_a_side_are_shown(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    part = Part(np.full((2, *shape), 100, np.uint8), np.array([0, 1]), np.arange(2))
    worst(tmp_path / "worst.png", part, np.array([[0.9, 0.1], [0.6, 0.4]], np.float32), ["no", "yes"])
    assert (tmp_path / "worst.png").stat().st_size > 0
