"""What server reflection shows: each service under its name on the wire.

The messages of other people's protocols are ours by name (`protos/service/wire`), so that they can be loaded beside
the real ones. Clients are to see the real names, so these are described in a pool of their own.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from typing import Any, cast

from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from service.core.call import Call
from service.core.rights import Access
from service.seam.grpc import parser_of
from service.transport.grpc import health
from service.transport.grpc.calls import OpenStream

V1ALPHA, V1 = "grpc.reflection.v1alpha", "grpc.reflection.v1"
"""Two names of one protocol: their messages are the same on the wire."""
_SERVICE = "ServerReflection"
_METHOD = "ServerReflectionInfo"

_parse = parser_of(reflection_pb2.ServerReflectionRequest)


def reflection_methods(services: Iterable[tuple[str, ServiceDescriptor]]) -> dict[str, OpenStream]:
    """Returns the methods by path.

    Args:
        services: Each with its name on the wire, of which its descriptor's name has one prefix more or none.
    """
    described = dict(services)
    methods = {f"{name}.{method}": name for name, service in described.items() for method in service.methods_by_name}
    own = [f"{package}.{_SERVICE}" for package in (V1, V1ALPHA)]
    servicer: Any = reflection.aio.ReflectionServicer((*described, health.NAME, *own), pool=_pool(described.items()))

    async def serve(messages: AsyncIterator[bytes], call: Call) -> AsyncGenerator[bytes, None]:
        async def requests() -> AsyncIterator[reflection_pb2.ServerReflectionRequest]:
            async for data in messages:
                request = _parse(data)
                if service := methods.get(request.file_containing_symbol):  # a pool finds no methods by their names
                    request.file_containing_symbol = service
                yield request

        async for answer in servicer.ServerReflectionInfo(requests(), None):
            yield answer.SerializeToString()

    return {f"/{name}/{_METHOD}": OpenStream(f"{name}/{_METHOD}", serve, Access.AUTHENTICATED) for name in own}


def _pool(services: Iterable[tuple[str, ServiceDescriptor]]) -> DescriptorPool:
    """Returns a pool that describes the services, health and both reflections."""
    pool = DescriptorPool()
    added: set[str] = set()
    for file in (health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR):
        _add(pool, cast("FileDescriptor", file), "", added)
    pool.Add(_renamed(cast("FileDescriptor", reflection_pb2.DESCRIPTOR), V1ALPHA + ".", V1 + "."))
    for name, service in services:
        _add(pool, service.file, service.full_name.removesuffix(name), added)
    return pool


def _add(pool: DescriptorPool, file: FileDescriptor, prefix: str, added: set[str]) -> None:
    """Adds a file, the prefix taken off its names, after those that it imports."""
    for imported in file.dependencies:
        _add(pool, imported, prefix, added)
    if file.name not in added:
        added.add(file.name)
        pool.Add(_renamed(file, prefix, ""))


def _renamed(file: FileDescriptor, old: str, new: str) -> FileDescriptorProto:
    """Returns the description of a file with another beginning of its package, and of every mention of its types."""
    description = FileDescriptorProto()
    file.CopyToProto(description)
    if not old:
        return description
    description.package = _begun(description.package + ".", old, new).removesuffix(".")
    if new:
        description.name = description.package.replace(".", "/") + ".proto"
    for message in description.message_type:
        _rename_types(message, old, new)
    for service in description.service:
        for method in service.method:
            method.input_type = "." + _begun(method.input_type.removeprefix("."), old, new)
            method.output_type = "." + _begun(method.output_type.removeprefix("."), old, new)
    return description


def _rename_types(message: DescriptorProto, old: str, new: str) -> None:
    for field in message.field:
        if field.type_name:
            field.type_name = "." + _begun(field.type_name.removeprefix("."), old, new)
    for nested in message.nested_type:
        _rename_types(nested, old, new)


def _begun(name: str, old: str, new: str) -> str:
    return new + name.removeprefix(old) if name.startswith(old) else name
