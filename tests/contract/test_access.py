"""Who may ask what: every route and every method of all protocols, asked with no key, another's, and the right one."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import httpx
import pytest
from google.protobuf.message import Message
from google.rpc import status_pb2
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from service.core.rights import Access
from service.wire import open_inference_pb2 as oip
from service.wire import tensorflow_pb2 as tf_pb
from service.wire import tensorflow_serving_pb2 as tfs
from tensorgate.v1 import tensorgate_pb2 as typed
from tests.access import ABSENT, ACTIONS, HIDDEN, SEEN, add, serving_with_access
from tests.clients import classify_request
from tests.conftest import Served

if TYPE_CHECKING:
    from service.seam.http import Route

CLASSIFY = "tensorflow/serving/classify"
BLACK = {"pixels": [[0] * 4] * 4}
JSON: dict[str, Any] = {
    "/classify": {"images": [BLACK]},
    "/forecast": {"series": [[1, 2, 3, 4, 5, 6]]},
    ":predict": {"instances": [{"images": [[[0]] * 4] * 4}]},
    ":classify": {"examples": [{}]},
    ":regress": {"examples": [{}]},
    "/infer": {"inputs": [{"name": "images", "datatype": "FP32", "shape": [1, 4, 4, 1], "data": [0] * 16}]},
    "/labels/{label}": {"version": 2},
    "/index": {},
    "/load": {},
    "/unload": {},
}
"""Bodies of routes that take one, by the end of their paths; a route that is not here fails the tests."""


def reference(model: str) -> dict[str, Any]:
    return {"model_spec": tfs.ModelSpec(name=model)}


def infer(model: str) -> Message:
    tensor = oip.ModelInferRequest.InferInputTensor(name="images", datatype="FP32", shape=[1, 4, 4, 1])
    return oip.ModelInferRequest(model_name=model, inputs=[tensor], raw_input_contents=[bytes(64)])


def predict(model: str) -> Message:
    request = tfs.PredictRequest(**reference(model))
    request.inputs["images"].dtype = tf_pb.DT_FLOAT
    request.inputs["images"].tensor_content = bytes(64)
    for size in (1, 4, 4, 1):
        request.inputs["images"].tensor_shape.dim.add(size=size)
    return request


def series(model: str) -> Message:
    return typed.ForecastRequest(model=model, series=[typed.Series(values=range(6))])


def multi(model: str) -> Message:
    return tfs.MultiInferenceRequest(tasks=[tfs.InferenceTask(**reference(model), method_name=CLASSIFY)])


def reload(model: str) -> Message:
    request = tfs.ReloadConfigRequest()
    request.config.model_config_list.config.add(name=model, base_path="/nowhere")
    return request


MESSAGES: dict[str, Any] = {
    "tensorgate.v1.TensorgateService/Classify": lambda model: classify_request(model, images=[BLACK]),
    "tensorgate.v1.TensorgateService/ClassifyStream": lambda model: classify_request(model, images=[BLACK]),
    "tensorgate.v1.TensorgateService/Forecast": series,
    "tensorgate.v1.TensorgateService/ForecastStream": series,
    "tensorgate.v1.TensorgateService/ListModels": lambda _: typed.ListModelsRequest(),
    **{
        f"tensorgate.v1.TensorgateService/{name}": lambda m, name=name: getattr(typed, f"{name}Request")(model=m)
        for name in ("GetModel", "GetDrift", "GetRollout", "GetShadow", "GetCard")
    },
    "tensorgate.v1.TensorgateService/GetPlot": lambda model: typed.GetPlotRequest(model=model, plot="none.png"),
    "tensorgate.v1.TensorgateService/SetLabel": lambda m: typed.SetLabelRequest(model=m, label="stable", version=2),
    "tensorgate.v1.TensorgateService/DeleteLabel": lambda m: typed.DeleteLabelRequest(model=m, label="stable"),
    "tensorflow.serving.PredictionService/Predict": predict,
    "tensorflow.serving.PredictionService/Classify": lambda model: tfs.ClassificationRequest(**reference(model)),
    "tensorflow.serving.PredictionService/Regress": lambda model: tfs.RegressionRequest(**reference(model)),
    "tensorflow.serving.PredictionService/MultiInference": multi,
    "tensorflow.serving.PredictionService/GetModelMetadata": lambda model: tfs.GetModelMetadataRequest(
        **reference(model), metadata_field=["signature_def"]
    ),
    "tensorflow.serving.ModelService/GetModelStatus": lambda model: tfs.GetModelStatusRequest(**reference(model)),
    "tensorflow.serving.ModelService/HandleReloadConfigRequest": reload,
    "inference.GRPCInferenceService/ServerLive": lambda _: oip.ServerLiveRequest(),
    "inference.GRPCInferenceService/ServerReady": lambda _: oip.ServerReadyRequest(),
    "inference.GRPCInferenceService/ServerMetadata": lambda _: oip.ServerMetadataRequest(),
    "inference.GRPCInferenceService/ModelReady": lambda model: oip.ModelReadyRequest(name=model),
    "inference.GRPCInferenceService/ModelMetadata": lambda model: oip.ModelMetadataRequest(name=model),
    "inference.GRPCInferenceService/ModelInfer": infer,
    "inference.GRPCInferenceService/ModelStreamInfer": infer,
    "inference.GRPCInferenceService/RepositoryIndex": lambda _: oip.RepositoryIndexRequest(),
    "inference.GRPCInferenceService/RepositoryModelLoad": lambda m: oip.RepositoryModelLoadRequest(model_name=m),
    "inference.GRPCInferenceService/RepositoryModelUnload": lambda m: oip.RepositoryModelUnloadRequest(model_name=m),
    "grpc.health.v1.Health/Check": lambda model: health_pb2.HealthCheckRequest(service=model),
    "grpc.health.v1.Health/List": lambda _: health_pb2.HealthCheckRequest(),
    "grpc.reflection.v1.ServerReflection/ServerReflectionInfo": lambda model: reflection_pb2.ServerReflectionRequest(
        file_containing_symbol=model
    ),
    "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": lambda _: reflection_pb2.ServerReflectionRequest(
        list_services=""
    ),
}
"""Requests about a model, by method; a method that is not here fails the tests."""
ENDLESS = {"grpc.health.v1.Health/Watch"}


@dataclass(frozen=True, slots=True)
class Ask:
    """A way to ask.

    Attributes:
        where: The route or the method.
        access: What it takes.
        verb: Of HTTP; empty for gRPC.
        names_model: Whether it is about one model.
    """

    where: str
    access: Access
    verb: str
    names_model: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What came: a status, and every byte beside."""

    status: int
    data: bytes
    challenge: str = ""


