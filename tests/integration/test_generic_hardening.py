"""Requests of the generic protocols made to hurt: each is refused for what it claims, and nothing is left of it."""

import gc
from collections.abc import AsyncIterator
from typing import Any

import grpc
import numpy as np
import pytest

from service.errors import ErrorKind, GatewayError
from service.wire import open_inference_pb2 as oip
from service.wire import tensorflow_pb2 as tf_pb
from service.wire import tensorflow_serving_pb2 as tfs
from tests.conftest import Served, serving, until
from tests.questions import Question, rpc_error
from tests.real_server import RealServer
from tests.speakers import SPEAKERS

PREDICTION = "/tensorflow.serving.PredictionService/"
INFER = "/inference.GRPCInferenceService/ModelInfer"


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving(backend="tests.zoo:ZooBackend", max_json_values=10_000) as served:
        yield served


def spec(name: str) -> tfs.ModelSpec:
    return tfs.ModelSpec(name=name)


def claiming(dtype: Any, size: int, **values: Any) -> tfs.PredictRequest:
    shape = tf_pb.TensorShapeProto(dim=[tf_pb.TensorShapeProto.Dim(size=size)])
    tensor = tf_pb.TensorProto(dtype=dtype, tensor_shape=shape, **values)
    return tfs.PredictRequest(model_spec=spec("echo_string"), inputs={"x": tensor})


def with_context(count: int, size: int) -> tfs.Input:
    feature = tf_pb.Feature(bytes_list=tf_pb.BytesList(value=[b"x" * size]))
    context = tf_pb.Example(features=tf_pb.Features(feature={"c": feature}))
    examples = [tf_pb.Example()] * count
    return tfs.Input(example_list_with_context=tfs.ExampleListWithContext(examples=examples, context=context))


MESSAGES: dict[str, tuple[str, Any, str]] = {
    "numbers that only a shape claims": (PREDICTION + "Predict", claiming(tf_pb.DT_DOUBLE, 2**25), "max_request_bytes"),
    "strings that only a shape claims": (PREDICTION + "Predict", claiming(tf_pb.DT_STRING, 2**25), "max_request_bytes"),
    "one long string, many times": (PREDICTION + "Predict", claiming(tf_pb.DT_STRING, 4096, string_val=[b"x" * 100_000]), "max_request_bytes"),
    "many inputs": (PREDICTION + "Predict", tfs.PredictRequest(model_spec=spec("sum"), inputs={f"i{index}": tf_pb.TensorProto() for index in range(2000)}), "at most 1024"),
    "many outputs": (PREDICTION + "Predict", tfs.PredictRequest(model_spec=spec("sum"), output_filter=["sum"] * 2000), "at most 1024"),
    "many tasks": (PREDICTION + "MultiInference", tfs.MultiInferenceRequest(tasks=[tfs.InferenceTask()] * 2000), "at most 1024"),
    "many fields": (PREDICTION + "GetModelMetadata", tfs.GetModelMetadataRequest(model_spec=spec("sum"), metadata_field=["signature_def"] * 2000), "at most 1024"),
    "many inputs to infer": (INFER, oip.ModelInferRequest(model_name="sum", inputs=[oip.ModelInferRequest.InferInputTensor()] * 2000), "at most 1024"),
    "many outputs to infer": (INFER, oip.ModelInferRequest(model_name="sum", outputs=[oip.ModelInferRequest.InferRequestedOutputTensor()] * 2000), "at most 1024"),
}  # fmt: skip


@pytest.mark.parametrize("case", MESSAGES)
async def test_messages_are_refused_for_what_they_claim(served: Served, case: str) -> None:
    method, message, words = MESSAGES[case]
    call: Any = served.channel.unary_unary(method)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(message.SerializeToString())
    said = rpc_error(caught.value)
    assert said.code == "too_large", said
    assert words in said.message
    assert served.backend.runs == 0
    assert await served.metric("tensorgate_request_bytes_held") == 0


