"""The pictures of a classifier's report."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from training.classifier.evaluate import Accuracy, Calibration
from training.classifier.split import Part
from training.plotting import BLUE, GREY, ORANGE, picture

_SHOWN = 6  # images side by side
_MOST_NUMBERS = 20  # classes up to which the cells of a confusion matrix have room for a number


def learning_curves(path: Path, history: Mapping[str, Sequence[float]]) -> None:
    """Loss and error rate per epoch, on the training and the validation part."""
    epochs = np.arange(1, len(history["loss"]) + 1)
    with picture(path, width=9.5, columns=2) as (loss, error):
        for name, label, colour in (("", "training (augmented, with dropout)", BLUE), ("val_", "validation", ORANGE)):
            loss.plot(epochs, history[f"{name}loss"], color=colour, label=label)
            error.plot(epochs, 1 - np.array(history[f"{name}accuracy"]), color=colour, label=label)
        for axes, title in ((loss, "Cross-entropy"), (error, "Error rate")):
            axes.set(title=title, xlabel="epoch")
            axes.set_yscale("symlog", linthresh=1e-3)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set_ylim(bottom=0)
        error.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
        loss.legend(frameon=False)


def confusion_matrix(path: Path, found: Accuracy, classes: Sequence[str]) -> None:
    """True against predicted class, coloured by the share of the true class."""
    counts = found.confusion
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(4 + 0.4 * len(classes), 14)
    with picture(path, width=side + 0.8, height=side) as (axes,):
        axes.grid(visible=False)
        drawn = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.set(title="Confusion matrix (test part)", xlabel="predicted class", ylabel="true class")
        axes.set_xticks(range(len(classes)), classes, rotation=45 if max(map(len, classes)) > 2 else 0)
        axes.set_yticks(range(len(classes)), classes)
        if len(classes) <= _MOST_NUMBERS:
            for row, column in zip(*np.nonzero(counts), strict=True):
                ink = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=ink)
        bar = axes.figure.colorbar(drawn, ax=axes, shrink=0.8)
        bar.ax.yaxis.set_major_formatter(PercentFormatter(1))


def reliability(path: Path, found: Calibration) -> None:
    """Accuracy against the top score, and how many images there are at each score."""
    width = 1 / len(found.count)
    edges = np.arange(len(found.count)) * width
    with picture(path, width=9.5, columns=2) as (accuracy, count):
        accuracy.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="perfectly calibrated")
        filled = found.count > 0
        accuracy.bar(edges[filled], found.accuracy[filled], width, align="edge", color=BLUE, edgecolor="white")
        accuracy.plot(
            found.confidence[filled], found.accuracy[filled], "o", color=ORANGE, label="mean score in the bin"
        )
        accuracy.set(
            title=f"Calibration (expected error {found.error:.3f})", xlabel="top score", ylabel="share that was right"
        )
        accuracy.legend(frameon=False, loc="upper left")
        count.bar(edges, found.count, width, align="edge", color=BLUE, edgecolor="white")
        count.set(title="Images at each top score", xlabel="top score", ylabel="images", yscale="symlog")
        for axes in (accuracy, count):
            axes.set_xlim(0, 1)


def worst(path: Path, part: Part, scores: NDArray[np.float32], classes: Sequence[str]) -> None:
    """The images whose own class has the lowest scores: what they are, and what they were taken for."""
    of_truth = scores[np.arange(len(part)), part.labels]
    shown = np.argsort(of_truth, kind="stable")[:_SHOWN]
    with picture(path, width=11, height=2.9, columns=len(shown)) as every:
        for axes, row in zip(every, shown, strict=True):
            said = int(scores[row].argmax())
            image = part.images[row]
            axes.imshow(image[..., 0] if image.shape[2] == 1 else image, cmap="gray", vmin=0, vmax=255)
            axes.grid(visible=False)
            axes.set(xticks=[], yticks=[])
            axes.set_title(f"{classes[part.labels[row]]}: {of_truth[row]:.3f}\nsays {classes[said]}", fontsize=9)
