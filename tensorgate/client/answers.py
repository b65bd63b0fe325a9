"""What models answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from google.protobuf.json_format import MessageToDict

from tensorgate.client.packed import Array
from tensorgate.client.series import index_after
from tensorgate.v1 import tensorgate_pb2 as pb

if TYPE_CHECKING:
    from pandas import DataFrame


class ScoredClass(NamedTuple):
    """A class and its probability, 0 to 1."""

    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Classification:
    """What an image shows.

    Attributes:
        classes: Best first, at least one.
        model: Name of the model.
        version: The version that answered.
        ood_score: How unlike what the model was trained on the image is: of images that are like that, one in a hundred
            is above 1. None where the model does not say it.
    """

    classes: tuple[ScoredClass, ...]
    model: str
    version: int
    ood_score: float | None = None

    @property
    def label(self) -> str:
        """The best class."""
        return self.classes[0].label

    @property
    def score(self) -> float:
        """The probability of the best class."""
        return self.classes[0].score

    def to_pandas(self) -> "DataFrame":
        """Returns a table of the columns ``label`` and ``score``, best first."""
        import pandas as pd  # noqa: PLC0415  # only who asks for a table needs it

        return pd.DataFrame(self.classes, columns=["label", "score"])


@dataclass(frozen=True, slots=True)
class Forecast:
    """How a series goes on.

    Attributes:
        values: Point forecast for each step, the nearest first, float32 [steps].
        quantiles: For each level, 0 to 1, in ascending order: values below which that share of outcomes should fall,
            float32 [steps].
        model: Name of the model.
        version: The version that answered.
    """

    values: Array
    quantiles: Mapping[float, Array]
    model: str
    version: int
    _index: Any = field(default=None, repr=False)

    def to_pandas(self) -> "DataFrame":
        """Returns a table: a row for each step, the columns ``forecast`` and ``q0.1`` and so on.

        Its index follows that of the series, where that was one of pandas; else it counts the steps from 1.

        Raises:
            InvalidInput: When the series' index is not at equal distances, so that nothing follows it.
        """
        import pandas as pd  # noqa: PLC0415  # only who asks for a table needs it

        columns = {"forecast": self.values} | {f"q{level:g}": values for level, values in self.quantiles.items()}
        steps = len(self.values)
        index = pd.RangeIndex(1, steps + 1, name="step") if self._index is None else index_after(self._index, steps)
        return pd.DataFrame(columns, index=index)


class Prediction(dict[str, Array]):
    """The outputs of a model, by name.

    Attributes:
        model: Name of the model.
        version: The version that answered.
    """

    def __init__(self, outputs: Mapping[str, Array], model: str, version: int) -> None:
        super().__init__(outputs)
        self.model = model
        self.version = version


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What training reported of a version.

    Attributes:
        text: The card, in Markdown; empty where there is none.
        metrics: Figures of the evaluation, as training wrote them; all numbers are floats.
        plots: Names of the pictures, for `Model.plot`.
        model: Name of the model.
        version: The version that it is of.
    """

    text: str
    metrics: Mapping[str, Any]
    plots: tuple[str, ...]
    model: str
    version: int


def model_card(answer: pb.GetCardResponse) -> ModelCard:
    """Returns what a message says."""
    plots = tuple(plot.name for plot in answer.plots)
    return ModelCard(answer.card, MessageToDict(answer.metrics), plots, answer.model, answer.version)


def classifications(answer: pb.ClassifyResponse) -> list[Classification]:
    """Returns what a message says, an image each."""
    model, version = answer.model, answer.version
    return [
        Classification(
            tuple([ScoredClass(one.label, one.score) for one in result.classes]),
            model,
            version,
            result.ood_score if result.HasField("ood_score") else None,
        )
        for result in answer.results
    ]


def forecasts(answer: pb.ForecastResponse, indices: list[Any]) -> list[Forecast]:
    """Returns what a message says, a series each; with the index of each series."""
    return [
        Forecast(
            np.array(one.values, np.float32),
            {quantile.level: np.array(quantile.values, np.float32) for quantile in one.quantiles},
            answer.model,
            answer.version,
            index,
        )
        for one, index in zip(answer.forecasts, indices, strict=True)
    ]
