"""A gRPC service, as the families of APIs hand it to the server."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass

from service.core.call import Call
from service.core.recurring import RecurringRequest
from service.transport import rpc_errors


class Shortcut(Protocol):
    """Answers messages of a method that it knows, without parsing them."""

    def find(self, data: bytes) -> RecurringRequest | None:
        """Returns what a message asks for, if that is known."""

    async def answer(self, request: RecurringRequest, data: bytes, call: Call) -> bytes:
        """Returns the answer's message.

        Raises:
            Exception: What the method raises.
        """


@dataclass(frozen=True, slots=True)
class RpcService:
    """One service.

    Attributes:
        name: Its full name on the wire.
        servicer: Has a coroutine, or for streams an asynchronous generator, for each of its methods, under their names.
        descriptor: Describes it; its own name may be another.
        codes: Its table of errors.
        health_names: Further names by which clients ask after its health.
        quiet: Methods for probes: neither logged nor counted nor limited.
        shortcuts: Of its methods, by name; a stream that has one is given a `StreamedMessage` for each message.
    """

    name: str
    servicer: object
    descriptor: ServiceDescriptor
    codes: rpc_errors.Codes = field(default_factory=lambda: rpc_errors.CODE)
    health_names: tuple[str, ...] = ()
    quiet: frozenset[str] = frozenset()
    shortcuts: Mapping[str, Shortcut] = field(default_factory=dict)

    def handlers(self) -> "dict[str, grpc.RpcMethodHandler[Any, Any]]":
        """Returns the handlers of its methods, by name."""
        return {
            method.name: _handler(method, getattr(self.servicer, method.name)) for method in self.descriptor.methods
        }


def _handler(method: MethodDescriptor, behaviour: Callable[..., Any]) -> "grpc.RpcMethodHandler[Any, Any]":
    make = grpc.stream_stream_rpc_method_handler if method.client_streaming else grpc.unary_unary_rpc_method_handler
    return make(
        behaviour,
        request_deserializer=GetMessageClass(method.input_type).FromString,
        response_serializer=GetMessageClass(method.output_type).SerializeToString,
    )
