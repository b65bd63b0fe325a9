from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from training.warmup import BATCH_SIZES, FILE_NAME, write_warmup


def _example(value: float) -> bytes:
    feature = tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
    example = tf.train.Example(features=tf.train.Features(feature={"x": feature}))
    return bytes(example.SerializeToString())


def _written(folder: Path) -> list[PredictionLog]:
    inputs = {
        "serving_default": {"x": np.arange(6, dtype=np.float32).reshape(3, 2)},
        "classify_examples": {"inputs": np.array([_example(1), _example(2)], object)},
        "regress_examples": {"inputs": np.array([_example(3)], object)},
    }
    methods = {
        "classify_examples": "tensorflow/serving/classify",
        "regress_examples": "tensorflow/serving/regress",
    }
    write_warmup(folder, "model", inputs=inputs, methods=methods)
    records = tf.data.TFRecordDataset(str(folder / FILE_NAME))
    return [PredictionLog.FromString(record.numpy()) for record in records]


def test_every_signature_gets_every_batch_size_as_its_own_kind_of_request(tmp_path: Path) -> None:
    logs = _written(tmp_path)
    sizes: dict[str, list[int]] = {}
    for log in logs:
        kind = log.WhichOneof("log_type")
        request = getattr(log, kind).request
        assert request.model_spec.name == "model"
        if kind == "predict_log":
            size = tf.make_ndarray(request.inputs["x"]).shape[0]
        else:
            size = len(request.input.example_list.examples)
        sizes.setdefault(f"{kind} {request.model_spec.signature_name}", []).append(size)
    assert sizes == {
        "predict_log serving_default": list(BATCH_SIZES),
        "classify_log classify_examples": list(BATCH_SIZES),
        "regress_log regress_examples": list(BATCH_SIZES),
    }


def test_rows_are_repeated_to_fill_a_batch(tmp_path: Path) -> None:
    four = next(
        log
        for log in _written(tmp_path)
        if log.HasField("predict_log") and log.predict_log.request.inputs["x"].tensor_shape.dim[0].size == 4
    )
    np.testing.assert_array_equal(
        tf.make_ndarray(four.predict_log.request.inputs["x"]), [[0, 1], [2, 3], [4, 5], [0, 1]]
    )
