"""Signatures as SavedModels and TensorFlow Serving write them."""

from service.codecs.tensor_proto import NAMES, decode_tensor
from service.core.bounds import InputBounds
from service.core.tensors import Signature, TensorSpec
from service.wire import tensorflow_pb2 as tf_pb

_INTERNAL = "__saved_model_"
"""What TensorFlow calls the signatures that it writes for itself."""


def decode_signature(name: str, definition: tf_pb.SignatureDef) -> Signature | None:
    """Returns a signature; ``None`` when it is TensorFlow's own, or one of its tensors has an unsupported dtype.

    TensorFlow Serving leaves out the defaults since 2.20. So where there are none, there may be some all the same.
    """
    if name.startswith(_INTERNAL):
        return None
    for info in (*definition.inputs.values(), *definition.outputs.values()):
        if not info.HasField("name") or info.dtype not in NAMES:
            return None
    return Signature(
        name=name,
        method_name=definition.method_name,
        # A protobuf map has no order of its own; errors and lists must have the same one each time.
        inputs={alias: _spec(info) for alias, info in sorted(definition.inputs.items())},
        outputs={alias: _spec(info) for alias, info in sorted(definition.outputs.items())},
        defaults={
            alias: decode_tensor(value, bounds=InputBounds(), where=f"defaults.{alias}")
            for alias, value in definition.defaults.items()
        },
        defaults_known=bool(definition.defaults),
    )


def _spec(info: tf_pb.TensorInfo) -> TensorSpec:
    shape = info.tensor_shape
    known = None if shape.unknown_rank else tuple(None if dim.size < 0 else dim.size for dim in shape.dim)
    return TensorSpec(NAMES[info.dtype], known, info.name)
