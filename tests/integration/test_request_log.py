"""The request log of a real server: every protocol's requests are in it, and other programs read it."""

import json
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from service.app.lifecycle import Server
from service.app.settings import load
from service.codecs.tfrecord import frame, read_records
from service.errors import ErrorKind, GatewayError
from tensorgate.v1 import tensorgate_pb2 as native
from tests import upstream_models
from tests.conftest import Served, serving
from tests.processes import server_process
from tests.real_server import serving_models
from tests.upstream_stubs import examples, predict

HISTORY = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
V2_BODY = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [2]}]}


async def ask_everything(served: Served) -> None:
    """Asks once by each protocol over each transport."""
    predictions: Any = prediction_service_pb2_grpc.PredictionServiceStub(served.channel)
    await predictions.Predict(predict("double", x=np.float32(1)))
    infer: Any = served.channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    await infer(_infer_request())
    await served.stub.Forecast(native.ForecastRequest(model="steps", series=[native.Series(values=HISTORY)]))
    for path, body in (
        ("/v1/models/double:predict", {"inputs": 2}),
        ("/v2/models/double/infer", V2_BODY),
        ("/api/v1/models/steps/forecast", {"series": [HISTORY]}),
    ):
        response = await served.rest.post(path, json=body, headers={"x-request-id": f"id of {path}".replace(" ", "-")})
        assert response.status_code == 200, response.text


def _infer_request() -> bytes:
    from service.wire import open_inference_pb2 as v2

    request = v2.ModelInferRequest(model_name="double", raw_input_contents=[np.float32(3).tobytes()])
    request.inputs.add(name="x", datatype="FP32", shape=[])
    return request.SerializeToString()


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in file.read_bytes().splitlines()]


def logs(folder: Path) -> list[Any]:
    """Returns the records of the one file, read by TensorFlow into upstream's messages."""
    [file] = folder.glob("*.tfrecord")
    records = tf.data.TFRecordDataset(str(file)).as_numpy_iterator()
    return [prediction_log_pb2.PredictionLog.FromString(record) for record in records]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "log"


