import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from tests import picture_folders
from tests.tutorial import assert_shown, step
from training.classifier.data import load
from training.classifier.split import split

from .conftest import Run, Trainer, reference_of

_CLASSES = [str(number).encode() for number in range(10)]


@pytest.fixture(scope="module")
def version(digits: Run) -> Path:
    assert digits.code == 0, digits.error
    return digits.models / "digits" / "1"


@pytest.fixture(scope="module")
def model(version: Path) -> Any:
    return tf.saved_model.load(str(version))


def test_a_run_says_where_the_model_is_and_how_good(digits: Run, version: Path) -> None:
    assert f"Published {version}" in digits.output
    for text in ("Total params", "this network", "support vector machine", "majority class"):
        assert text in digits.output
    assert [path.name for path in digits.models.iterdir()] == ["digits"]


def test_the_tutorial_shows_what_a_run_prints(digits: Run) -> None:
    printed = digits.output.replace(str(digits.models), "models")
    assert_shown(step("tensorgate train")[1], re.sub("Computing on .*", "Computing on the CPU", printed))


@pytest.mark.parametrize(
    ("name", "inputs", "method"),
    [
        ("serving_default", {"images": (tf.float32, [None, 8, 8, 1])}, "predict"),
        ("classify_bytes", {"image_bytes": (tf.string, [None])}, "predict"),
        ("classify_examples", {"inputs": (tf.string, [None])}, "classify"),
    ],
)
def test_signatures_are_exactly_those_of_a_classifier(
    version: Path, name: str, inputs: dict[str, tuple[Any, list[int | None]]], method: str
) -> None:
    outputs = {"scores": (tf.float32, [None, 10]), "classes": (tf.string, [None, 10])}
    if method == "predict":  # TensorFlow Serving's Classify takes no signature with more
        outputs["ood_score"] = (tf.float32, [None])
    signatures = SavedModel.FromString((version / "saved_model.pb").read_bytes()).meta_graphs[0].signature_def
    assert set(signatures) - {"__saved_model_init_op"} == {"serving_default", "classify_bytes", "classify_examples"}
    assert signatures[name].method_name == f"tensorflow/serving/{method}"
    for side, expected in ((signatures[name].inputs, inputs), (signatures[name].outputs, outputs)):
        found = {
            key: (tf.as_dtype(info.dtype), tf.TensorShape(info.tensor_shape).as_list()) for key, info in side.items()
        }
        assert found == expected


def test_all_signatures_agree_on_the_whole_test_part(model: Any) -> None:
    images = split(load("digits"), 0).test.images
    pixels = model.signatures["serving_default"](images=tf.constant(images, tf.float32))
    files = [tf.io.encode_png(image).numpy() for image in images]
    examples = [
        tf.train.Example(
            features=tf.train.Features(
                feature={"image/encoded": tf.train.Feature(bytes_list=tf.train.BytesList(value=[file]))}
            )
        ).SerializeToString()
        for file in files
    ]
    others = (
        model.signatures["classify_bytes"](image_bytes=tf.constant(files)),
        model.signatures["classify_examples"](inputs=tf.constant(examples)),
    )
    np.testing.assert_allclose(pixels["scores"].numpy().sum(axis=1), 1, atol=1e-5)
    assert pixels["classes"].numpy().tolist() == [_CLASSES] * len(images)
    np.testing.assert_allclose(others[0]["ood_score"], pixels["ood_score"], rtol=1e-5)
    for other in others:
        np.testing.assert_allclose(other["scores"], pixels["scores"], atol=1e-6)
        np.testing.assert_array_equal(other["classes"], pixels["classes"])


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "JPEG"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("side", [8, 64])
def test_image_files_of_any_kind_and_size_are_recognised_alike(model: Any, kind: str, mode: str, side: int) -> None:
    digit = load("digits").images[0, ..., 0]
    image = Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC).convert(mode)
    stream = io.BytesIO()
    image.save(stream, kind)
    plain = model.signatures["serving_default"](images=tf.constant(digit[None, ..., None], tf.float32))
    scores = model.signatures["classify_bytes"](image_bytes=tf.constant([stream.getvalue()]))["scores"].numpy()
    assert scores.argmax() == plain["scores"].numpy().argmax()


def test_one_broken_image_is_an_invalid_argument_and_the_model_lives_on(model: Any) -> None:
    good = tf.io.encode_png(load("digits").images[0]).numpy()
    with pytest.raises(tf.errors.InvalidArgumentError):
        model.signatures["classify_bytes"](image_bytes=tf.constant([good, good[:30]]))
    assert model.signatures["classify_bytes"](image_bytes=tf.constant([good]))["scores"].shape == (1, 10)


def test_the_graph_runs_under_any_server(version: Path) -> None:
    """No Python functions, no compilation that a server refuses, text on the CPU."""
    graph = SavedModel.FromString((version / "saved_model.pb").read_bytes()).meta_graphs[0].graph_def
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    assert not {node.op for node in nodes} & {"PyFunc", "EagerPyFunc", "XlaLaunch"}
    assert not any(node.attr["_XlaMustCompile"].b for node in nodes)
    decoders = [node for node in nodes if node.op in {"DecodeImage", "DecodeBmp", "ParseExampleV2"}]
    assert decoders
    assert all("CPU:0" in node.device for node in decoders)