def ways(served: Served) -> Iterator[Ask]:
    """Yields each route and each method that the server has, out of its own tables."""
    runtime: Any = served.runtime
    app = runtime._rest.config.app
    routes: list[Route] = [route for api in runtime._apis for route in api.rest.routes]
    routes += [route for verbs in app.rest._operations._fixed.values() for route in verbs.values()]
    for route in routes:
        yield Ask(route.template, route.access, route.verb, "{model}" in route.template)
    for path, bound in app.grpc._calls._bound.items():
        if (where := path.removeprefix("/")) not in ENDLESS:
            first, second = (MESSAGES[where](name).SerializeToString() for name in (SEEN, HIDDEN))
            yield Ask(where, bound.method.access, "", first != second)


async def ask(served: Served, way: Ask, model: str, key: str | None) -> Answer:
    if way.verb:
        return await ask_rest(served.rest, way, model, key)
    return await ask_grpc(served, way, model, key)


async def ask_rest(rest: httpx.AsyncClient, way: Ask, model: str, key: str | None) -> Answer:
    path = way.where.format(model=model, version=1, label="stable", plot="none.png")
    headers = {"x-request-id": "id"} | ({} if key is None else {"authorization": f"Bearer {key}"})
    content = None
    if way.verb in {"POST", "PUT"}:
        body = next(body for end, body in JSON.items() if way.where.endswith(end))
        content = json.dumps(body).encode()
        headers["content-type"] = "application/json"
    response = await rest.request(way.verb, path, content=content, headers=headers)
    shown = sorted((name, value) for name, value in response.headers.items() if name != "date")
    challenge = response.headers.get("www-authenticate", "")
    return Answer(response.status_code, repr(shown).encode() + response.content, challenge)


async def ask_grpc(served: Served, way: Ask, model: str, key: str | None) -> Answer:
    """Asks in a thread: a call that ends before its stream of requests does is an internal error to grpc.aio."""
    return await asyncio.to_thread(ask_in_thread, served.runtime.grpc_port, way, model, key)


def ask_in_thread(port: int, way: Ask, model: str, key: str | None) -> Answer:
    metadata = [("x-request-id", "id")] + ([] if key is None else [("x-api-key", key)])
    messages = iter([MESSAGES[way.where](model).SerializeToString(deterministic=True)])
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        method: Any = channel.stream_stream(f"/{way.where}")
        stream = method(messages, metadata=metadata, timeout=20)
        data = b""
        try:
            for answer in stream:
                data += answer
        except grpc.RpcError:
            status = status_pb2.Status.FromString(dict(stream.trailing_metadata())["grpc-status-details-bin"])
            data += f"{stream.details()} {status}".encode()
        return Answer(stream.code().value[0], data)


def hidden_as(data: bytes) -> bytes:
    return data.replace(HIDDEN.encode(), ABSENT.encode())


UNAUTHENTICATED, FORBIDDEN = {401, 16}, {403, 7}
NOT_THERE = {404, 5, 12}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "access.toml"


