"""Clients of all protocols for the models of `tests.telling_models`: each says which version gave its answer.

A client sends numbers of its own, and takes the factor of each of them: those of one answer must all be the same.
"""

import struct
from collections.abc import Awaitable, Callable, Iterable, Sequence
from random import Random
from typing import Any, Protocol

import grpc
import httpx
import numpy as np
from grpc import aio

from service.wire import open_inference_pb2 as oip
from service.wire import tensorflow_pb2 as tf_pb
from service.wire import tensorflow_serving_pb2 as tfs
from tensorgate.v1 import tensorgate_pb2 as typed
from tests.clients import status_outcome
from tests.questions import rest_error, rpc_error

Told = tuple[int | None, float] | str
"""The version's number, where the protocol tells it, and its factor; or the code of a refusal."""
Client = Callable[["Reached", str | None], Awaitable[list[Told]]]
"""Asks once, for a label or for no version; returns what each answer tells: a stream has several."""

MAX_ROWS = 20
_STREAMED = 4
_random = Random(7)


class Reached(Protocol):
    """A server with clients of both its transports."""

    @property
    def rest(self) -> httpx.AsyncClient:
        """Of its REST API."""

    @property
    def channel(self) -> aio.Channel:
        """To its gRPC API."""


class RefusedError(Exception):
    """A request was refused; the only argument is the code."""


def _numbers() -> list[float]:
    count = _random.choice((1, 2, 3, MAX_ROWS))
    return [float(_random.randint(1, 9)) for _ in range(count)]


def _told(number: int | None, sent: Sequence[float], got: Iterable[float]) -> tuple[int | None, float]:
    factors = [answer / value for value, answer in zip(sent, got, strict=True)]
    assert len(set(factors)) == 1, f"an answer of several versions: {factors}"
    return number, factors[0]


async def _called(server: Reached, path: str, request: Any, response: Any) -> Any:
    call: Any = server.channel.unary_unary(
        path, request_serializer=type(request).SerializeToString, response_deserializer=response.FromString
    )
    try:
        return await call(request, timeout=60)
    except grpc.aio.AioRpcError as error:
        raise RefusedError(rpc_error(error).code) from None


async def _streamed(server: Reached, path: str, requests: list[Any], response: Any) -> list[Any]:
    call: Any = server.channel.stream_stream(
        path, request_serializer=type(requests[0]).SerializeToString, response_deserializer=response.FromString
    )
    return [each async for each in call(iter(requests), timeout=60)]


async def _posted(server: Reached, path: str, **options: Any) -> Any:
    response = await server.rest.post(path, **options)
    if response.is_error:
        body = response.json()
        raise RefusedError(body["code"] if "title" in body else rest_error(response).code)
    return response


# TensorFlow Serving.

_TFS = "/tensorflow.serving.PredictionService/"


def _spec(label: str | None, signature: str = "") -> tfs.ModelSpec:
    return tfs.ModelSpec(name="times", version_label=label, signature_name=signature)


def _examples(numbers: list[float]) -> tfs.Input:
    def example(number: float) -> tf_pb.Example:
        feature = {"x": tf_pb.Feature(float_list=tf_pb.FloatList(value=[number]))}
        return tf_pb.Example(features=tf_pb.Features(feature=feature))

    return tfs.Input(example_list=tfs.ExampleList(examples=map(example, numbers)))


async def predict(server: Reached, label: str | None) -> list[Told]:
    sent = _numbers()
    shape = tf_pb.TensorShapeProto(dim=[tf_pb.TensorShapeProto.Dim(size=len(sent))])
    x = tf_pb.TensorProto(dtype=tf_pb.DT_FLOAT, tensor_shape=shape, float_val=sent)
    request = tfs.PredictRequest(model_spec=_spec(label), inputs={"x": x})
    response = await _called(server, _TFS + "Predict", request, tfs.PredictResponse)
    return [_told(response.model_spec.version.value, sent, response.outputs["y"].float_val)]


def _regressed(result: tfs.RegressionResult) -> list[float]:
    return [each.value for each in result.regressions]


