"""What server reflection shows: each service under its name on the wire.

The messages of other people's protocols are ours by name (`protos/service/wire`), so that they can be loaded beside
the real ones. Clients are to see the real names, so these are described in a pool of their own.
"""

from collections.abc import Iterable
from typing import cast

from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2


def reflection_pool(services: Iterable[tuple[str, ServiceDescriptor]]) -> DescriptorPool:
    """Returns a pool that describes the services, health and reflection.

    Args:
        services: Each with its name on the wire, of which its descriptor's name has one prefix more or none.
    """
    pool = DescriptorPool()
    added: set[str] = set()
    for file in (health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR):
        _add(pool, cast("FileDescriptor", file), "", added)
    for name, service in services:
        _add(pool, service.file, service.full_name.removesuffix(name), added)
    return pool


def _add(pool: DescriptorPool, file: FileDescriptor, prefix: str, added: set[str]) -> None:
    """Adds a file after those that it imports."""
    for imported in file.dependencies:
        _add(pool, imported, prefix, added)
    if file.name in added:
        return
    added.add(file.name)
    description = FileDescriptorProto()
    file.CopyToProto(description)
    if prefix:
        _strip(description, prefix)
    pool.Add(description)


def _strip(file: FileDescriptorProto, prefix: str) -> None:
    """Takes the prefix off the package and off every mention of one of its types."""
    file.package = (file.package + ".").removeprefix(prefix).removesuffix(".")
    for message in file.message_type:
        _strip_message(message, "." + prefix)
    for service in file.service:
        for method in service.method:
            method.input_type = "." + method.input_type.removeprefix("." + prefix)
            method.output_type = "." + method.output_type.removeprefix("." + prefix)


def _strip_message(message: DescriptorProto, prefix: str) -> None:
    for field in message.field:
        if field.type_name.startswith(prefix):
            field.type_name = "." + field.type_name.removeprefix(prefix)
    for nested in message.nested_type:
        _strip_message(nested, prefix)
