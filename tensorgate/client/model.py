"""A model of a server, asked by a client that waits."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar, overload

from tensorgate.client.answers import Classification, Forecast, ModelCard, Prediction
from tensorgate.client.calls import Operation
from tensorgate.client.images import ImageLike
from tensorgate.client.in_order import in_order
from tensorgate.client.metadata import ModelVersion
from tensorgate.client.operations import ModelOperations
from tensorgate.client.series import SeriesLike

Result = TypeVar("Result")


class Run(Protocol):
    """Makes the calls of an operation, and returns its result."""

    def __call__(self, operation: Operation[Result], timeout: float | None, /) -> Result:
        """Takes the seconds for all of it; ``None`` for the client's own."""


class Model:
    """A model of a server; `Client.model` makes it.

    Attributes:
        name: Of the model.
        version: Its number; ``None`` for the newest that is available.
        label: Of the version, in place of its number.
    """

    def __init__(self, run: Run, operations: ModelOperations) -> None:
        self._run = run
        self._ask = operations
        self.name = operations.name
        self.version = operations.version
        self.label = operations.label

    def metadata(self, *, timeout: float | None = None) -> ModelVersion:
        """Returns what the version takes and gives that answers now: shapes, dtypes, classes, steps.

        Raises:
            NotFound: When there is no such model, version or label.
            Unavailable: When none is available.
            TensorgateError: When the call failed.
        """
        return self._run(self._ask.metadata(), timeout)

    def card(self, *, timeout: float | None = None) -> ModelCard:
        """Returns the model card: what training reported; an empty one where the server has none.

        Raises:
            TensorgateError: When the call failed.
        """
        return self._run(self._ask.card(), timeout)

    def plot(self, name: str, *, timeout: float | None = None) -> bytes:
        """Returns a picture of the model card, PNG or SVG.

        Args:
            name: As the card lists it.
            timeout: Seconds; those of the client by default.

        Raises:
            NotFound: When the card lists no such plot.
            TensorgateError: When the call failed.
        """
        return self._run(self._ask.plot(name), timeout)

    @overload
    def classify(  # type: ignore[overload-overlap]  # a string is a sequence of strings, too
        self, images: ImageLike, *, top_k: int | None = None, timeout: float | None = None
    ) -> Classification: ...

    @overload
    def classify(
        self, images: Sequence[ImageLike], *, top_k: int | None = None, timeout: float | None = None
    ) -> list[Classification]: ...

    def classify(self, images: Any, *, top_k: int | None = None, timeout: float | None = None) -> Any:
        """Classifies an image, or each of a list of them.

        Args:
            images: The path of a PNG, JPEG, GIF or BMP file, its bytes, a picture of Pillow, or an array of pixels, 0
                to 255, [height, width] or [height, width, channels], in the model's own size; or a list of these, or an
                array of such pixels [images, height, width, channels].
            top_k: How many classes to return for each image; 5 by default.
            timeout: Seconds; those of the client by default.

        Raises:
            InvalidInput: When an image is none, or the model is no classifier.
            TensorgateError: When the call failed.
        """
        return self._run(self._ask.classify(images, top_k), timeout)

    @overload
    def forecast(
        self,
        series: SeriesLike,
        *,
        horizon: int | None = None,
        quantiles: Sequence[float] | None = None,
        timeout: float | None = None,
    ) -> Forecast: ...

    @overload
    def forecast(
        self,
        series: Sequence[SeriesLike],
        *,
        horizon: int | None = None,
        quantiles: Sequence[float] | None = None,
        timeout: float | None = None,
    ) -> list[Forecast]: ...

    def forecast(
        self,
        series: Any,
        *,
        horizon: int | None = None,
        quantiles: Sequence[float] | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Forecasts a series, or each of a list of them.

        Args:
            series: Values at equal distances in time, the newest last: a list of numbers, an array [steps] or [steps,
                features], or a Series or DataFrame of pandas, whose index goes on in the answer; or a list of these.
            horizon: How many steps to forecast; all that the model gives by default.
            quantiles: Levels to return, of those that the model knows; all by default.
            timeout: Seconds; those of the client by default.

        Raises:
            InvalidInput: When a series is none, or too short, or the model is no forecaster.
            TensorgateError: When the call failed.
        """
        return self._run(self._ask.forecast(series, horizon, quantiles), timeout)

    def predict(
        self,
        inputs: Mapping[str, Any] | None = None,
        /,
        *,
        signature: str | None = None,
        outputs: Sequence[str] | None = None,
        timeout: float | None = None,
        **arrays: Any,
    ) -> Prediction:
        """Asks any signature of any model.

        Numbers are sent in the dtype that the model takes, where that loses no more than precision. Many rows are sent
        in several calls, if they do not depend on each other.

        Args:
            inputs: Arrays by name, where a name is not Python's, or one of these arguments'.
            signature: Its name; ``serving_default``, or the only one, by default.
            outputs: Names of those to return; all by default.
            timeout: Seconds; those of the client by default.
            **arrays: By name: arrays, or what numpy makes one of; strings are ``str`` or ``bytes``.

        Returns:
            Arrays by name; strings are ``bytes`` in arrays of objects, bfloat16 are float32.

        Raises:
            InvalidInput: When the inputs are not what the model takes.
            TensorgateError: When the call failed.
        """
        return self._run(self._ask.predict(inputs, signature, outputs, **arrays), timeout)

    def stream(
        self,
        inputs: Iterable[Any],
        *,
        in_flight: int = 8,
        return_errors: bool = False,
        timeout: float | None = None,
        **options: Any,
    ) -> Iterator[Any]:
        """Asks for each of many inputs, and yields the answers in their order, as they come.

        Each is a call of its own, so that any server may answer it and one that fails is made again. Inputs are taken
        as answers are, not faster.

        Args:
            inputs: What `classify` or `forecast` takes, as the model is for; or mappings, for `predict`.
            in_flight: How many calls are made at a time.
            return_errors: Yields the error of a call that failed in the place of its answer, where it would be raised.
            timeout: Seconds for each call.
            **options: Of `classify`, `forecast` or `predict`.

        Raises:
            TensorgateError: When a call failed.
        """
        operation = self._ask.any_or_error if return_errors else self._ask.any

        def ask(item: Any) -> Any:
            return self._run(operation(item, options), timeout)

        with ThreadPoolExecutor(in_flight, thread_name_prefix="tensorgate-stream") as threads:
            yield from in_order(threads, ask, inputs, in_flight)
