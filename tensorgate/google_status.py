"""``google.rpc.Status``, which streams of the typed API answer: googleapis-common-protos' own, or else the same here.

The client needs grpcio, protobuf and numpy alone. Where googleapis-common-protos is installed, it must be its message,
as others in the process use that one, and a pool of messages holds each name once.
"""

from types import SimpleNamespace
from typing import Any

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory

__all__ = ["status_pb2"]


def _described() -> descriptor_pb2.FileDescriptorProto:
    """Returns what ``google/rpc/status.proto`` says."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="google/rpc/status.proto",
        package="google.rpc",
        syntax="proto3",
        dependency=[any_pb2.DESCRIPTOR.name],
    )
    message = file.message_type.add(name="Status")
    message.field.add(name="code", number=1, type=field.TYPE_INT32, label=field.LABEL_OPTIONAL)
    message.field.add(name="message", number=2, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    message.field.add(
        name="details",
        number=3,
        type=field.TYPE_MESSAGE,
        label=field.LABEL_REPEATED,
        type_name=".google.protobuf.Any",
    )
    return file


def _status() -> Any:
    """Makes the message."""
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(_described().SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("google.rpc.Status"))


try:
    from google.rpc import status_pb2
except ModuleNotFoundError:
    status_pb2 = SimpleNamespace(Status=_status())