async def test_every_protocol_is_recorded(folder: Path, grpc_server: str) -> None:
    async with serving(request_log=folder, request_log_format="jsonl", grpc_server=grpc_server) as served:
        await ask_everything(served)
    found = lines(folder)
    assert [line["model"] for line in found] == ["double", "double", "steps"] * 2
    assert {line["code"] for line in found} == {"ok"}
    assert found[0]["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [], "data": [1.0]}]
    assert found[0]["outputs"] == [{"name": "y", "datatype": "FP32", "shape": [], "data": [2.0]}]
    assert found[3]["request_id"] == "id-of-/v1/models/double:predict"
    assert (found[5]["signature"], found[5]["version"]) == ("serving_default", 7)
    assert [output["name"] for output in found[5]["outputs"]] == ["forecast", "quantiles", "quantile_levels"]


async def test_a_record_is_what_upstream_says_that_it_is(folder: Path) -> None:
    async with serving(request_log=folder) as served:
        await ask_everything(served)
    found = logs(folder)
    assert [log.predict_log.request.model_spec.name for log in found] == ["double", "double", "steps"] * 2
    assert not any(log.predict_log.request.model_spec.HasField("version") for log in found)
    assert found[2].predict_log.response.model_spec.version.value == 7
    assert found[2].log_metadata.model_spec.version.value == 7
    assert found[2].log_metadata.timestamp_secs > 0
    np.testing.assert_array_equal(tf.make_ndarray(found[2].predict_log.request.inputs["history"]), [HISTORY])
    np.testing.assert_array_equal(tf.make_ndarray(found[2].predict_log.response.outputs["forecast"]), [[7, 8, 9]])


async def test_requests_of_examples_are_recorded_as_such(folder: Path, tmp_path: Path) -> None:
    upstream_models.save_half_plus_two(tmp_path / "models" / "half" / "1")
    async with serving_models(tmp_path / "models", request_log=folder) as server:
        stub: Any = prediction_service_pb2_grpc.PredictionServiceStub(server.channel)
        await stub.Classify(examples(classification_pb2.ClassificationRequest(), "half", "classify_x_to_y", 1.0, 2.0))
        await stub.Regress(examples(regression_pb2.RegressionRequest(), "half", "regress_x_to_y", 4.0, context=1.0))
        body = {"signature_name": "regress_x_to_y2", "examples": [{"x": 6.0}]}
        assert (await server.rest.post("/v1/models/half:regress", json=body)).json() == {"results": [6.0]}
    classified, regressed, over_rest = logs(folder)
    scores = [row.classes[0].score for row in classified.classify_log.response.result.classifications]
    assert scores == [2.5, 3.0]
    assert len(classified.classify_log.request.input.example_list.examples) == 2
    assert [each.value for each in regressed.regress_log.response.result.regressions] == [4.0]
    assert over_rest.regress_log.request.model_spec.signature_name == "regress_x_to_y2"
    assert [each.value for each in over_rest.regress_log.response.result.regressions] == [6.0]


async def test_what_is_redacted_is_in_no_record(folder: Path) -> None:
    async with serving(request_log=folder, request_log_redact="history, nothing") as served:
        await ask_everything(served)
    for log in logs(folder):
        request = log.predict_log.request
        if "history" in request.inputs:
            assert tf.make_ndarray(request.inputs["history"]).tolist() == [[0.0] * 6]
        assert log.predict_log.HasField("response") == ("history" not in request.inputs)


async def test_failures_are_recorded_with_their_code(folder: Path) -> None:
    async with serving(request_log=folder, request_log_format="jsonl") as served:
        served.backend.failure = GatewayError(ErrorKind.BACKEND_FAILED, "no")
        assert (await served.rest.post("/v2/models/double/infer", json=V2_BODY)).status_code >= 500
    [line] = lines(folder)
    assert line["code"] == "backend_failed"
    assert "outputs" not in line


async def test_outputs_that_were_not_wanted_are_not_recorded(folder: Path) -> None:
    async with serving(request_log=folder, request_log_format="jsonl") as served:
        inputs = [{"name": "history", "datatype": "FP32", "shape": [1, 6], "data": HISTORY}]
        body = {"inputs": inputs, "outputs": [{"name": "forecast"}]}
        assert (await served.rest.post("/v2/models/steps/infer", json=body)).status_code == 200
    [line] = lines(folder)
    assert line["wanted"] == ["forecast"]
    assert [output["name"] for output in line["outputs"]] == ["forecast"]


async def test_it_is_off_by_default_and_counted_where_it_is_on(folder: Path) -> None:
    async with serving() as served:
        await ask_everything(served)
        assert "request_log" not in (await served.rest.get("/metrics")).text
    async with serving(request_log=folder, request_log_share=0) as served:
        await ask_everything(served)
        assert await served.metric("tensorgate_request_log_written_total") == 0
    assert not lines(folder)
    async with serving(request_log=folder, request_log_max_bytes=1024) as served:
        await served.rest.post("/v1/models/double:predict", json={"inputs": [1.0] * 1000})
        assert await served.metric("tensorgate_request_log_dropped_total", reason="too_large") == 1


async def test_a_folder_that_cannot_be_had_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    async with serving(request_log=tmp_path / "log"):
        for taken in (tmp_path / "log", tmp_path / "file"):
            chosen = load({"backend": "tests.fakes:FakeBackend", "rest_port": 0, "grpc_port": 0, "request_log": taken})
            with pytest.raises(GatewayError, match="request_log: expected a folder"):
                await Server(chosen).__aenter__()


def test_a_killed_server_loses_no_record(folder: Path) -> None:
    arguments = ["--backend", "tests.fakes:FakeBackend", "--request-log", str(folder)]
    with server_process(*arguments) as server:
        server.announcement()
        for _ in range(3):
            assert httpx.post(f"{server.rest}/v1/models/double:predict", json={"inputs": 1}).status_code == 200
        while "tensorgate_request_log_written_total 3.0" not in httpx.get(f"{server.rest}/metrics").text:
            time.sleep(0.02)
        assert [file.suffix for file in folder.glob("requests-*")] == [".part"]
        server.process.kill()
    with server_process(*arguments) as server:
        server.announcement()
        assert server.stop() == 0
    assert [each.suffix for each in folder.glob("requests-*")] == [".tfrecord"]
    assert len(logs(folder)) == 3


def test_tensorflow_reads_what_is_written_here_and_the_other_way_round(tmp_path: Path) -> None:
    payloads = [b"", b"x", bytes(1000), np.random.default_rng(1).bytes(700_000)]
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.write_bytes(b"".join(map(frame, payloads)))
    assert list(tf.data.TFRecordDataset(str(ours)).as_numpy_iterator()) == payloads
    with tf.io.TFRecordWriter(str(theirs)) as writer:
        for payload in payloads:
            writer.write(payload)
    assert theirs.read_bytes() == ours.read_bytes()
    with theirs.open("rb") as file:
        assert [chunk.payload for chunk in read_records(file, theirs.stat().st_size)] == payloads
