"""@grpc/grpc-js, which knows the services from reflection alone: all kinds of calls, and all ways in which they end."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.rpc import status_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.clients import Outcome, status_outcome
from tests.conftest import Served, serving, too_late, until
from tests.foreign.process import ForeignClient, node_client

TYPED, TFSERVING = "tensorgate.v1.TensorgateService", "tensorflow.serving.PredictionService"
OPEN_INFERENCE, HEALTH = "inference.GRPCInferenceService", "grpc.health.v1.Health"
SERVICES = (TYPED, TFSERVING, OPEN_INFERENCE, HEALTH)
ENCODINGS = (None, "gzip", "deflate")
OK = grpc.StatusCode.OK.value[0]
Json = dict[str, Any]

pytestmark = pytest.mark.usefixtures("with_grpc_server")


@dataclass(frozen=True)
class Speaker:
    """Has the client call one server."""

    client: ForeignClient
    address: str

    async def do(self, do: str, method: str = "", *messages: Json, **options: Any) -> Json:
        """Does a thing of the script: ``call`` and ``begin`` a method, or ``cancel`` what was begun."""
        if method:
            service, _, name = method.partition("/")
            options |= {"address": self.address, "service": service, "method": name, "messages": messages}
        told: Json = await asyncio.to_thread(self.client.do, do=do, **options)
        return told

    async def call(self, method: str, *messages: Json, **options: Any) -> Json:
        """Calls a method, which is to succeed."""
        told = await self.do("call", method, *messages, **options)
        assert (told["code"], told["details"]) == (OK, "")
        return told


@pytest.fixture(scope="module")
def client() -> Iterator[ForeignClient]:
    with node_client("speak_grpc_js.cjs") as client:
        yield client


@pytest.fixture(scope="module")
async def served(client: ForeignClient, grpc_server: str) -> AsyncIterator[Served]:
    async with serving(grpc_server=grpc_server) as served:
        files = await asyncio.to_thread(reflected, address_of(served))
        await asyncio.to_thread(client.do, do="describe", files=files)
        yield served


@pytest.fixture(scope="module")
def js(client: ForeignClient, served: Served) -> Speaker:
    return Speaker(client, address_of(served))


def address_of(served: Served) -> str:
    return f"127.0.0.1:{served.runtime.grpc_port}"


def reflected(address: str) -> bytes:
    """Returns what reflection tells of the services: a FileDescriptorSet, each file after those that it imports."""
    files: dict[str, FileDescriptorProto] = {}

    def add(file: FileDescriptor) -> None:
        for imported in file.dependencies:
            add(imported)
        if file.name not in files:
            files[file.name] = FileDescriptorProto()
            file.CopyToProto(files[file.name])

    with grpc.insecure_channel(address) as channel:
        pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        for service in SERVICES:
            add(pool.FindServiceByName(service).file)
    return FileDescriptorSet(file=files.values()).SerializeToString()


def predict(values: Any) -> Json:
    """Returns TensorFlow Serving's request; the loader takes maps of reflected messages as their entries."""
    x = {"dtype": "DT_FLOAT", "tensor_shape": {"dim": [{"size": len(values)}]}, "tensor_content": raw(values)}
    return {"model_spec": {"name": "double"}, "inputs": [{"key": "x", "value": x}]}


def infer(values: Any, model: str = "double") -> Json:
    """Returns the Open Inference Protocol's request."""
    x = {"name": "x", "datatype": "FP32", "shape": [len(values)]}
    return {"model_name": model, "inputs": [x], "raw_input_contents": [raw(values)]}


def classify(*brightness: int, model: str = "shades") -> Json:
    """Returns the typed API's request."""
    images = [{"pixels": {"shape": [4, 4], "bytes_values": bytes([each] * 16)}} for each in brightness]
    return {"model": model, "images": images, "top_k": 1}


def raw(values: Any) -> bytes:
    return np.asarray(values, np.float32).tobytes()


def labels(answer: Json) -> list[str]:
    return [result["classes"][0]["label"] for result in answer["results"]]


