"""Our subset of the Open Inference Protocol's messages, held against what its clients bring along: field by field."""

from collections.abc import Iterator

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto

from service.wire import open_inference_pb2
from tests.foreign.process import ForeignClient

OURS_PACKAGE, THEIR_PACKAGE = ".tensorgate.wire.inference.", ".inference."
NOT_KSERVES = ("Repository", "Stream")
"""In the names of extensions: KServe has no streams, and the repository without the index, models named in field 1."""


def _file(message: bytes | None = None) -> FileDescriptorProto:
    described = FileDescriptorProto()
    if message is None:
        open_inference_pb2.DESCRIPTOR.CopyToProto(described)
    else:
        described.ParseFromString(message)
    return described


def _messages(described: FileDescriptorProto) -> dict[str, DescriptorProto]:
    def within(message: DescriptorProto, path: str) -> Iterator[tuple[str, DescriptorProto]]:
        yield path, message
        for nested in message.nested_type:
            yield from within(nested, f"{path}.{nested.name}")

    return dict(pair for message in described.message_type for pair in within(message, message.name))


OURS = _file()
OUR_MESSAGES = _messages(OURS)


def _field(message: DescriptorProto, field: FieldDescriptorProto) -> tuple[object, ...]:
    kind = field.type_name.removeprefix(OURS_PACKAGE).removeprefix(THEIR_PACKAGE)
    oneof = message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else ""
    return field.name, field.type, field.label, kind, oneof


def _fields(message: DescriptorProto) -> dict[int, tuple[object, ...]]:
    return {field.number: _field(message, field) for field in message.field}


def _methods(described: FileDescriptorProto) -> dict[str, tuple[object, ...]]:
    [service] = described.service
    assert service.name == "GRPCInferenceService"
    return {
        method.name: (
            *(kind.rpartition(".")[2] for kind in (method.input_type, method.output_type)),
            method.client_streaming,
            method.server_streaming,
        )
        for method in service.method
    }


def _is_common(name: str) -> bool:
    return not any(extension in name for extension in NOT_KSERVES)


def _described_by(client: ForeignClient) -> FileDescriptorProto:
    return _file(client.do(do="descriptor"))


def test_messages_are_tritonclients(triton: ForeignClient) -> None:
    theirs = _messages(_described_by(triton))
    for name, message in OUR_MESSAGES.items():
        assert _fields(message) == _fields(theirs[name]), name


def test_methods_are_tritonclients(triton: ForeignClient) -> None:
    assert _methods(OURS).items() <= _methods(_described_by(triton)).items()


def test_messages_are_kserves(kserve: ForeignClient) -> None:
    theirs = {name: each for name, each in _messages(_described_by(kserve)).items() if _is_common(name)}
    assert theirs.keys() == {name for name in OUR_MESSAGES if _is_common(name)}
    for name, message in theirs.items():
        assert _fields(message).items() <= _fields(OUR_MESSAGES[name]).items(), name


def test_methods_are_kserves(kserve: ForeignClient) -> None:
    ours, theirs = (
        {name: method for name, method in _methods(each).items() if _is_common(name)}
        for each in (OURS, _described_by(kserve))
    )
    assert ours == theirs
