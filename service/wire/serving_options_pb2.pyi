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
    __slots__ = ("batching", "max_batch_size", "allowed_batch_sizes", "max_queue_size", "shapes", "signatures", "splits", "rollout", "shadow")
    class SignaturesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: SignatureOptions
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[SignatureOptions, _Mapping]] = ...) -> None: ...
    class SplitsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: VersionWeights
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[VersionWeights, _Mapping]] = ...) -> None: ...
    BATCHING_FIELD_NUMBER: _ClassVar[int]
    MAX_BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_BATCH_SIZES_FIELD_NUMBER: _ClassVar[int]
    MAX_QUEUE_SIZE_FIELD_NUMBER: _ClassVar[int]
    SHAPES_FIELD_NUMBER: _ClassVar[int]
    SIGNATURES_FIELD_NUMBER: _ClassVar[int]
    SPLITS_FIELD_NUMBER: _ClassVar[int]
    ROLLOUT_FIELD_NUMBER: _ClassVar[int]
    SHADOW_FIELD_NUMBER: _ClassVar[int]
    batching: Batching
    max_batch_size: int
    allowed_batch_sizes: _containers.RepeatedScalarFieldContainer[int]
    max_queue_size: int
    shapes: Shapes
    signatures: _containers.MessageMap[str, SignatureOptions]
    splits: _containers.MessageMap[str, VersionWeights]
    rollout: Rollout
    shadow: Shadow
    def __init__(self, batching: _Optional[_Union[Batching, str]] = ..., max_batch_size: _Optional[int] = ..., allowed_batch_sizes: _Optional[_Iterable[int]] = ..., max_queue_size: _Optional[int] = ..., shapes: _Optional[_Union[Shapes, str]] = ..., signatures: _Optional[_Mapping[str, SignatureOptions]] = ..., splits: _Optional[_Mapping[str, VersionWeights]] = ..., rollout: _Optional[_Union[Rollout, _Mapping]] = ..., shadow: _Optional[_Union[Shadow, _Mapping]] = ...) -> None: ...

class Shadow(_message.Message):
    __slots__ = ("version", "share", "address")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    version: int
    share: float
    address: str
    def __init__(self, version: _Optional[int] = ..., share: _Optional[float] = ..., address: _Optional[str] = ...) -> None: ...

class VersionWeights(_message.Message):
    __slots__ = ("weights",)
    class WeightsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: int
        def __init__(self, key: _Optional[int] = ..., value: _Optional[int] = ...) -> None: ...
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    weights: _containers.ScalarMap[int, int]
    def __init__(self, weights: _Optional[_Mapping[int, int]] = ...) -> None: ...

class Rollout(_message.Message):
    __slots__ = ("label", "stable_version", "canary_version", "step_weights", "step_seconds", "start_time", "guards", "step", "step_time", "rolled_back")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    STABLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    CANARY_VERSION_FIELD_NUMBER: _ClassVar[int]
    STEP_WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    STEP_SECONDS_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    GUARDS_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    STEP_TIME_FIELD_NUMBER: _ClassVar[int]
    ROLLED_BACK_FIELD_NUMBER: _ClassVar[int]
    label: str
    stable_version: int
    canary_version: int
    step_weights: _containers.RepeatedScalarFieldContainer[int]
    step_seconds: float
    start_time: float
    guards: Guards
    step: int
    step_time: float
    rolled_back: RolledBack
    def __init__(self, label: _Optional[str] = ..., stable_version: _Optional[int] = ..., canary_version: _Optional[int] = ..., step_weights: _Optional[_Iterable[int]] = ..., step_seconds: _Optional[float] = ..., start_time: _Optional[float] = ..., guards: _Optional[_Union[Guards, _Mapping]] = ..., step: _Optional[int] = ..., step_time: _Optional[float] = ..., rolled_back: _Optional[_Union[RolledBack, _Mapping]] = ...) -> None: ...

class Guards(_message.Message):
    __slots__ = ("min_requests", "max_error_rate_increase", "max_p99_ratio", "max_drift_psi", "max_changed_share")
    MIN_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    MAX_ERROR_RATE_INCREASE_FIELD_NUMBER: _ClassVar[int]
    MAX_P99_RATIO_FIELD_NUMBER: _ClassVar[int]
    MAX_DRIFT_PSI_FIELD_NUMBER: _ClassVar[int]
    MAX_CHANGED_SHARE_FIELD_NUMBER: _ClassVar[int]
    min_requests: int
    max_error_rate_increase: float
    max_p99_ratio: float
    max_drift_psi: float
    max_changed_share: float
    def __init__(self, min_requests: _Optional[int] = ..., max_error_rate_increase: _Optional[float] = ..., max_p99_ratio: _Optional[float] = ..., max_drift_psi: _Optional[float] = ..., max_changed_share: _Optional[float] = ...) -> None: ...

class RolledBack(_message.Message):
    __slots__ = ("reason", "message", "time")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    time: float
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ..., time: _Optional[float] = ...) -> None: ...