async def test_a_context_is_not_made_many_times_over(served: Served) -> None:
    request = tfs.ClassificationRequest(model_spec=spec("sum"), input=with_context(1000, 100_000))
    body = b'{"context": {"c": "' + b"x" * 100_000 + b'"}, "examples": [' + b"{}," * 999 + b"{}]}"
    response = await served.rest.post("/v1/models/sum:classify", content=body)
    assert (response.status_code, response.json()["code"]) == (413, "too_large")
    assert "max_request_bytes" in response.json()["error"]
    call: Any = served.channel.unary_unary(PREDICTION + "Classify")
    with pytest.raises(grpc.aio.AioRpcError):
        await call(request.SerializeToString())


@pytest.mark.parametrize(
    "path", ["/v1/models/sum:predict", "/v2/models/sum/infer", "/api/v1/models/shades/classify", "/v2/repository/index"]
)
async def test_json_of_too_many_values_is_not_parsed(served: Served, path: str) -> None:
    body = b'{"x": [' + b"[]," * 10_000 + b"[]]}"
    response = await served.rest.post(path, content=body, headers={"content-type": "application/json"})
    answer = response.json()
    assert (response.status_code, answer["code"]) == (413, "too_large")
    assert "max_json_values" in (answer.get("error") or answer["detail"])


async def test_a_refused_request_leaves_nothing_for_the_collector(served: Served) -> None:
    def alive() -> list[GatewayError]:
        return [held for held in gc.get_objects() if isinstance(held, GatewayError)]

    predict: Any = served.channel.unary_unary(PREDICTION + "Predict")
    infer: Any = served.channel.unary_unary(INFER)
    gc.collect()
    before = len(alive())
    gc.disable()
    try:
        for _ in range(5):
            for call, message in (
                (predict, claiming(tf_pb.DT_FLOAT, 1)),
                (infer, oip.ModelInferRequest(model_name="x")),
            ):
                with pytest.raises(grpc.aio.AioRpcError):
                    await call(message.SerializeToString())
            for path in ("/v1/models/sum:predict", "/v2/models/sum/infer", "/api/v1/models/shades/classify"):
                assert (await served.rest.post(path, json={"inputs": "x"})).is_error
        await until(lambda: len(alive()) <= before)
    finally:
        gc.enable()


@pytest.mark.parametrize("speaker", SPEAKERS)
async def test_an_error_that_nobody_expects_shows_nothing_of_itself(served: Served, speaker: str) -> None:
    served.backend.failure = RuntimeError("/secret/path")
    server = RealServer(served.runtime, served.rest, served.channel)
    said = await SPEAKERS[speaker].ask(server, Question("echo_float32", {"x": np.ones(1, np.float32)}))
    assert said.code == "internal"
    assert "secret" not in str(said)


@pytest.mark.parametrize("speaker", SPEAKERS)
@pytest.mark.parametrize("kind", [kind for kind in ErrorKind if kind is not ErrorKind.CANCELLED])
async def test_every_failure_of_a_backend_keeps_its_meaning(served: Served, speaker: str, kind: ErrorKind) -> None:
    served.backend.failure = GatewayError(kind, "as it is")
    server = RealServer(served.runtime, served.rest, served.channel)
    said = await SPEAKERS[speaker].ask(server, Question("echo_float32", {"x": np.ones(1, np.float32)}))
    assert (said.code, said.message) == (kind.value, "as it is")


@pytest.mark.parametrize(
    "path", ["/v1/models/sum:predict", "/v2/models/sum/infer", "/api/v1/models/shades/classify", "/v2/repository/index"]
)
@pytest.mark.parametrize("values", [b'{"a":0}', b"[]", b'{"a":NaN}'])
async def test_what_is_made_of_json_counts_among_the_bytes_in_flight(path: str, values: bytes) -> None:
    async with serving(backend="tests.zoo:ZooBackend", max_bytes_in_flight=1_000_000) as served:
        body = b'{"x": [' + (values + b",") * 15_000 + b"[]]}"
        response = await served.rest.post(path, content=body, headers={"content-type": "application/json"})
        assert (response.status_code, response.json()["code"]) == (413, "too_large")
        assert "max_bytes_in_flight" in response.text
        assert await served.metric("tensorgate_request_bytes_held") == 0


