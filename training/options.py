"""What a run was asked for, checked for form and typed; the command line fills these in."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class PublishOptions:
    """Where a model goes, and what may stand in its way.

    Attributes:
        models: the models folder.
        name: the model's name in it.
        force: publish even when the quality gate says no.
        tolerance: how much worse than the published version the model may be; its unit is the family's.
    """

    models: Path
    name: str
    force: bool
    tolerance: float


@dataclass(frozen=True, slots=True)
class ClassifierOptions:
    """How to train a classifier.

    Attributes:
        data: the name of a data set, or a folder with one sub-folder of images per class.
        seed: makes initial weights, order and augmentation repeatable.
        split_seed: decides which images are held out.
        epochs: the most passes over the data; None takes a number that suits its size.
    """

    data: str
    seed: int
    split_seed: int
    epochs: int | None


@dataclass(frozen=True, slots=True)
class ForecasterOptions:
    """How to train a forecaster.

    Attributes:
        data: the name of a data set, or a CSV file.
        columns: the columns of the file to read; the first is the one forecast.
        time_column: the column that says when; None for rows that are in order and evenly spaced.
        preset: `quantile` or `plain`.
        window: how many past steps the model sees; None takes the data set's or the preset's.
        horizon: how many steps it forecasts.
        period: steps in a season; None takes the data set's, or what the time column suggests.
        seed: makes initial weights and order repeatable.
        epochs: the most passes over the data; None takes the preset's.
    """

    data: str
    columns: tuple[str, ...]
    time_column: str | None
    preset: str
    window: int | None
    horizon: int
    period: int | None
    seed: int
    epochs: int | None
