"""Warm-up records: requests that TensorFlow Serving replays before it calls a version ready.

The file holds `tensorflow.serving.PredictionLog` messages. They nest four small messages, so they are encoded here
field by field, and the training environment needs no `tensorflow-serving-api`. Only the tensors inside come from
TensorFlow itself. Field numbers: PredictionLog 2 classify_log, 3 regress_log, 6 predict_log; each log 1 request;
PredictRequest 1 model_spec, 2 inputs (a map: 1 key, 2 value); Classification- and RegressionRequest 1 model_spec, 2
input; Input 1 example_list; ExampleList 1 examples; ModelSpec 1 name, 3 signature_name.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

FILE_NAME = "tf_serving_warmup_requests"
BATCH_SIZES = (1, 2, 4, 8, 16, 32)

_PREDICT_LOG, _CLASSIFY_LOG, _REGRESS_LOG = 6, 2, 3
_LOG_OF_METHOD = {"tensorflow/serving/classify": _CLASSIFY_LOG, "tensorflow/serving/regress": _REGRESS_LOG}


def write_warmup(
    directory: Path, model_name: str, *, inputs: Mapping[str, Mapping[str, Any]], methods: Mapping[str, str]
) -> None:
    """Writes one record per signature and batch size.

    Args:
        directory: the version's `assets.extra`.
        model_name: the name under which the model will be served.
        inputs: per signature and input name, an array with at least one row; rows are repeated to fill a batch.
        methods: per signature its method name; what is missing is a plain predict signature.
    """
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(directory / FILE_NAME)) as file:
        for record in _records(model_name, inputs, methods):
            file.write(record)


def _records(model_name: str, inputs: Mapping[str, Mapping[str, Any]], methods: Mapping[str, str]) -> Iterator[bytes]:
    for size in BATCH_SIZES:
        for signature, arrays in inputs.items():
            batch = {name: _rows(array, size) for name, array in arrays.items()}
            spec = _field(1, model_name.encode()) + _field(3, signature.encode())
            log = _LOG_OF_METHOD.get(methods.get(signature, ""), _PREDICT_LOG)
            if log == _PREDICT_LOG:
                body = _predict_body(batch)
            else:
                body = _field(2, _field(1, b"".join(_field(1, bytes(example)) for example in batch["inputs"])))
            yield _field(log, _field(1, _field(1, spec) + body))


def _rows(array: Sequence[Any], size: int) -> Any:
    """The first rows of an array, over again when it has fewer than asked for."""
    import numpy as np

    return np.asarray(array)[np.arange(size) % len(array)]


def _predict_body(batch: Mapping[str, Any]) -> bytes:
    import tensorflow as tf

    return b"".join(
        _field(2, _field(1, name.encode()) + _field(2, tf.make_tensor_proto(array).SerializeToString()))
        for name, array in batch.items()
    )


def _field(number: int, payload: bytes) -> bytes:
    """One length-delimited protobuf field: tag, length, payload."""
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    """A non-negative number in groups of seven bits, the lowest first."""
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)
