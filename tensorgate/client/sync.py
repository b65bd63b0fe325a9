"""The client that waits for its answers; may be used by several threads at a time."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from typing import Any, Self, TypeVar

import grpc
from google.protobuf.message import Message

from tensorgate.client.calls import Call, Deadline, Limits, Method, Operation
from tensorgate.client.connection import Tls, checked_session, connection, session_of_parts
from tensorgate.client.errors import TensorgateError
from tensorgate.client.in_order import in_order
from tensorgate.client.metadata import ModelInfo
from tensorgate.client.model import Model
from tensorgate.client.operations import ModelOperations, call_method, list_models
from tensorgate.client.retries import Retries, RetryPolicy

Result = TypeVar("Result")

_THREADS = 32
"""Of one client at most, for the parts of batches; idle ones are used again."""


class Client:
    """Calls one server, or several that serve the same models.

    Args:
        addresses: ``HOST:PORT`` of the server's gRPC; or a list of them: calls go round among those that say that they
            serve. A name that stands for several addresses is all of them.
        key: Shown with every call, as ``authorization: Bearer KEY``: an API key, or a token.
        tls: ``True``, or what is to be known of certificates. Without it a key goes to this machine alone; with
            ``False`` it goes unencrypted to others, too.
        timeout: Seconds for each operation, retries included, where the call has no timeout of its own; ``None`` for
            no limit.
        retries: How calls that failed are made again.
        limits: What one call may hold.

    Raises:
        InvalidInput: When the arguments make no sense together.
        OSError: When a file of TLS cannot be read.
    """

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
        made = self._connection
        if made.credentials is None:
            self._channel = grpc.insecure_channel(made.target, made.options)
        else:
            self._channel = grpc.secure_channel(made.target, made.credentials, made.options)
        self._methods: dict[Method, Callable[..., Any]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections; calls in flight are cancelled."""
        self._channel.close()
        if "_threads" in self.__dict__:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def model(
        self, name: str, *, version: int | None = None, label: str | None = None, session: str | None = None
    ) -> Model:
        """Returns a model to ask; nothing is sent yet.

        Args:
            name: Of the model.
            version: Its number; by default the newest that is available at each call, or one that shares its requests.
            label: Of the version, in place of its number.
            session: Whose requests these are: where versions share them by weight, one session stays on one version.
        """
        run = partial(self._run, session=checked_session(session))
        return Model(run, ModelOperations(name, version, label, self._limits))

    def models(self, *, timeout: float | None = None) -> list[ModelInfo]:
        """Returns every model that the server knows, by name.

        Raises:
            TensorgateError: When the call failed.
        """
        return self._run(list_models(), timeout)

    def call(self, method: str, request: Message, *, timeout: float | None = None) -> Any:
        """Calls a method of the typed API with a message of ``tensorgate.v1``, and returns its answer.

        Args:
            method: Its name, such as ``GetDrift``.
            request: A message of its class.
            timeout: Seconds.

        Raises:
            TensorgateError: When the call failed.
        """
        return self._run(call_method(method, request), timeout)

    def _run(self, operation: Operation[Result], timeout: float | None, session: str | None = None) -> Result:
        """Makes the calls of an operation, and returns its result."""
        deadline = Deadline.after(self._timeout if timeout is None else timeout)
        try:
            calls = next(operation)
            while True:
                try:
                    answers = self._all(calls, deadline, session)
                except TensorgateError as error:
                    calls = operation.throw(error)
                else:
                    calls = operation.send(answers)
        except StopIteration as done:
            result: Result = done.value
            return result

    def _all(self, calls: Sequence[Call], deadline: Deadline, session: str | None) -> list[Any]:
        """Makes calls, several at a time; of those that fail, the first one's error is raised."""
        if len(calls) == 1:
            return [self._call(calls[0], deadline, session)]
        ask = partial(self._call, deadline=deadline, session=session or session_of_parts())
        return list(in_order(self._threads, ask, calls, self._limits.in_flight))

    def _call(self, call: Call, deadline: Deadline, session: str | None) -> Any:
        """Makes a call, again where that may help."""
        method = call.method
        ask = self._methods.get(method) or self._open(method)
        metadata = self._connection.metadata(session)
        attempt = 0
        while True:
            attempt += 1
            try:
                answer = ask(call.request, deadline.remaining(), metadata)
            except grpc.RpcError as failed:
                error = self._connection.error_of(failed)
                wait = self._policy.wait(error, attempt, deadline) if method.safe else None
                if wait is None:
                    raise error from failed
            else:
                self._policy.succeeded()
                return answer
            time.sleep(wait)

    def _open(self, method: Method) -> Callable[..., Any]:
        opened: Callable[..., Any] = self._channel.unary_unary(
            method.path, method.request.SerializeToString, method.response.FromString
        )
        self._methods[method] = opened
        return opened

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(_THREADS, thread_name_prefix="tensorgate-client")
