"""Signatures as SavedModels and TensorFlow Serving write them."""

from collections.abc import Mapping
from dataclasses import dataclass

from service.codecs.tensor_proto import NAMES, decode_tensor
from service.core.bounds import InputBounds
from service.core.signature import check_inputs
from service.core.tensors import Signature, Tensor, TensorSpec
from service.errors import GatewayError
from service.wire import tensorflow_pb2 as tf_pb

_INTERNAL = "__saved_model_"
"""What TensorFlow calls the signatures that it writes for itself."""
_OTHER_DTYPES = {11: "qint8", 12: "quint8", 13: "qint32", 15: "qint16", 16: "quint16", 20: "resource", 21: "variant"}
"""TensorFlow's names of dtypes that cannot be served, by number."""


@dataclass(frozen=True, slots=True)
class DecodedSignatures:
    """The signatures of a model, without TensorFlow's own.

    Attributes:
        servable: Those that can be served, by name, sorted.
        unservable: Why the others cannot, by name.
    """

    servable: dict[str, Signature]
    unservable: dict[str, str]


class _UnservableError(Exception):
    """A signature cannot be served; the message says why."""


def decode_signatures(
    definitions: Mapping[str, tf_pb.SignatureDef], *, with_all_defaults: bool = False
) -> DecodedSignatures:
    """Returns the signatures of a model.

    TensorFlow Serving leaves out the defaults since 2.20. So where there are none, there may be some all the same.

    Args:
        definitions: By name.
        with_all_defaults: Whether there are no defaults but those in the definitions.
    """
    decoded = DecodedSignatures({}, {})
    for name, definition in sorted(definitions.items()):
        if name.startswith(_INTERNAL):
            continue
        try:
            decoded.servable[name] = _decoded(name, definition, with_all_defaults)
        except _UnservableError as error:
            decoded.unservable[name] = str(error)
    return decoded


def _decoded(name: str, definition: tf_pb.SignatureDef, with_all_defaults: bool) -> Signature:
    # A protobuf map has no order of its own; errors and lists must have the same one each time.
    inputs = {alias: _spec(info, f"its input {alias}") for alias, info in sorted(definition.inputs.items())}
    outputs = {alias: _spec(info, f"its output {alias}") for alias, info in sorted(definition.outputs.items())}
    return Signature(
        name=name,
        method_name=definition.method_name,
        inputs=inputs,
        outputs=outputs,
        defaults={
            alias: _default(alias, inputs[alias], value)
            for alias, value in definition.defaults.items()
            if alias in inputs
        },
        defaults_known=with_all_defaults or bool(definition.defaults),
    )


def _spec(info: tf_pb.TensorInfo, what: str) -> TensorSpec:
    if not info.HasField("name"):
        raise _UnservableError(f"{what} is no dense tensor")
    if info.dtype not in NAMES:
        raise _UnservableError(f"{what} is {_OTHER_DTYPES.get(info.dtype, f'of the dtype number {info.dtype}')}")
    shape = info.tensor_shape
    known = None if shape.unknown_rank else tuple(None if dim.size < 0 else dim.size for dim in shape.dim)
    return TensorSpec(NAMES[info.dtype], known, info.name)


def _default(alias: str, spec: TensorSpec, value: tf_pb.TensorProto) -> Tensor:
    """Returns a default, which nobody checks again."""
    try:
        tensor = decode_tensor(value, bounds=InputBounds(), where="it")
        check_inputs(Signature("", "", {alias: spec}, {}), {alias: tensor})
    except GatewayError as error:
        raise _UnservableError(f"the default of its input {alias} makes no sense: {error.message}") from None
    return tensor
