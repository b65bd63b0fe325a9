"""The client for asyncio: the same names as in `tensorgate.client`, with ``await``."""

import asyncio
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from functools import partial
from typing import Any, Protocol, Self, TypeVar, overload

from google.protobuf.message import Message
from grpc import aio

from tensorgate.client.answers import Classification, Forecast, ModelCard, Prediction
from tensorgate.client.calls import Call, Deadline, Limits, Method, Operation
from tensorgate.client.connection import Tls, checked_session, connection, session_of_parts
from tensorgate.client.errors import TensorgateError
from tensorgate.client.images import ImageLike
from tensorgate.client.metadata import ModelInfo, ModelVersion
from tensorgate.client.operations import ModelOperations, call_method, list_models
from tensorgate.client.retries import Retries, RetryPolicy
from tensorgate.client.series import SeriesLike

__all__ = ["Client", "Model"]

Result = TypeVar("Result")
Item = TypeVar("Item")


class Client:
    """Calls one server, or several, in one event loop; the arguments are those of `tensorgate.client.Client`."""

    def __init__(
        self,
        addresses: str | Sequence[str],
        *,
        key: str | None = None,
        tls: Tls | bool | None = None,
        timeout: float | None = 30.0,
        retries: Retries | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._connection = connection(addresses, key, tls)
        self._timeout = timeout
        self._policy = RetryPolicy(retries or Retries())
        self._limits = limits or Limits()
        self._channel: aio.Channel | None = None
        self._methods: dict[Method, Callable[..., Any]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections; calls in flight are cancelled."""
        if self._channel is not None:
            await self._channel.close()

    def model(
        self, name: str, *, version: int | None = None, label: str | None = None, session: str | None = None
    ) -> "Model":
        """As `tensorgate.client.Client.model`; nothing is sent yet, and there is nothing to await."""
        run = partial(self._run, session=checked_session(session))
        return Model(run, ModelOperations(name, version, label, self._limits))

    async def models(self, *, timeout: float | None = None) -> list[ModelInfo]:
        """As `tensorgate.client.Client.models`."""
        return await self._run(list_models(), timeout)

    async def call(self, method: str, request: Message, *, timeout: float | None = None) -> Any:
        """As `tensorgate.client.Client.call`."""
        return await self._run(call_method(method, request), timeout)

    async def _run(self, operation: Operation[Result], timeout: float | None, session: str | None = None) -> Result:
        """Makes the calls of an operation, and returns its result."""
        deadline = Deadline.after(self._timeout if timeout is None else timeout)
        try:
            calls = next(operation)
            while True:
                try:
                    answers = await self._all(calls, deadline, session)
                except TensorgateError as error:
                    calls = operation.throw(error)
                else:
                    calls = operation.send(answers)
        except StopIteration as done:
            result: Result = done.value
            return result

    async def _all(self, calls: Sequence[Call], deadline: Deadline, session: str | None) -> list[Any]:
        """Makes calls, several at a time; of those that fail, the first one's error is raised."""
        if len(calls) == 1:
            return [await self._call(calls[0], deadline, session)]
        session = session or session_of_parts()
        answers = in_order(lambda call: self._call(call, deadline, session), calls, self._limits.in_flight)
        async with aclosing(answers):
            return [answer async for answer in answers]

    async def _call(self, call: Call, deadline: Deadline, session: str | None) -> Any:
        """Makes a call, again where that may help."""
        method = call.method
        ask = self._methods.get(method) or self._open(method)
        metadata = self._connection.metadata(session)
        attempt = 0
        while True:
            attempt += 1
            try:
                answer = await ask(call.request, timeout=deadline.remaining(), metadata=metadata)
            except aio.AioRpcError as failed:
                error = self._connection.error_of(failed)
                wait = self._policy.wait(error, attempt, deadline) if method.safe else None
                if wait is None:
                    raise error from failed
            else:
                self._policy.succeeded()
                return answer
            await asyncio.sleep(wait)

    def _open(self, method: Method) -> Callable[..., Any]:
        made = self._connection
        if self._channel is None:  # made where it is used: a channel belongs to the event loop that runs
            if made.credentials is None:
                self._channel = aio.insecure_channel(made.target, made.options)
            else:
                self._channel = aio.secure_channel(made.target, made.credentials, made.options)
        opened: Callable[..., Any] = self._channel.unary_unary(
            method.path, method.request.SerializeToString, method.response.FromString
        )
        self._methods[method] = opened
        return opened


class Run(Protocol):
    """Makes the calls of an operation, and returns its result."""

    async def __call__(self, operation: Operation[Result], timeout: float | None, /) -> Result:
        """Takes the seconds for all of it; ``None`` for the client's own."""


class Model:
    """A model of a server; `Client.model` makes it. The methods are those of `tensorgate.client.Model`."""

    def __init__(self, run: Run, operations: ModelOperations) -> None:
        self._run = run
        self._ask = operations
        self.name = operations.name
        self.version = operations.version
        self.label = operations.label

    async def metadata(self, *, timeout: float | None = None) -> ModelVersion:
        """As `tensorgate.client.Model.metadata`."""
        return await self._run(self._ask.metadata(), timeout)

    async def card(self, *, timeout: float | None = None) -> ModelCard:
        """As `tensorgate.client.Model.card`."""
        return await self._run(self._ask.card(), timeout)

    async def plot(self, name: str, *, timeout: float | None = None) -> bytes:
        """As `tensorgate.client.Model.plot`."""
        return await self._run(self._ask.plot(name), timeout)

    @overload
    async def classify(  # type: ignore[overload-overlap]  # a string is a sequence of strings, too
        self, images: ImageLike, *, top_k: int | None = None, timeout: float | None = None
    ) -> Classification: ...

    @overload
    async def classify(
        self, images: Sequence[ImageLike], *, top_k: int | None = None, timeout: float | None = None
    ) -> list[Classification]: ...

    async def classify(self, images: Any, *, top_k: int | None = None, timeout: float | None = None) -> Any:
        """As `tensorgate.client.Model.classify`."""
        return await self._run(self._ask.classify(images, top_k), timeout)

    @overload
    async def forecast(
        self,
        series: SeriesLike,
        *,
        horizon: int | None = None,
        quantiles: Sequence[float] | None = None,
        timeout: float | None = None,
    ) -> Forecast: ...

    @overload
    async def forecast(
        self,
        series: Sequence[SeriesLike],
        *,
        horizon: int | None = None,
        quantiles: Sequence[float] | None = None,
        timeout: float | None = None,
    ) -> list[Forecast]: ...

    async def forecast(
        self,
        series: Any,
        *,
        horizon: int | None = None,
        quantiles: Sequence[float] | None = None,
        timeout: float | None = None,
    ) -> Any:
        """As `tensorgate.client.Model.forecast`."""
        return await self._run(self._ask.forecast(series, horizon, quantiles), timeout)

    async def predict(
        self,
        inputs: Mapping[str, Any] | None = None,
        /,
        *,
        signature: str | None = None,
        outputs: Sequence[str] | None = None,
        timeout: float | None = None,
        **arrays: Any,
    ) -> Prediction:
        """As `tensorgate.client.Model.predict`."""
        return await self._run(self._ask.predict(inputs, signature, outputs, **arrays), timeout)

    async def stream(
        self,
        inputs: Iterable[Any] | AsyncIterable[Any],
        *,
        in_flight: int = 8,
        return_errors: bool = False,
        timeout: float | None = None,
        **options: Any,
    ) -> AsyncGenerator[Any, None]:
        """As `tensorgate.client.Model.stream`; takes what is iterated with ``async for``, too."""
        operation = self._ask.any_or_error if return_errors else self._ask.any

        def ask(item: Any) -> Awaitable[Any]:
            return self._run(operation(item, options), timeout)

        async with aclosing(in_order(ask, inputs, in_flight)) as answers:
            async for answer in answers:
                yield answer


async def in_order(
    ask: Callable[[Item], Awaitable[Result]], items: Iterable[Item] | AsyncIterable[Item], at_a_time: int
) -> AsyncGenerator[Result, None]:
    """Yields what is answered to each item, in their order; once one fails, the others are cancelled."""
    waiting: deque[asyncio.Future[Result]] = deque()
    try:
        async for item in _iterated(items):
            if len(waiting) >= at_a_time:
                yield await waiting.popleft()
            waiting.append(asyncio.ensure_future(ask(item)))
        while waiting:
            yield await waiting.popleft()
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def _iterated(items: Iterable[Item] | AsyncIterable[Item]) -> AsyncIterator[Item]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
