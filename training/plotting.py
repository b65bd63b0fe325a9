"""How every picture of a report looks: one size, one set of colours, drawn without a screen."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Distinguishable by readers with any colour vision (Okabe and Ito, 2008)
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#6E6E6E"


@contextlib.contextmanager
def picture(path: Path, *, width: float = 8.0, height: float = 4.5, columns: int = 1) -> Iterator[list[Axes]]:
    """Opens a figure, and saves it as PNG when the block ends.

    Args:
        path: the file.
        width: in inches, at 110 dots each.
        height: likewise.
        columns: how many axes stand side by side.

    Yields:
        The axes, from left to right.
    """
    figure = Figure(figsize=(width, height), layout="constrained", dpi=110)
    FigureCanvasAgg(figure)  # pyplot would look for a screen, and keep every figure
    axes = list(figure.subplots(1, columns, squeeze=False)[0])
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
        one.grid(visible=True, color="#E4E4E4", linewidth=0.7)
        one.set_axisbelow(True)
    yield axes
    figure.savefig(path)
