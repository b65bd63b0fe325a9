"""What a run was asked for, checked for form and typed; the command line fills these in."""

from dataclasses import dataclass
from pathlib import Path

from series_files.reading import Reading

ARCHITECTURES = ("DenseNet121", "EfficientNetV2B0", "MobileNetV2", "ResNet50", "ResNet50V2")
MOST_BROKEN = 0.05  # of a folder's pictures may be unreadable


@dataclass(frozen=True, slots=True)
class PublishOptions:
    """Where a model goes, and what may stand in its way.

    Attributes:
        models: the models folder.
        name: the model's name in it.
        force: publish even when the quality gate says no.
        tolerance: how much worse than the published version the model may be; its unit is the family's.
        allow_change: publish even a model of another kind, or with another size, columns, window, horizon or classes.
        export_dtype: that weights are stored in: `float32`, `float16` or `int8`.
    """

    models: Path
    name: str
    force: bool
    tolerance: float
    allow_change: bool = False
    export_dtype: str = "float32"


@dataclass(frozen=True, slots=True)
class ClassifierOptions:
    """How to train a classifier.

    Attributes:
        data: the name of a data set, or a folder with one sub-folder of images per class.
        seed: makes initial weights, order and augmentation repeatable.
        split_seed: decides which images are held out.
        epochs: the most passes over the data; None takes a number that suits its size.
        most_broken: which share of the files of a folder may be unreadable.
        preset: `small` or `residual`; None takes what suits the size of the images.
        weights: a file of weights of a network of `keras.applications`, which is taken in place of a preset.
        architecture: its name; None takes it from that of the file.
        learning_rate: the greatest; None takes what has proved itself.
    """

    data: str
    seed: int
    split_seed: int
    epochs: int | None
    most_broken: float = MOST_BROKEN
    preset: str | None = None
    weights: str | None = None
    architecture: str | None = None
    learning_rate: float | None = None


@dataclass(frozen=True, slots=True)
class ForecasterOptions:
    """How to train a forecaster.

    Attributes:
        data: the name of a data set, or a file.
        reading: how the file is read.
        preset: `quantile` or `plain`.
        window: how many past steps the model sees; None takes the published version's,
            or what suits the series and the preset.
        horizon: how many steps it forecasts.
        period: steps in a season; None takes the data set's, or what the time column suggests.
        seed: makes initial weights and order repeatable.
        epochs: the most passes over the data; None takes the preset's.
        learning_rate: the greatest; None takes the preset's.
    """

    data: str
    reading: Reading
    preset: str
    window: int | None
    horizon: int
    period: int | None
    seed: int
    epochs: int | None
    learning_rate: float | None = None