def _classified(result: tfs.ClassificationResult) -> list[float]:
    return [each.classes[0].score for each in result.classifications]


async def regress(server: Reached, label: str | None) -> list[Told]:
    sent = _numbers()
    request = tfs.RegressionRequest(model_spec=_spec(label, "regress"), input=_examples(sent))
    response = await _called(server, _TFS + "Regress", request, tfs.RegressionResponse)
    return [_told(response.model_spec.version.value, sent, _regressed(response.result))]


async def classify(server: Reached, label: str | None) -> list[Told]:
    sent = _numbers()
    request = tfs.ClassificationRequest(model_spec=_spec(label, "classify"), input=_examples(sent))
    response = await _called(server, _TFS + "Classify", request, tfs.ClassificationResponse)
    return [_told(response.model_spec.version.value, sent, _classified(response.result))]


async def multi_inference(server: Reached, label: str | None) -> list[Told]:
    sent = _numbers()
    tasks = [
        tfs.InferenceTask(model_spec=_spec(label, name), method_name=f"tensorflow/serving/{name}")
        for name in ("classify", "regress")
    ]
    request = tfs.MultiInferenceRequest(tasks=tasks, input=_examples(sent))
    response = await _called(server, _TFS + "MultiInference", request, tfs.MultiInferenceResponse)
    first, second = response.results
    assert first.model_spec.version == second.model_spec.version
    got = [*_classified(first.classification_result), *_regressed(second.regression_result)]
    return [_told(first.model_spec.version.value, sent * 2, got)]


async def rest_predict(server: Reached, label: str | None) -> list[Told]:
    sent = _numbers()
    path = f"/v1/models/times/labels/{label}:predict" if label else "/v1/models/times:predict"
    response = await _posted(server, path, json={"instances": sent})
    return [_told(None, sent, response.json()["predictions"])]


async def rest_regress(server: Reached, label: str | None) -> list[Told]:
    sent = _numbers()
    path = f"/v1/models/times/labels/{label}:regress" if label else "/v1/models/times:regress"
    examples = [{"x": number} for number in sent]
    response = await _posted(server, path, json={"signature_name": "regress", "examples": examples})
    return [_told(None, sent, response.json()["results"])]


# The Open Inference Protocol.

_OIP = "/inference.GRPCInferenceService/"


def _infer_request(sent: list[float], label: str | None) -> oip.ModelInferRequest:
    x = oip.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=[len(sent)])
    raw = np.array(sent, np.float32).tobytes()
    return oip.ModelInferRequest(model_name="times", model_version=label or "", inputs=[x], raw_input_contents=[raw])


def _inferred(response: oip.ModelInferResponse, sent: list[float]) -> Told:
    return _told(int(response.model_version), sent, np.frombuffer(response.raw_output_contents[0], np.float32).tolist())


async def infer(server: Reached, label: str | None) -> list[Told]:
    sent = _numbers()
    response = await _called(server, _OIP + "ModelInfer", _infer_request(sent, label), oip.ModelInferResponse)
    return [_inferred(response, sent)]


async def infer_stream(server: Reached, label: str | None) -> list[Told]:
    sent = [_numbers() for _ in range(_STREAMED)]
    requests = [_infer_request(each, label) for each in sent]
    answers = await _streamed(server, _OIP + "ModelStreamInfer", requests, oip.ModelStreamInferResponse)
    return [_of_stream(answer, each) for answer, each in zip(answers, sent, strict=True)]


def _of_stream(answer: oip.ModelStreamInferResponse, sent: list[float]) -> Told:
    """Reads an answer; that of a refusal has no code."""
    if not answer.error_message:
        return _inferred(answer.infer_response, sent)
    return "not_ready" if "is not available" in answer.error_message else "model_not_found"


def _infer_path(label: str | None) -> str:
    return f"/v2/models/times/versions/{label}/infer" if label else "/v2/models/times/infer"


