"""Which signatures can be served, and why others cannot."""

import numpy as np
import pytest

from service.codecs.signature_def import decode_signatures
from service.wire import tensorflow_pb2 as tf_pb


def definition(
    dtype: int = tf_pb.DT_FLOAT, name: str | None = "x:0", default: tf_pb.TensorProto | None = None
) -> tf_pb.SignatureDef:
    """Returns a signature with the input ``x`` [] and the output ``y``, of one dtype."""
    info = tf_pb.TensorInfo(name=name, dtype=dtype)  # type: ignore[arg-type]  # numbers that are not in the subset
    made = tf_pb.SignatureDef(inputs={"x": info}, outputs={"y": info})
    if default is not None:
        made.defaults["x"].CopyFrom(default)
    return made


def scalar(**fields: object) -> tf_pb.TensorProto:
    return tf_pb.TensorProto(dtype=tf_pb.DT_FLOAT, tensor_shape=tf_pb.TensorShapeProto(), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (definition(name=None), "its input x is no dense tensor"),
        (definition(dtype=20), "its input x is resource"),
        (definition(dtype=21), "its input x is variant"),
        (definition(dtype=12), "its input x is quint8"),
        (definition(dtype=101), "its input x is of the dtype number 101"),
        (
            definition(default=scalar(tensor_content=b"abc")),
            "the default of its input x makes no sense: it.tensor_cont",
        ),
        (definition(tf_pb.DT_INT32, default=scalar(float_val=[1])), "the default of its input x makes no sense: inpu"),
    ],
)
def test_one_that_cannot_be_served_keeps_no_other_from_it(odd: tf_pb.SignatureDef, reason: str) -> None:
    decoded = decode_signatures({"odd": odd, "good": definition(), "__saved_model_init_op": definition(name=None)})
    assert list(decoded.servable) == ["good"]
    assert list(decoded.unservable) == ["odd"]
    assert decoded.unservable["odd"].startswith(reason)


def test_without_defaults_there_may_be_some_unless_it_is_known_that_there_are_none() -> None:
    definitions = {"with": definition(default=scalar(float_val=[3])), "without": definition()}
    decoded = decode_signatures(definitions).servable
    assert decoded["with"].defaults == {"x": np.float32(3)}
    assert (decoded["with"].defaults_known, decoded["without"].defaults_known) == (True, False)
    assert decode_signatures(definitions, with_all_defaults=True).servable["without"].defaults_known
