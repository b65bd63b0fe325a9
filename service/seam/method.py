"""What can be called: a protocol hands tables of these to the transports, which run all of them alike."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from service.core.call import Call
from service.core.rights import Access
from service.errors import GatewayError

InT = TypeVar("InT")
RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")
OutT = TypeVar("OutT")


@dataclass(frozen=True, slots=True)
class Method(Generic[InT, RequestT, ResponseT, OutT]):
    """One request, one response: a gRPC method takes and gives bytes, a REST one HTTP messages.

    Attributes:
        name: For metrics and logs; never the client's own text.
        parse: Turns what came into a request. Raises `GatewayError` for what is wrong with it.
        handle: Answers the request. It is called once more, to resolve the model again, where it raises
            `OutdatedVersionError`.
        serialize: Turns the response into what is sent.
        is_probe: Whether it is a probe of the server itself: it takes no place among the requests in flight, and is
            reported only when it fails.
        cost: Returns about how many bytes what is parsed takes beyond its own; takes the bytes, and how many fields
            there may be. Raises `TooManyFieldsError`.
        access: What it takes to call it.
    """

    name: str
    parse: Callable[[InT], RequestT]
    handle: Callable[[RequestT, Call], Awaitable[ResponseT]]
    serialize: Callable[[ResponseT], OutT]
    is_probe: bool = False
    cost: Callable[[InT, int], int] | None = None
    access: Access = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class StreamMethod(Generic[RequestT, ResponseT]):
    """A stream of requests, each of which has one response, in the order of the requests.

    Attributes:
        message: What is done with each message; its name is the stream's.
        failed: Makes the response to a message that has none, or raises what ends the stream.
    """

    message: Method[bytes, RequestT, ResponseT, bytes]
    failed: Callable[[RequestT, GatewayError, Call], ResponseT]

    @property
    def name(self) -> str:
        """For metrics and logs."""
        return self.message.name

    @property
    def access(self) -> Access:
        """What it takes to call it."""
        return self.message.access


BytesMethod = Method[bytes, Any, Any, bytes]
"""A unary gRPC method."""
