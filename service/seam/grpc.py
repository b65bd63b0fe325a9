"""A gRPC service, as a protocol hands it to the server."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import DecodeError, EncodeError
from google.protobuf.message_factory import GetMessageClass

from service.core.call import Call
from service.core.rights import Access
from service.errors import ErrorKind, GatewayError, Violation, invalid_input
from service.seam.message_cost import message_cost
from service.seam.method import BytesMethod, Method, StreamMethod
from service.seam.statuses import Code

_INT32_MAX = 2**31 - 1
"""Most bytes that a message of Protocol Buffers can have."""


Handle = Callable[[Any, Call], Awaitable[Any]]
"""Turns a message into a message."""


@dataclass(frozen=True, slots=True)
class GrpcService:
    """One service.

    Attributes:
        name: Its full name on the wire.
        methods: By their short names.
        descriptor: Describes it; its own name may have a prefix.
        codes: The code of each kind of error.
        health_names: Further names for it in health checks.
    """

    name: str
    methods: Mapping[str, BytesMethod | StreamMethod[Any, Any]]
    descriptor: ServiceDescriptor
    codes: Mapping[ErrorKind, Code]
    health_names: tuple[str, ...] = ()


def method_of(
    service: str,
    descriptor: ServiceDescriptor,
    name: str,
    handle: Handle,
    *,
    access: Access,
    is_probe: bool = False,
) -> BytesMethod:
    """Returns a method that takes and gives messages of Protocol Buffers.

    Args:
        service: The service's full name on the wire.
        descriptor: Describes the service.
        name: The method's short name.
        handle: Turns a message into a message.
        access: What it takes to call it.
        is_probe: See `Method`.
    """
    kind = descriptor.methods_by_name[name].input_type
    parse = parser_of(GetMessageClass(kind))
    cost = partial(message_cost, kind)
    return Method(f"{service}/{name}", parse, handle, _serialize, is_probe, cost, access=access)


def stream_of(
    service: str,
    descriptor: ServiceDescriptor,
    name: str,
    handle: Handle,
    failed: Callable[[Any, GatewayError, Call], Any],
    *,
    access: Access,
) -> StreamMethod[Any, Any]:
    """Returns a stream of messages of Protocol Buffers.

    Args:
        service: The service's full name on the wire.
        descriptor: Describes the service.
        name: The method's short name.
        handle: Turns a message into a message.
        failed: See `StreamMethod`.
        access: What it takes to call it.
    """
    return StreamMethod(method_of(service, descriptor, name, handle, access=access), failed)


def parser_of(message: type[Any]) -> Callable[[bytes], Any]:
    """Returns what parses a message; it raises GatewayError: MALFORMED for what cannot be parsed."""
    from_string = message.FromString

    def parse(data: bytes) -> Any:
        try:
            return from_string(data)
        except DecodeError:
            raise invalid_input(
                Violation("body", "a message of this method", f"{len(data)} other bytes"), kind=ErrorKind.MALFORMED
            ) from None

    return parse


def _serialize(message: Any) -> bytes:
    try:
        return bytes(message.SerializeToString())
    except EncodeError:
        text = f"the answer is {message.ByteSize()} bytes long, a message has at most {_INT32_MAX}"
        raise GatewayError(ErrorKind.TOO_LARGE, text) from None
