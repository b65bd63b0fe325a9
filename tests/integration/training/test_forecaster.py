import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from .conftest import Run, reference_of

_LEVELS = [0.025, 0.1, 0.5, 0.9, 0.975]


@pytest.fixture(scope="module")
def version(wave: Run) -> Path:
    assert wave.code == 0, wave.error
    return wave.models / "wave-of-2000" / "1"


@pytest.fixture(scope="module")
def model(version: Path) -> Any:
    return tf.saved_model.load(str(version))


def _shapes(version: Path) -> dict[str, Any]:
    definition = SavedModel.FromString((version / "saved_model.pb").read_bytes()).meta_graphs[0]
    return {
        name: {
            "method": signature.method_name.rpartition("/")[2],
            **{
                key: (tf.as_dtype(info.dtype).name, tf.TensorShape(info.tensor_shape).as_list())
                for side in (signature.inputs, signature.outputs)
                for key, info in side.items()
            },
        }
        for name, signature in definition.signature_def.items()
        if name != "__saved_model_init_op"
    }


def test_signatures_are_exactly_those_of_a_forecaster_of_two_columns(version: Path) -> None:
    assert _shapes(version) == {
        "serving_default": {
            "method": "predict",
            "history": ("float32", [None, 14, 2]),
            "forecast": ("float32", [None, 6]),
            "quantiles": ("float32", [None, 6, 5]),
            "quantile_levels": ("float32", [None, 5]),
        },
        "regress_examples": {
            "method": "regress",
            "inputs": ("string", [None]),
            "outputs": ("float32", [None, 1]),
        },
    }


def test_quantiles_ascend_around_the_forecast_and_signatures_agree(model: Any) -> None:
    histories = np.random.default_rng(1).normal(50, 20, (7, 14, 2)).astype(np.float32)
    answer = model.signatures["serving_default"](history=tf.constant(histories))
    quantiles = answer["quantiles"].numpy()
    assert (np.diff(quantiles, axis=-1) >= 0).all()
    np.testing.assert_array_equal(answer["forecast"], quantiles[..., 2])
    np.testing.assert_allclose(answer["quantile_levels"], [_LEVELS] * 7, rtol=1e-6)
    examples = [
        tf.train.Example(
            features=tf.train.Features(
                feature={"history": tf.train.Feature(float_list=tf.train.FloatList(value=history.reshape(-1)))}
            )
        ).SerializeToString()
        for history in histories
    ]
    outputs = model.signatures["regress_examples"](inputs=tf.constant(examples))["outputs"]
    np.testing.assert_allclose(outputs[:, 0], answer["forecast"][:, 0], rtol=1e-6)


def test_an_example_without_a_history_is_an_invalid_argument(model: Any) -> None:
    empty = tf.train.Example().SerializeToString()
    with pytest.raises(tf.errors.InvalidArgumentError):
        model.signatures["regress_examples"](inputs=tf.constant([empty]))


def test_warm_up_records_are_valid_and_the_model_answers_them(version: Path, model: Any) -> None:
    path = version / "assets.extra" / "tf_serving_warmup_requests"
    rows: dict[str, list[int]] = {"serving_default": [], "regress_examples": []}
    for record in tf.data.TFRecordDataset(str(path)):
        log = PredictionLog.FromString(record.numpy())
        if log.HasField("predict_log"):
            history = tf.constant(tf.make_ndarray(log.predict_log.request.inputs["history"]))
            rows["serving_default"].append(len(model.signatures["serving_default"](history=history)["forecast"]))
        else:
            examples = log.regress_log.request.input.example_list.examples
            inputs = tf.constant([example.SerializeToString() for example in examples])
            rows["regress_examples"].append(len(model.signatures["regress_examples"](inputs=inputs)["outputs"]))
    assert rows == {key: [1, 2, 4, 8, 16, 32] for key in model.signatures}


def test_the_report_compares_with_what_one_would_use_instead(version: Path, wave: Run) -> None:
    extra = version / "assets.extra"
    metrics = json.loads((extra / "metrics.json").read_text())
    names = list(metrics["forecasters"])
    assert names[0] == "this network"
    assert {"seasonal naive (12)", "persistence"} < set(names)
    assert all(len(errors["mae"]) == 6 for errors in metrics["forecasters"].values())
    assert set(metrics["coverage"]) == {"80 %", "95 %"}
    card = (extra / "model_card.md").read_text()
    for picture in ("learning_curves.png", "error_per_step.png", "forecasts.png", "one_step.png"):
        assert picture in card
        with Image.open(extra / picture) as image:
            assert min(image.size) > 300
    assert "persistence" in wave.output


def test_the_reference_is_there_and_scales_each_column(version: Path) -> None:
    history, forecast = reference_of(version).signatures["serving_default"]
    assert [one.statistic for one in history.histograms] == ["values", "changes"]
    assert history.scale is not None
    assert forecast.scale is not None
    assert len(history.scale.mean) == 2
    assert forecast.scale.mean.tolist() == history.scale.mean[:1].tolist()
