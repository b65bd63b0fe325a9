"""Images of nothing that a classifier was trained on, to try its `ood_score` with."""

import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from sklearn.metrics import roc_auc_score

from training.classifier.ood import REFUSED

_FONTS = "DejaVuSans*.ttf", "DejaVuSerif*.ttf"
_FINER = 8  # times the size in which letters are drawn first
_MOST = 1_000
_BLACK, _WHITE = 0, 255


@dataclass(frozen=True, slots=True)
class Refusal:
    """How well images of one kind are told from those of the test part.

    Attributes:
        auroc: the share of pairs, one image of each, in which the foreign one has the higher score.
        refused: the share that has a score above 1.
    """

    auroc: float
    refused: float


def foreign(known: NDArray[np.uint8], *, letters: bool) -> dict[str, NDArray[np.uint8]]:
    """Makes images of several kinds.

    Args:
        known: uint8 [N,H,W,C], the test part.
        letters: the known images show no letters.

    Returns:
        Up to a thousand images uint8 [M,H,W,C] of each kind: all letters in the fonts that come with Matplotlib, some
        of which nobody could tell from digits (O, l, Z); noise of any brightness; the known images with their pixels
        in any order.
    """
    generator = np.random.default_rng(0)
    few = known[:_MOST]
    pixels = few.reshape(len(few), -1, few.shape[-1])
    order = generator.permuted(np.tile(np.arange(pixels.shape[1]), (len(few), 1)), axis=1)
    return {
        **({"letters": _letters(known.shape[1:])} if letters else {}),
        "noise": generator.integers(_BLACK, _WHITE, few.shape, np.uint8, endpoint=True),
        "shuffled pixels": np.take_along_axis(pixels, order[..., np.newaxis], axis=1).reshape(few.shape),
    }


def refusals(known: NDArray[np.float32], others: Mapping[str, NDArray[np.float32]]) -> dict[str, Refusal]:
    """Compares scores.

    Args:
        known: float32 [N], of the test part.
        others: float32 [M] of each kind of foreign images.
    """
    return {
        name: Refusal(
            float(roc_auc_score(np.repeat([0, 1], [len(known), len(scores)]), np.concatenate([known, scores]))),
            float((scores > 1).mean()),
        )
        for name, scores in others.items()
    }


def as_metrics(known: NDArray[np.float32], found: Mapping[str, Refusal]) -> dict[str, object]:
    """The figures for `metrics.json`."""
    return {
        "threshold": 1.0,
        "refused_validation": REFUSED,
        "refused_test": float((known > 1).mean()),
        **{name: {"auroc": one.auroc, "refused": one.refused} for name, one in found.items()},
    }


def _letters(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """White letters on black that fill a picture of a height, width and channels."""
    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    fonts = sorted(path for pattern in _FONTS for path in folder.glob(pattern) if "Display" not in path.name)
    drawn = [_letter(letter, font, shape) for font in fonts for letter in string.ascii_letters]
    return np.stack(drawn)[:_MOST]


def _letter(letter: str, font: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    height, width, channels = shape
    fine = (width * _FINER, height * _FINER)
    drawn = ImageFont.truetype(str(font), min(fine))
    left, top, right, bottom = drawn.getbbox(letter)
    picture = Image.new("L", fine, _BLACK)
    corner = ((fine[0] - left - right) / 2, (fine[1] - top - bottom) / 2)
    ImageDraw.Draw(picture).text(corner, letter, fill=_WHITE, font=drawn)
    grey = np.asarray(picture.resize((width, height), Image.Resampling.BOX))
    return np.repeat(grey[..., np.newaxis], channels, axis=-1)