async def rest_infer(server: Reached, label: str | None) -> list[Told]:
    sent = _numbers()
    x = {"name": "x", "datatype": "FP32", "shape": [len(sent)], "data": sent}
    body = (await _posted(server, _infer_path(label), json={"inputs": [x]})).json()
    return [_told(int(body["model_version"]), sent, body["outputs"][0]["data"])]


async def rest_infer_binary(server: Reached, label: str | None) -> list[Told]:
    """Sends one raw tensor and no JSON."""
    sent = _numbers()
    headers = {"inference-header-content-length": "0"}
    content = struct.pack(f"<{len(sent)}f", *sent)
    response = await _posted(server, _infer_path(label), content=content, headers=headers)
    length = int(response.headers["inference-header-content-length"])
    document, raw = response.content[:length], response.content[length:]
    number = int(document.partition(b'"model_version":"')[2].partition(b'"')[0])
    return [_told(number, sent, np.frombuffer(raw, np.float32).tolist())]


# The typed API.

_TYPED = "/tensorgate.v1.TensorgateService/"


def _forecast_request(sent: list[float], label: str | None) -> typed.ForecastRequest:
    series = [typed.Series(values=[0, number]) for number in sent]
    return typed.ForecastRequest(model="ahead", label=label, series=series)


def _forecasts(response: typed.ForecastResponse, sent: list[float]) -> Told:
    got = [number for each in response.forecasts for number in (each.values[0], each.quantiles[0].values[0])]
    return _told(response.version, [number for number in sent for _ in range(2)], got)


def _classify_request(sent: list[float], label: str | None) -> typed.ClassifyRequest:
    images = [typed.Image(pixels=typed.Pixels(shape=[2, 2], values=[number, 0, 0, 0])) for number in sent]
    return typed.ClassifyRequest(model="shades", label=label, images=images)


def _classes(response: typed.ClassifyResponse, sent: list[float]) -> Told:
    return _told(response.version, sent, [each.classes[0].score for each in response.results])


async def forecast(server: Reached, label: str | None) -> list[Told]:
    sent = _numbers()
    response = await _called(server, _TYPED + "Forecast", _forecast_request(sent, label), typed.ForecastResponse)
    return [_forecasts(response, sent)]


async def classify_images(server: Reached, label: str | None) -> list[Told]:
    sent = _numbers()
    response = await _called(server, _TYPED + "Classify", _classify_request(sent, label), typed.ClassifyResponse)
    return [_classes(response, sent)]


async def forecast_stream(server: Reached, label: str | None) -> list[Told]:
    sent = [_numbers() for _ in range(_STREAMED)]
    requests = [_forecast_request(each, label) for each in sent]
    answers = await _streamed(server, _TYPED + "ForecastStream", requests, typed.ForecastStreamResponse)
    return [
        _forecasts(answer.response, each) if answer.HasField("response") else status_outcome(answer.error).code
        for answer, each in zip(answers, sent, strict=True)
    ]


async def rest_forecast(server: Reached, label: str | None) -> list[Told]:
    sent = _numbers()
    fields = {"series": [[0, number] for number in sent]} | ({"label": label} if label else {})
    body = (await _posted(server, "/api/v1/models/ahead/forecast", json=fields)).json()
    return [_told(body["version"], sent, [each["values"][0] for each in body["forecasts"]])]


async def rest_classify_images(server: Reached, label: str | None) -> list[Told]:
    sent = _numbers()
    fields = {"images": [{"pixels": [[number, 0], [0, 0]]} for number in sent]} | ({"label": label} if label else {})
    body = (await _posted(server, "/api/v1/models/shades/classify", json=fields)).json()
    return [_told(body["version"], sent, [each["classes"][0]["score"] for each in body["results"]])]


CLIENTS: dict[str, tuple[Client, ...]] = {
    "times": (
        *(predict, regress, classify, multi_inference, rest_predict, rest_regress),
        *(infer, infer_stream, rest_infer, rest_infer_binary),
    ),
    "ahead": (forecast, forecast_stream, rest_forecast),
    "shades": (classify_images, rest_classify_images),
}
"""By the model that they ask."""