def test_warm_up_records_are_valid_and_the_model_answers_them(version: Path, model: Any) -> None:
    path = version / "assets.extra" / "tf_serving_warmup_requests"
    logs = [PredictionLog.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(path))]
    sizes: dict[str, list[int]] = {}
    for log in logs:
        request = getattr(log, log.WhichOneof("log_type")).request
        name = request.model_spec.signature_name
        if log.HasField("predict_log"):
            inputs = {key: tf.constant(tf.make_ndarray(value)) for key, value in request.inputs.items()}
        else:
            examples = request.input.example_list.examples
            inputs = {"inputs": tf.constant([example.SerializeToString() for example in examples])}
        sizes.setdefault(name, []).append(len(model.signatures[name](**inputs)["scores"]))
    assert sizes == {key: [1, 2, 4, 8, 16, 32] for key in model.signatures}


def test_the_manifest_states_what_the_version_is_and_hashes_every_file(version: Path) -> None:
    manifest = json.loads((version / "assets.extra" / "tensorgate.json").read_text())
    assert (manifest["kind"], manifest["name"], manifest["version"]) == ("classifier", "digits", 1)
    assert manifest["data"]["name"] == "digits"
    assert sum(manifest["data"]["examples"].values()) == 1797
    assert manifest["output"]["classes"] == list("0123456789")
    assert manifest["evaluation"]["gate"] == "passed"
    assert manifest["training"]["seed"] == 0
    assert manifest["tools"]["tensorflow"] == tf.__version__
    files = {str(path.relative_to(version)) for path in version.rglob("*") if path.is_file()}
    assert set(manifest["files"]) == files - {"assets.extra/tensorgate.json"}
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((version / name).read_bytes()).hexdigest() == digest


def test_the_report_is_whole(version: Path) -> None:
    extra = version / "assets.extra"
    metrics = json.loads((extra / "metrics.json").read_text())
    assert metrics["network"].keys() >= {"accuracy", "macro_f1", "recall", "confusion", "calibration_error"}
    assert 0.2 <= metrics["network"]["temperature"] <= 5
    assert metrics["ood_score"].keys() >= {"threshold", "refused_test", "letters", "noise", "shuffled pixels"}
    assert metrics["ood_score"]["noise"]["auroc"] > 0.98
    assert metrics["support_vector_machine"]["accuracy"] > 0.97
    card = (extra / "model_card.md").read_text()
    for picture in ("learning_curves.png", "confusion_matrix.png", "calibration.png", "worst.png"):
        assert picture in card
        with Image.open(extra / picture) as image:
            assert min(image.size) > 300


def test_noise_is_told_from_digits(model: Any) -> None:
    digits = split(load("digits"), 0).test.images.astype(np.float32)
    noise = np.random.default_rng(0).uniform(0, 255, digits.shape).astype(np.float32)
    known, unknown = (model.signatures["serving_default"](images=images)["ood_score"] for images in (digits, noise))
    assert (known.numpy() > 1).mean() < 0.15
    assert (unknown.numpy() > 1).mean() > 0.95


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras, as it saves
def test_pictures_of_many_sizes_get_a_network_that_was_trained_before(trainer: Trainer, tmp_path: Path) -> None:
    picture_folders.write(tmp_path / "pictures", each=12, names=("checks", "flower"))
    weights = tmp_path / "mobilenetv2.weights.h5"
    keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(96, 96, 3)).save_weights(weights)
    given = ("--data", str(tmp_path / "pictures"), "--weights", str(weights))
    run = trainer.run("classifier", *given, "--epochs", "2", "--force")
    assert run.code == 0, run.error
    version = trainer.models / "pictures" / "1"
    manifest = json.loads((version / "assets.extra/tensorgate.json").read_text())
    assert 48 <= manifest["input"]["height"] <= 80
    assert manifest["training"]["weights"] == str(weights)
    assert "mobilenetv2" in (version / "assets.extra/model_card.md").read_text()


def test_a_folder_of_coloured_images_becomes_a_classifier(trainer: Trainer, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for name, colour in (("red", (200, 30, 30)), ("blue", (30, 30, 200))):
        (tmp_path / "My photos" / name).mkdir(parents=True)
        for number in range(20):
            pixels = np.clip(generator.normal(colour, 20, (12, 16, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "My photos" / name / f"{number}.jpg")
    run = trainer.run("classifier", "--data", str(tmp_path / "My photos"), "--epochs", "15")
    assert run.code == 0, run.error
    model = tf.saved_model.load(str(trainer.models / "my-photos" / "1"))
    blue = np.full((1, 12, 16, 3), (30, 30, 200), np.float32)
    answer = model.signatures["serving_default"](images=tf.constant(blue))
    assert answer["classes"].numpy()[0, answer["scores"].numpy().argmax()] == b"blue"


def test_the_reference_is_there_and_fits_the_model(version: Path) -> None:
    reference = reference_of(version)
    assert reference.about == "training and validation part of digits"
    found = {
        f"{name} {tensor.name} {one.statistic}": one.rows
        for name, tensors in reference.signatures.items()
        for tensor in tensors
        for one in tensor.histograms
    }
    parts = split(load("digits"), 0)
    known = len(parts.training) + len(parts.validation)
    assert found["serving_default images mean"] == found["serving_default scores argmax"] == known
    assert found["classify_bytes scores largest"] == len(parts.validation)
    assert (
        "assets.extra/tensorgate_reference.json"
        in json.loads((version / "assets.extra" / "tensorgate.json").read_text())["files"]
    )
