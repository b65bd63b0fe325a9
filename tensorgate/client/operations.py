"""What can be asked of one model, whoever makes the calls (see `tensorgate.client.calls`)."""

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.message import Message

from tensorgate.client import images, series
from tensorgate.client.answers import (
    Classification,
    Forecast,
    ModelCard,
    Prediction,
    classifications,
    forecasts,
    model_card,
)
from tensorgate.client.calls import (
    CLASSIFY,
    FORECAST,
    GET_CARD,
    GET_MODEL,
    GET_PLOT,
    LIST_MODELS,
    METHODS,
    Call,
    Limits,
    Operation,
    split,
)
from tensorgate.client.errors import InvalidInput, NotFound, TensorgateError, Unavailable, invalid
from tensorgate.client.metadata import CLASSIFIER, FORECASTER, ModelInfo, ModelVersion, model_info
from tensorgate.client.prediction import InferRequest, joined
from tensorgate.v1 import tensorgate_pb2 as pb


def list_models() -> Operation[list[ModelInfo]]:
    """Asks for every model that the server knows."""
    [answer] = yield [Call(LIST_MODELS, pb.ListModelsRequest())]
    return [model_info(model) for model in answer.models]


def call_method(method: str, request: Message) -> Operation[Any]:
    """Asks a method of the typed API, by its name.

    Raises:
        InvalidInput: When there is none of that name.
    """
    if method not in METHODS:
        raise invalid("method", f"one of {', '.join(METHODS)}", repr(method))
    [answer] = yield [Call(METHODS[method], request)]
    return answer


class ModelOperations:
    """What can be asked of one model.

    Attributes:
        name: Of the model.
        version: Its number; ``None`` for the newest that is available.
        label: Of the version, in place of its number.
    """

    def __init__(self, name: str, version: int | None, label: str | None, limits: Limits) -> None:
        if version is not None and label is not None:
            raise invalid("version", "a version or a label", "both")
        self.name = name
        self.version = version
        self.label = label
        self._limits = limits
        self._known: ModelVersion | None = None

    def metadata(self) -> Operation[ModelVersion]:
        """Asks what the version takes and gives that answers now."""
        request = pb.GetModelRequest(**self._addressed())
        [answer] = yield [Call(GET_MODEL, request)]
        found = model_info(answer.model)
        for version in found.versions:
            if version.available:
                self._known = version
                return version
        reasons = [f"version {version.version}: {version.error or version.state}" for version in found.versions]
        raise Unavailable("not_ready", f"no version of {self.name} is available: {found.problem or '; '.join(reasons)}")

    def card(self) -> Operation[ModelCard]:
        """Asks what training reported."""
        [answer] = yield [Call(GET_CARD, pb.GetCardRequest(**self._addressed()))]
        return model_card(answer)

    def plot(self, name: str) -> Operation[bytes]:
        """Asks for a picture of the card."""
        [answer] = yield [Call(GET_PLOT, pb.GetPlotRequest(**self._addressed(), plot=name))]
        return bytes(answer.data)

    def classify(self, given: Any, top_k: int | None = None) -> Operation[Classification | list[Classification]]:
        """Asks what images show: a `Classification` for one, a list of them for several."""
        one = images.is_one(given)
        messages = [images.image_message(image, f"images[{index}]") for index, image in enumerate(_several(given, one))]
        addressed = self._addressed()

        def request(part: Sequence[pb.Image]) -> pb.ClassifyRequest:
            return pb.ClassifyRequest(**addressed, images=part, top_k=top_k)

        answers = yield [Call(CLASSIFY, request(part)) for part in self._parts(messages)]
        results = [result for answer in answers for result in classifications(answer)]
        return results[0] if one else results

    def forecast(
        self, given: Any, horizon: int | None = None, quantiles: Sequence[float] | None = None
    ) -> Operation[Forecast | list[Forecast]]:
        """Asks how series go on: a `Forecast` for one, a list of them for several."""
        one = series.is_one(given)
        asked = [series.series_message(item, f"series[{index}]") for index, item in enumerate(_several(given, one))]
        addressed = self._addressed()

        def request(part: Sequence[pb.Series]) -> pb.ForecastRequest:
            return pb.ForecastRequest(**addressed, series=part, horizon=horizon, quantiles=quantiles)

        parts = self._parts([item.message for item in asked])
        answers = yield [Call(FORECAST, request(part)) for part in parts]
        indices = iter([item.index for item in asked])
        results = [
            result for answer in answers for result in forecasts(answer, [next(indices) for _ in answer.forecasts])
        ]
        return results[0] if one else results

    def predict(
        self,
        inputs: Mapping[str, Any] | None,
        /,
        signature: str | None = None,
        outputs: Sequence[str] | None = None,
        **arrays: Any,
    ) -> Operation[Prediction]:
        """Asks any signature of any model."""
        if not isinstance(inputs, Mapping | None):
            raise invalid("inputs", "arrays by name, such as predict(x=array)", type(inputs).__name__)
        inputs = {**(inputs or {}), **arrays}
        if isinstance(outputs, str):
            raise invalid("outputs", "a list of names", repr(outputs))
        remembered = self._known
        known = remembered or (yield from self.metadata())
        while True:
            asked = InferRequest(self.name, self.label or self.version, known.signature(signature), signature, outputs)
            try:
                answers = yield asked.calls(inputs, self._limits)
                if len(answers) > 1 and len(versions := {int(answer.model_version) for answer in answers}) > 1:
                    # The parts came when versions changed, and an answer is one version's.
                    answers = yield asked._replace(version=max(versions)).calls(inputs, self._limits)
                return joined(answers)
            except (InvalidInput, NotFound):
                # There may be another version since, which takes other things.
                if remembered is None or (known := (yield from self.metadata())) == remembered:
                    raise
                remembered = None

    def any_or_error(self, item: Any, options: Mapping[str, Any]) -> Operation[Any]:
        """As `any`; what it fails with is its result."""
        try:
            return (yield from self.any(item, options))
        except TensorgateError as error:
            return error

    def any(self, item: Any, options: Mapping[str, Any]) -> Operation[Any]:
        """Asks what the model is for: of a mapping `predict`, else `classify` or `forecast`."""
        if isinstance(item, Mapping):
            return (yield from self.predict(item, **options))
        known = self._known or (yield from self.metadata())
        if known.kind == CLASSIFIER:
            return (yield from self.classify(item, **options))
        if known.kind == FORECASTER:
            return (yield from self.forecast(item, **options))
        raise invalid("inputs", f"mappings of arrays by name, as {self.name} is {known.kind}", type(item).__name__)

    def _addressed(self) -> dict[str, Any]:
        return {"model": self.name, "version": self.version, "label": self.label}

    def _parts(self, messages: list[Any]) -> list[list[Any]]:
        if len(messages) <= 1:
            return [messages]
        sizes = [message.ByteSize() for message in messages]
        return [messages[part] for part in split(sizes, self._limits)]


def _several(given: Any, one: bool) -> Sequence[Any]:
    return [given] if one else given
