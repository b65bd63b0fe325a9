"""Folders of coloured pictures of many sizes, made of what packages carry: photographs, textures, letters in fonts.

``python -m tests.picture_folders FOLDER`` writes the one that docs/training.md has figures of.
"""

import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_sample_images

Pixels = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Pixels]

LETTERS = "ABEFHKPR"
_RARE = "dots"
_RARER = 5  # times
_NOISE = 25  # standard deviation, of 255
_SIZES = 48, 81


def write(folder: Path, *, each: int, names: Collection[str] | None = None, seed: int = 0) -> None:
    """Writes a sub-folder for each class, the pictures of which are noisy and of 48 to 80 pixels a side.

    Args:
        folder: where to.
        each: how many pictures a class has; the class of dots has a fifth.
        names: of the classes; all of them by default.
        seed: of everything that is drawn.
    """
    for number, (name, draw) in enumerate(_classes().items()):
        if names is not None and name not in names:
            continue
        random = np.random.default_rng([seed, number])
        (folder / name).mkdir(parents=True)
        for index in range(each // _RARER if name == _RARE else each):
            size = int(random.integers(*_SIZES))
            pixels = draw(random, size) + random.normal(0, _NOISE, (size, size, 3))
            picture = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
            picture.save(folder / name / f"{index}.png")


def _classes() -> Mapping[str, Draw]:
    photographs = [*load_sample_images().images, _portrait()]
    named = dict(zip(("temple", "flower", "portrait"), photographs, strict=True))
    return {
        **{name: _part_of(photograph) for name, photograph in named.items()},
        "stripes": lambda random, size: _coloured(random, np.sin(_wave(random, size)) > 0),
        "checks": lambda random, size: _coloured(random, _checks(random, size)),
        "dots": lambda random, size: _coloured(random, _dots(random, size)),
        **{letter: _written(letter, photographs) for letter in LETTERS},
    }


def _portrait() -> NDArray[np.uint8]:
    return np.asarray(Image.open(Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg").convert("RGB"))


def _part_of(photograph: NDArray[np.uint8]) -> Draw:
    def draw(random: np.random.Generator, size: int) -> Pixels:
        side = int(random.integers(size, 2 * size))
        top, left = (int(random.integers(0, length - side)) for length in photograph.shape[:2])
        part = Image.fromarray(photograph[top : top + side, left : left + side]).resize((size, size))
        pixels: Pixels = np.asarray(part, np.float64) * random.uniform(0.6, 1.2)
        return pixels

    return draw


def _wave(random: np.random.Generator, size: int) -> Pixels:
    """A phase that grows in some direction, float64 [size,size]."""
    down, across = np.mgrid[:size, :size]
    angle, pace = random.uniform(0, np.pi), random.uniform(0.4, 1.2)
    wave: Pixels = pace * (np.cos(angle) * down + np.sin(angle) * across) + random.uniform(0, 6)
    return wave


def _checks(random: np.random.Generator, size: int) -> NDArray[np.bool_]:
    down, across = np.mgrid[:size, :size] // int(random.integers(4, 12))
    checks: NDArray[np.bool_] = (down + across) % 2 == 0
    return checks


def _dots(random: np.random.Generator, size: int) -> NDArray[np.bool_]:
    pitch = int(random.integers(8, 20))
    down, across = (np.mgrid[:size, :size] + random.integers(0, pitch, (2, 1, 1))) % pitch - pitch / 2
    dots: NDArray[np.bool_] = np.hypot(down, across) < pitch / 3.5
    return dots


def _coloured(random: np.random.Generator, where: NDArray[np.bool_]) -> Pixels:
    one, other = _two_colours(random)
    pixels: Pixels = np.where(where[..., np.newaxis], one, other)
    return pixels


def _two_colours(random: np.random.Generator) -> Pixels:
    """Two that can be told apart, float64 [2,3]."""
    while True:
        colours: Pixels = random.uniform(0, 255, (2, 3))
        if abs(np.subtract(*colours.mean(axis=1))) > 60:
            return colours


def _written(letter: str, photographs: list[NDArray[np.uint8]]) -> Draw:
    """A letter in any font and colour, somewhere on a part of a photograph."""
    fonts = sorted((Path(mpl.get_data_path()) / "fonts" / "ttf").glob("DejaVuS*.ttf"))
    fonts = [font for font in fonts if "Display" not in font.name]

    def draw(random: np.random.Generator, size: int) -> Pixels:
        below = _part_of(photographs[int(random.integers(len(photographs)))])(random, size)
        mask = Image.new("L", (size, size))
        font = ImageFont.truetype(str(fonts[int(random.integers(len(fonts)))]), int(size * random.uniform(0.5, 0.9)))
        place = tuple(size / 2 + random.uniform(-0.1, 0.1, 2) * size)
        ImageDraw.Draw(mask).text(place, letter, fill=255, font=font, anchor="mm")
        share = np.asarray(mask.rotate(random.uniform(-15, 15)), np.float64)[..., np.newaxis] / 255
        colour = np.full(3, 255.0 if below.mean() < 128 else 0.0) * random.uniform(0.7, 1) + random.uniform(0, 40, 3)
        return below * (1 - share) + colour * share

    return draw


if __name__ == "__main__":
    write(Path(sys.argv[1]), each=150)