def refusal(told: Json) -> Outcome:
    """Reads the status of a call that failed, its details and what the trailers hold besides."""
    status = status_pb2.Status.FromString(told["trailers"]["grpc-status-details-bin"])
    assert (status.code, status.message) == (told["code"], told["details"])
    outcome = status_outcome(status)
    assert told["trailers"]["x-request-id"] == outcome.request_id
    return outcome


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_predict(js: Speaker, encoding: str | None) -> None:
    for values in ([1.5, 2], np.arange(500_000)):
        told = await js.call(f"{TFSERVING}/Predict", predict(values), encoding=encoding)
        [answer] = told["answers"]
        assert answer["model_spec"]["version"] == {"value": 1}
        [output] = answer["outputs"]
        assert (output["key"], output["value"]["dtype"]) == ("y", "DT_FLOAT")
        assert output["value"]["float_val"] == (np.asarray(values) * 2).tolist()


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_infer(js: Speaker, encoding: str | None) -> None:
    [answer] = (await js.call(f"{OPEN_INFERENCE}/ModelInfer", infer([1.5, 2]), encoding=encoding))["answers"]
    assert (answer["model_name"], answer["model_version"]) == ("double", "1")
    assert answer["outputs"] == [{"name": "y", "datatype": "FP32", "shape": [2]}]
    assert answer["raw_output_contents"] == [raw([3, 4])]


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_a_stream_of_requests(js: Speaker, encoding: str | None) -> None:
    requests = [infer([number], "nope" if number == 7 else "double") for number in range(200)]
    told = await js.call(f"{OPEN_INFERENCE}/ModelStreamInfer", *requests, encoding=encoding)
    assert len(told["answers"]) == 200
    for number, answer in enumerate(told["answers"]):
        if number == 7:
            assert answer["error_message"].startswith("model: expected one of the models served")
        else:
            assert answer["infer_response"]["raw_output_contents"] == [raw([2 * number])]


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_classify(js: Speaker, encoding: str | None) -> None:
    sent = {"metadata": {"x-request-id": "mine-1"}, "encoding": encoding}
    told = await js.call(f"{TYPED}/Classify", classify(0, 255), **sent)
    assert [labels(answer) for answer in told["answers"]] == [["dark", "bright"]]
    assert told["trailers"]["x-request-id"] == "mine-1"
    told = await js.call(f"{TYPED}/ClassifyStream", classify(0), classify(), classify(255), **sent)
    first, second, third = told["answers"]
    assert [labels(answer["response"]) for answer in (first, third)] == [["dark"], ["bright"]]
    assert second["error"]["message"].startswith("images: expected")
    assert told["trailers"]["x-request-id"] == "mine-1"


async def test_health(js: Speaker) -> None:
    assert (await js.call(f"{HEALTH}/Check", {"service": TYPED}))["answers"] == [{"status": "SERVING"}]
    told = await js.do("call", f"{HEALTH}/Check", {"service": "nope"})
    assert told["code"] == grpc.StatusCode.NOT_FOUND.value[0]


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_an_error_has_its_details_and_the_request_id(js: Speaker, encoding: str | None) -> None:
    sent = {"metadata": {"x-request-id": "mine-2"}, "encoding": encoding}
    told = await js.do("call", f"{TYPED}/Classify", classify(0, model="nope ☂"), **sent)
    outcome = refusal(told)
    assert (told["code"], outcome.code) == (grpc.StatusCode.NOT_FOUND.value[0], "model_not_found")
    assert (outcome.where, outcome.request_id) == (("model",), "mine-2")
    assert "got 'nope ☂'" in outcome.message
    assert told["answers"] == []
    told = await js.do("call", f"{TFSERVING}/Predict", predict([1]) | {"inputs": []})
    assert refusal(told).code == "invalid_input"


async def test_an_error_that_ends_a_stream_comes_after_the_answers_before_it(js: Speaker) -> None:
    requests = (infer([1]), infer([1], "nope"), infer([1]))
    metadata = {"triton_grpc_error": "true"}
    told = await js.do("call", f"{OPEN_INFERENCE}/ModelStreamInfer", *requests, metadata=metadata)
    assert [answer["infer_response"]["raw_output_contents"] for answer in told["answers"]] == [[raw([2])]]
    assert refusal(told).code == "model_not_found"


async def test_a_call_ends_with_its_deadline(js: Speaker) -> None:
    async with serving() as served:
        served.backend.gate.clear()
        js = Speaker(js.client, address_of(served))
        for count, method in enumerate((f"{TYPED}/Classify", f"{TYPED}/ClassifyStream"), 1):
            told, _ = await too_late(served, lambda seconds: js.do("call", method, classify(0), seconds=seconds))  # noqa: B023
            assert told["code"] == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
            await until(lambda: served.backend.cancelled == count)  # noqa: B023
        await until(lambda: not any(served.runtime.admission.in_flight.values()))


@pytest.mark.parametrize("method", [f"{TYPED}/Classify", f"{TYPED}/ClassifyStream"])
async def test_a_cancelled_call_stops_costing(js: Speaker, method: str) -> None:
    async with serving() as served:
        served.backend.gate.clear()
        js = Speaker(js.client, address_of(served))
        await js.do("begin", method, classify(0))
        await until(lambda: served.backend.runs == 1)
        told = await js.do("cancel")
        assert (told["code"], told["answers"]) == (grpc.StatusCode.CANCELLED.value[0], [])
        await until(lambda: served.backend.cancelled == 1)
        await until(lambda: not any(served.runtime.admission.in_flight.values()))
        served.backend.gate.set()
        assert labels((await js.call(f"{TYPED}/Classify", classify(255)))["answers"][0]) == ["bright"]
