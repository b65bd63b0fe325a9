"""What a gRPC call means, whatever server carries it: its call, deadline, status and details."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from service.core.admission import HeldBytes
from service.core.call import Call
from service.core.deadline import NO_DEADLINE
from service.core.rights import Access
from service.errors import ErrorKind, GatewayError, listed, shown
from service.seam import statuses
from service.seam.grpc import GrpcService
from service.seam.method import BytesMethod, Method, StreamMethod
from service.seam.statuses import Code
from service.transport.call import OTHER_METHOD, REQUEST_ID, Calls, answered_again, request_id_of
from service.transport.grpc.framing import check_message_size
from service.transport.grpc.status import ERROR_CODE, STATUS_DETAILS, status
from service.transport.streams import OrderedStreams
from service.transport.weighing import Weighing

RETRY_AFTER = "retry-after"
"""Metadata key: the seconds after which a client that has used up its limit may ask again."""
_REQUEST_ID = REQUEST_ID.encode()
_SHARE, _MARGIN_SECONDS, _TELLING_SECONDS = 0.25, 0.03, 0.001
"""How much sooner than the client gives up it is told so: a call that it resets costs the connection more. Calls that
were sent together miss their deadlines together, and to tell each of them takes its time on a busy machine."""


@dataclass(frozen=True, slots=True)
class OpenStream:
    """A stream of which neither order nor number of the answers is given: health's Watch, reflection.

    Attributes:
        name: Its name in logs.
        serve: Takes the client's messages, and yields the answers.
        access: What it takes to call it.
    """

    name: str
    serve: Callable[[AsyncIterator[bytes], Call], AsyncGenerator[bytes, None]]
    access: Access


@dataclass(frozen=True, slots=True)
class Unary:
    """A method with one request and one response, and the codes of its errors."""

    method: BytesMethod
    codes: Mapping[ErrorKind, Code]


@dataclass(frozen=True, slots=True)
class Streaming:
    """A method with streams, and the codes of its errors."""

    method: StreamMethod[Any, Any] | OpenStream
    codes: Mapping[ErrorKind, Code]


Bound = Unary | Streaming
"""What is found under a path."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a call that failed ends.

    Attributes:
        message: What went wrong, for people.
        metadata: What follows it; bytes of names that end in ``-bin``.
    """

    code: Code
    message: str
    metadata: tuple[tuple[str, str | bytes], ...]


class GrpcCalls:
    """The methods that can be called, and what a call of them means.

    Args:
        services: The protocols' services.
        operations: Those of health and reflection, by path.
        calls: Runs the calls.
        streams: Answers streams.
        max_request_bytes: How long a message may be.
        weighing: Counts what messages hold beyond their bytes.
    """

    def __init__(
        self,
        *,
        services: Iterable[GrpcService],
        operations: Mapping[str, BytesMethod | OpenStream],
        calls: Calls,
        streams: OrderedStreams,
        max_request_bytes: int,
        weighing: Weighing,
    ) -> None:
        self._calls = calls
        self._weighing = weighing
        self._streams = streams
        self.max_request_bytes = max_request_bytes
        self._services = {service.name: service for service in services}
        self._bound = {path: _bound(method, statuses.GRPC) for path, method in operations.items()}
        for service in self._services.values():
            for name, method in service.methods.items():
                self._bound[f"/{service.name}/{name}"] = _bound(method, service.codes)

    def find(self, path: str) -> Bound:
        """Returns the method of a path; for an unknown path, one that refuses every call."""
        return self._bound.get(path) or self._unknown(path)

    @property
    def service_names(self) -> list[str]:
        """Full names of all services that can be called, those of health and reflection among them."""
        return sorted({path.split("/")[1] for path in self._bound})

    def check_size(self, size: int) -> None:
        """Refuses a message that is over the limit.

        Raises:
            GatewayError: TOO_LARGE.
        """
        check_message_size(size, self.max_request_bytes)

    def _unknown(self, path: str) -> Bound:
        service, _, _ = path.lstrip("/").partition("/")
        if found := self._services.get(service):
            known = f"the methods of {service} are {listed(sorted(found.methods))}"
        else:
            known = f"the services are {listed(sorted(self._services))}"
        error = GatewayError(ErrorKind.NOT_FOUND, f"there is no method {shown(path)}; {known}")
        return refusing(error, found.codes if found else statuses.GRPC)

    def call(self, bound: Bound, metadata: Mapping[bytes, bytes]) -> Call:
        """Returns the state of a call that begins; its deadline is set next.

        Args:
            bound: What is called.
            metadata: What the client sent with it.
        """
        given = metadata.get(_REQUEST_ID)
        request_id = request_id_of(None if given is None else given.decode("latin-1"))
        method = bound.method
        call = Call("grpc", method.name, request_id, NO_DEADLINE, metadata=metadata, access=method.access)
        if self._calls.tracer is not None and not _is_of_the_server(bound):
            self._calls.tracer.begin(call, metadata)
        return call

    def set_timeout(self, call: Call, bound: Bound, timeout: float | None) -> None:
        """Gives a call its deadline.

        Args:
            call: As `call` made it.
            bound: What is called.
            timeout: Seconds that the client has for it, if it said so.
        """
        if timeout is not None:
            margin = _MARGIN_SECONDS + _TELLING_SECONDS * self._calls.admission.in_flight["requests"]
            call.deadline = self._calls.deadline(timeout, sooner=min(margin, timeout * _SHARE))
        # A stream lives as long as its client wants; its messages have deadlines of their own.
        elif isinstance(bound, Unary):
            call.deadline = self._calls.deadline(None)

    async def unary(self, bound: Unary, read: Callable[[HeldBytes], Awaitable[bytes]], call: Call) -> bytes | Refusal:
        """Answers a call of a unary method.

        Args:
            bound: The method.
            read: Reads the client's one message, and counts its bytes.
            call: As `call` made it.

        Raises:
            CancelledError: When the client went away.
        """
        method = bound.method

        async def work(held: HeldBytes) -> bytes:
            data = await read(held)
            held.admit()
            call.size = len(data)
            await self._weighing.hold(data, method, held)
            begun = perf_counter()
            request = method.parse(data)
            call.spent("decode", begun)
            del data
            response = await answered_again(lambda: method.handle(request, call), call, held)
            begun = perf_counter()
            answer = method.serialize(response)
            call.spent("encode", begun)
            call.answered = len(answer)
            return answer

        def refuse(error: GatewayError, call: Call) -> Refusal:
            return refusal(error, call, bound.codes)

        place = None if _is_of_the_server(bound) else "requests"
        return await self._calls.run_call(work, call, refuse, place=place, reads=True)

    async def stream(
        self,
        bound: Streaming,
        messages: Callable[[HeldBytes], AsyncIterator[bytes]],
        write: Callable[[list[bytes]], Awaitable[None]],
        call: Call,
    ) -> Refusal | None:
        """Answers a call of a streaming method; returns how it failed, if it did.

        Args:
            bound: The method.
            messages: Reads the client's messages, and counts their bytes.
            write: Sends answers.
            call: As `call` made it.

        Raises:
            CancelledError: When the client went away.
        """
        method = bound.method

        async def work(held: HeldBytes) -> None:
            # Closed at once however this ends: what is under way is not to outlive the call.
            if isinstance(method, OpenStream):
                async with aclosing(method.serve(_one_by_one(messages(held), held), call)) as answers:
                    async for answer in answers:
                        await write([answer])
                        call.answered += len(answer)
            else:
                async with aclosing(self._streams.answers(messages(held), method, call, held)) as ready:
                    async for some in ready:
                        await write(some)
                        call.answered += sum(map(len, some))

        def refuse(error: GatewayError, call: Call) -> Refusal:
            return refusal(error, call, bound.codes)

        place = None if _is_of_the_server(bound) else "streams"
        return await self._calls.run_call(work, call, refuse, place=place)


def refusing(error: GatewayError, codes: Mapping[ErrorKind, Code], access: Access = Access.AUTHENTICATED) -> Unary:
    """Returns a method that refuses every call with that error."""

    def refuse(_: bytes) -> None:
        raise error

    method: BytesMethod = Method(OTHER_METHOD, refuse, _never, bytes, access=access)
    return Unary(method, codes)


def _bound(method: BytesMethod | StreamMethod[Any, Any] | OpenStream, codes: Mapping[ErrorKind, Code]) -> Bound:
    return Unary(method, codes) if isinstance(method, Method) else Streaming(method, codes)


def _is_of_the_server(bound: Bound) -> bool:
    """Returns whether it asks about the server itself: it takes no place among the others, and no part in traces."""
    return bound.method.is_probe if isinstance(bound, Unary) else isinstance(bound.method, OpenStream)


def refusal(error: GatewayError, call: Call, codes: Mapping[ErrorKind, Code]) -> Refusal:
    """Returns how a call ends that failed, and notes it on the call."""
    call.status = codes[error.kind]
    found = status(error, call.request_id, codes)
    plain = ((REQUEST_ID, call.request_id), (ERROR_CODE, error.kind.value))
    advice = ((RETRY_AFTER, str(error.retry_after)),) if error.limit else ()
    metadata = (*plain, *advice, (STATUS_DETAILS, found.SerializeToString()))
    return Refusal(codes[error.kind], found.message, metadata)


async def _one_by_one(messages: AsyncIterator[bytes], held: HeldBytes) -> AsyncIterator[bytes]:
    """Yields the messages; the bytes of each are given back when the next one is asked for."""
    async for message in messages:
        yield message
        held.give_back(len(message))


async def _never(request: Any, call: Call) -> Any:
    raise AssertionError("no request was parsed")