async def test_without_a_key_probes_alone_are_answered(grpc_server: str, tmp_path: Path) -> None:
    async with serving_with_access(tmp_path, grpc_server=grpc_server) as served:
        for way in ways(served):
            for key in (None, "tg_000000000000_" + "a" * 43):
                answer = await ask(served, way, HIDDEN, key)
                refused = answer.status in UNAUTHENTICATED
                assert refused == (way.access is not Access.PUBLIC), (way, answer)
                assert bool(answer.challenge) == (refused and bool(way.verb))
                assert SEEN.encode() not in answer.data
                repeats = way.where == "grpc.health.v1.Health/Check"
                assert repeats or HIDDEN.encode() not in answer.data


async def test_a_model_that_may_not_be_seen_is_one_that_there_is_not(
    grpc_server: str, tmp_path: Path, file: Path
) -> None:
    key, owner = add(file, ["bri*"]), add(file, [HIDDEN])
    async with serving_with_access(tmp_path, grpc_server=grpc_server) as served:
        for way in ways(served):  # so that all that is counted by model is there to be told
            if way.access is Access.INFER:
                await ask(served, way, HIDDEN, owner)
        for way in ways(served):
            absent = await ask(served, way, ABSENT, key)
            assert HIDDEN.encode() not in absent.data, way
            if way.names_model:
                hidden = await ask(served, way, HIDDEN, key)
                assert hidden_as(hidden.data) == hidden_as(absent.data), way
                assert hidden.status == absent.status, way
        for path in ("/metrics", "/v2/models", "/readyz", "/openapi.json", "/api/v1/models"):
            page = (await served.rest.get(path, headers={"x-api-key": key})).text
            assert SEEN in page, path
            assert HIDDEN not in page, path
        assert HIDDEN in (await served.rest.get("/metrics", headers={"x-api-key": owner})).text


async def test_the_right_key_reaches_it(grpc_server: str, tmp_path: Path, file: Path) -> None:
    key = add(file, [HIDDEN])
    async with serving_with_access(tmp_path, grpc_server=grpc_server) as served:
        headers = {"x-api-key": key}
        for way in ways(served):
            if way.names_model and not way.where.startswith("grpc.") and not way.where.endswith("ReloadConfigRequest"):
                # As it was, whatever the one before took away.
                await served.rest.post(f"/v2/repository/models/{HIDDEN}/load", headers=headers)
                await served.rest.put(f"/api/v1/models/{HIDDEN}/labels/stable", json={"version": 1}, headers=headers)
                answer = await ask(served, way, HIDDEN, key)
                if b"a plot that the model card" in answer.data:  # of a model that is there, and has none
                    continue
                assert answer.status not in UNAUTHENTICATED | FORBIDDEN | NOT_THERE, (way, answer)


@pytest.mark.parametrize("action", ACTIONS)
async def test_a_right_is_for_its_action_alone(grpc_server: str, action: str, tmp_path: Path, file: Path) -> None:
    key = add(file, [SEEN], [action])
    free = {Access.PUBLIC, Access.AUTHENTICATED, Access(action)}
    async with serving_with_access(tmp_path, grpc_server=grpc_server) as served:
        for way in ways(served):
            if way.where.endswith(("nload", "DeleteLabel", "ReloadConfigRequest")) or way.verb == "DELETE":
                continue
            answer = await ask(served, way, SEEN, key)
            assert (answer.status in FORBIDDEN) == (way.access not in free), (way, answer)
            if answer.status in FORBIDDEN:
                assert f"the right to {way.access}".encode() in answer.data


async def test_who_may_see_a_model_and_not_ask_it_is_told_which_right_it_lacks(tmp_path: Path, file: Path) -> None:
    key = add(file, [SEEN], ["infer"])
    async with serving_with_access(tmp_path) as served:
        asked: dict[str, Any] = {"json": {"images": [BLACK]}, "headers": {"x-api-key": key}}
        response = await served.rest.get(f"/api/v1/models/{SEEN}", headers={"x-api-key": key})
        assert (response.status_code, response.json()["code"]) == (403, "forbidden")
        assert response.json()["detail"] == "this needs the right to read, which 'somebody' has on no model"
        assert (await served.rest.post(f"/api/v1/models/{HIDDEN}/classify", **asked)).status_code == 404
        assert (await served.rest.post(f"/api/v1/models/{SEEN}/classify", **asked)).status_code == 200


async def test_a_reload_needs_control_of_all_models(grpc_server: str, tmp_path: Path, file: Path) -> None:
    some, all_of_them = add(file, ["b*", "n*"]), add(file, ["*"], ["control"])
    async with serving_with_access(tmp_path, grpc_server=grpc_server) as served:
        [way] = [way for way in ways(served) if way.where.endswith("ReloadConfigRequest")]
        answer = await ask(served, way, SEEN, some)
        assert answer.status in FORBIDDEN
        assert HIDDEN.encode() not in answer.data
        assert (await ask(served, way, SEEN, all_of_them)).status not in UNAUTHENTICATED | NOT_THERE
