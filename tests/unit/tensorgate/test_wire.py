"""The subsets of the client, held against what they are subsets of: field by field."""

from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor
from google.rpc import error_details_pb2, status_pb2

from service.wire import open_inference_pb2
from tensorgate.wire import errors_pb2, infer_pb2

WHOLE = {
    "infer": (infer_pb2, (open_inference_pb2,)),  # which is held against upstream's by tests/foreign/test_wire_drift.py
    "errors": (errors_pb2, (error_details_pb2, status_pb2)),
}


def _messages(*modules: Any) -> Iterator[tuple[str, Descriptor]]:
    def within(path: str, message: Descriptor) -> Iterator[tuple[str, Descriptor]]:
        yield path, message
        for nested in message.nested_types:
            yield from within(f"{path}.{nested.name}", nested)

    for module in modules:
        for name, message in module.DESCRIPTOR.message_types_by_name.items():
            yield from within(name, message)


def _fields(message: Descriptor) -> set[tuple[Any, ...]]:
    return {
        (field.number, field.name, field.type, field.is_repeated, field.message_type and field.message_type.name)
        for field in message.fields
    }


@pytest.mark.parametrize("name", WHOLE)
def test_each_field_is_upstreams(name: str) -> None:
    ours, theirs = WHOLE[name]
    whole = dict(_messages(*theirs))
    for path, message in _messages(ours):
        assert _fields(message) <= _fields(whole[path]), path


def test_the_status_made_where_googles_is_missing_is_the_same() -> None:
    from tensorgate import google_status

    file = google_status._described()
    assert (file.name, file.package) == ("google/rpc/status.proto", "google.rpc")
    theirs = status_pb2.Status.DESCRIPTOR
    [made] = file.message_type
    assert {(field.number, field.name, field.type, field.label == field.LABEL_REPEATED) for field in made.field} == {
        (field.number, field.name, field.type, field.is_repeated) for field in theirs.fields
    }
