from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Batching(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DEFAULT: _ClassVar[Batching]
    AUTO: _ClassVar[Batching]
    ON: _ClassVar[Batching]
    OFF: _ClassVar[Batching]

class Shapes(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DECLARED: _ClassVar[Shapes]
    GRAPH: _ClassVar[Shapes]
DEFAULT: Batching
AUTO: Batching
ON: Batching
OFF: Batching
DECLARED: Shapes
GRAPH: Shapes

class SignatureOptions(_message.Message):
    __slots__ = ("batching", "max_batch_size", "allowed_batch_sizes", "max_queue_size")
    BATCHING_FIELD_NUMBER: _ClassVar[int]
    MAX_BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_BATCH_SIZES_FIELD_NUMBER: _ClassVar[int]
    MAX_QUEUE_SIZE_FIELD_NUMBER: _ClassVar[int]
    batching: Batching
    max_batch_size: int
    allowed_batch_sizes: _containers.RepeatedScalarFieldContainer[int]
    max_queue_size: int
    def __init__(self, batching: _Optional[_Union[Batching, str]] = ..., max_batch_size: _Optional[int] = ..., allowed_batch_sizes: _Optional[_Iterable[int]] = ..., max_queue_size: _Optional[int] = ...) -> None: ...

class ServingOptions(_message.Message):
    __slots__ = ("batching", "max_batch_size", "allowed_batch_sizes", "max_queue_size", "shapes", "signatures")
    class SignaturesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: SignatureOptions
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[SignatureOptions, _Mapping]] = ...) -> None: ...
    BATCHING_FIELD_NUMBER: _ClassVar[int]
    MAX_BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_BATCH_SIZES_FIELD_NUMBER: _ClassVar[int]
    MAX_QUEUE_SIZE_FIELD_NUMBER: _ClassVar[int]
    SHAPES_FIELD_NUMBER: _ClassVar[int]
    SIGNATURES_FIELD_NUMBER: _ClassVar[int]
    batching: Batching
    max_batch_size: int
    allowed_batch_sizes: _containers.RepeatedScalarFieldContainer[int]
    max_queue_size: int
    shapes: Shapes
    signatures: _containers.MessageMap[str, SignatureOptions]
    def __init__(self, batching: _Optional[_Union[Batching, str]] = ..., max_batch_size: _Optional[int] = ..., allowed_batch_sizes: _Optional[_Iterable[int]] = ..., max_queue_size: _Optional[int] = ..., shapes: _Optional[_Union[Shapes, str]] = ..., signatures: _Optional[_Mapping[str, SignatureOptions]] = ...) -> None: ...