@pytest.mark.parametrize("speaker", SPEAKERS)
async def test_an_answer_that_is_too_large_is_refused_before_it_is_written(speaker: str) -> None:
    async with serving(backend="tests.zoo:ZooBackend", max_bytes_in_flight=3_000_000) as served:
        server = RealServer(served.runtime, served.rest, served.channel)
        question = Question("echo_float32", {"x": np.ones(300_000, np.float32)})
        said = await SPEAKERS[speaker].ask(server, question)
        assert said.code == "too_large", said
        assert "max_bytes_in_flight" in said.message
        assert served.backend.runs == 1
        assert await served.metric("tensorgate_request_bytes_held") == 0


IN_MANY_PARTS: dict[str, tuple[str, bytes]] = {
    "inputs": (INFER, b"\x2a\x00" * 300_000),
    "one key of a map": (PREDICTION + "Predict", b"\x12\x00" * 300_000),
    "examples": (PREDICTION + "Classify", b"\x12\x04\x0a\x02\x0a\x00" * 100_000),
    "unknown fields": ("/tensorgate.v1.TensorgateService/Classify", b"\xf8\x07\x00" * 300_000),
    "parameters of a control call": ("/inference.GRPCInferenceService/RepositoryModelLoad", b"\x1a\x00" * 300_000),
    "a probe": ("/inference.GRPCInferenceService/ServerLive", b"\x1a\x00" * 300_000),
}


@pytest.mark.parametrize("case", IN_MANY_PARTS)
async def test_messages_of_too_many_fields_are_not_parsed(case: str) -> None:
    method, data = IN_MANY_PARTS[case]
    async with serving(backend="tests.zoo:ZooBackend", max_message_fields=50_000) as served:
        call: Any = served.channel.unary_unary(method)
        with pytest.raises(grpc.aio.AioRpcError, match="max_message_fields"):
            await call(data)
        assert await served.metric("tensorgate_request_bytes_held") == 0
        stream: Any = served.channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")
        with pytest.raises(grpc.aio.AioRpcError, match="max_message_fields"):
            await stream(iter([IN_MANY_PARTS["inputs"][1]])).read()


async def test_what_parsed_messages_hold_counts_among_the_bytes_in_flight() -> None:
    async with serving(backend="tests.zoo:ZooBackend", max_bytes_in_flight=10_000_000) as served:
        call: Any = served.channel.unary_unary(PREDICTION + "Predict")
        with pytest.raises(grpc.aio.AioRpcError, match="max_bytes_in_flight"):
            await call(IN_MANY_PARTS["one key of a map"][1])
        assert await served.metric("tensorgate_request_bytes_held") == 0


async def test_more_parameters_than_any_model_has_are_refused(served: Served) -> None:
    parameters = {f"p{index}": oip.InferParameter(bool_param=True) for index in range(2000)}
    load: Any = served.channel.unary_unary("/inference.GRPCInferenceService/RepositoryModelLoad")
    infer: Any = served.channel.unary_unary(INFER)
    requests: tuple[Any, Any] = (
        (load, oip.RepositoryModelLoadRequest(model_name="sum", parameters=dict.fromkeys(parameters, oip.ModelRepositoryParameter(bool_param=True)))),
        (infer, oip.ModelInferRequest(model_name="sum", parameters=parameters)),
    )  # fmt: skip
    for call, message in requests:
        with pytest.raises(grpc.aio.AioRpcError, match="at most 1024"):
            await call(message.SerializeToString())
