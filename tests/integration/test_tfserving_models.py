"""What TensorFlow Serving's API tells of models and lets clients change, asked with its own stubs."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import tensorflow as tf
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from tests import zoo_models
from tests.real_server import serving_models
from tests.upstream_stubs import Stubs, predict, refusal, reload_request, serving_zoo

Code = grpc.StatusCode


@pytest.fixture(scope="module")
async def stubs(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stubs]:
    async with serving_zoo(tmp_path_factory.mktemp("zoo")) as stubs:
        yield stubs


async def test_metadata_unpacks_into_upstreams_message(stubs: Stubs) -> None:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "optional"
    response = await stubs.predictions.GetModelMetadata(request)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    signature = signatures.signature_def["serving_default"]
    assert {name: info.dtype for name, info in signature.inputs.items()} == {"x": 1, "scale": 1}
    assert signature.inputs["x"].tensor_shape.dim[0].size == -1
    assert signature.method_name == "tensorflow/serving/predict"
    assert not signature.defaults
    request.metadata_field[:] = []
    assert await refusal(stubs.predictions.GetModelMetadata(request)) == (
        Code.INVALID_ARGUMENT,
        "GetModelMetadataRequest must specify at least one metadata_field",
    )


async def test_every_dtype_is_in_the_metadata(stubs: Stubs) -> None:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "numbers"
    response = await stubs.predictions.GetModelMetadata(request)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    for dtype, signature in signatures.signature_def.items():
        assert tf.dtypes.as_dtype(signature.inputs["x"].dtype).name == dtype
    assert signatures.signature_def.keys() == set(zoo_models.NUMBERS)


async def test_status_lists_versions_newest_first(stubs: Stubs) -> None:
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "versions"
    response = await stubs.models.GetModelStatus(request)
    assert [status.version for status in response.model_version_status] == [2, 1]
    assert {status.state for status in response.model_version_status} == {30}
    request.model_spec.version.value = 9
    assert await refusal(stubs.models.GetModelStatus(request)) == (
        Code.NOT_FOUND,
        "Could not find version 9 of model versions",
    )
    request.model_spec.Clear()
    request.model_spec.SetInParent()
    assert await refusal(stubs.models.GetModelStatus(request)) == (
        Code.NOT_FOUND,
        "Could not find any versions of model ",
    )


async def test_an_unknown_method_is_unimplemented(stubs: Stubs) -> None:
    call: Any = stubs.server.channel.unary_unary("/tensorflow.serving.PredictionService/PredictStreamed")
    code, text = await refusal(call(b""))
    assert code is Code.UNIMPLEMENTED
    assert "PredictStreamed" in text


async def test_bytes_that_are_no_message_are_refused(stubs: Stubs) -> None:
    call: Any = stubs.server.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    assert (await refusal(call(b"\xff\xff\xff")))[0] is Code.INVALID_ARGUMENT


@pytest.mark.parametrize(
    "service",
    [
        "tensorflow.serving.PredictionService",
        "tensorflow.serving.ModelService",
        "PredictionService",
        "ModelService",
        "",
    ],
)
async def test_health_knows_the_services_by_both_spellings(stubs: Stubs, service: str) -> None:
    health: Any = health_pb2_grpc.HealthStub(stubs.server.channel)
    await stubs.server.runtime.ready()
    response = await health.Check(health_pb2.HealthCheckRequest(service=service))
    assert response.status == health_pb2.HealthCheckResponse.SERVING


async def test_reflection_shows_upstreams_names(stubs: Stubs) -> None:
    address = f"127.0.0.1:{stubs.server.runtime.grpc_port}"

    def described() -> Any:
        with grpc.insecure_channel(address) as channel:
            database = ProtoReflectionDescriptorDatabase(channel)
            pool = DescriptorPool(database)
            names = database.get_services()
            return names, {name: pool.FindServiceByName(name) for name in names if name.startswith("tensorflow")}

    names, services = await asyncio.to_thread(described)
    assert {"tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"} <= set(names)
    predict_method = services["tensorflow.serving.PredictionService"].methods_by_name["Predict"]
    assert predict_method.input_type.full_name == "tensorflow.serving.PredictRequest"
    tensor = predict_method.input_type.fields_by_name["inputs"].message_type.fields_by_name["value"].message_type
    assert tensor.full_name == "tensorflow.TensorProto"


async def test_reload_replaces_the_models_and_moves_labels(stubs: Stubs, tmp_path: Path) -> None:
    for model in ("versions", "modes"):
        shutil.copytree(stubs.folder / model, tmp_path / model)
    async with serving_models(tmp_path) as server:
        models: Any = model_service_pb2_grpc.ModelServiceStub(server.channel)
        predictions: Any = prediction_service_pb2_grpc.PredictionServiceStub(server.channel)
        everything = f'config {{ name: "versions" base_path: "{tmp_path}/versions" model_version_policy {{ all {{}} }}'
        for stable in (1, 2):
            labels = f'version_labels {{ key: "stable" value: {stable} }}'
            text = f"model_config_list {{ {everything} {labels} }} }}"
            response = await models.HandleReloadConfigRequest(reload_request(text))
            assert (response.status.error_code, response.status.error_message) == (0, "")
            request = predict("versions", x=[0.0])
            request.model_spec.version_label = "stable"
            answer = await predictions.Predict(request)
            assert (answer.model_spec.version.value, answer.outputs["y"].float_val[0]) == (stable, stable)
        assert (await refusal(predictions.Predict(predict("modes", x=[0.0]))))[0] is Code.NOT_FOUND
        wrong = f'model_config_list {{ {everything} version_labels {{ key: "stable" value: 9 }} }} }}'
        assert (await refusal(models.HandleReloadConfigRequest(reload_request(wrong))))[0] is Code.FAILED_PRECONDITION
        missing = f'model_config_list {{ config {{ name: "nope" base_path: "{tmp_path}/nope" }} }}'
        code, details = await refusal(models.HandleReloadConfigRequest(reload_request(missing)))
        assert code is Code.UNKNOWN
        assert details.startswith("1 model(s) did not become available: {nope")
        outside = 'model_config_list { config { name: "etc" base_path: "/etc" } }'
        assert (await refusal(models.HandleReloadConfigRequest(reload_request(outside))))[0] is Code.PERMISSION_DENIED
        many = "model_config_list {" + " ".join(f'config {{ name: "m{number}" }}' for number in range(1001)) + "}"
        code, details = await refusal(models.HandleReloadConfigRequest(reload_request(many)))
        assert "at most 1000 models" in details
        assert (await predictions.Predict(request)).model_spec.version.value == 2  # none of these took anything away
        nothing = model_management_pb2.ReloadConfigRequest()
        assert (await refusal(models.HandleReloadConfigRequest(nothing)))[0] is Code.INVALID_ARGUMENT


async def test_reload_can_be_forbidden(stubs: Stubs) -> None:
    async with serving_models(stubs.folder, allow_model_control=False) as server:
        models: Any = model_service_pb2_grpc.ModelServiceStub(server.channel)
        for request in (reload_request("model_config_list {}"), model_management_pb2.ReloadConfigRequest()):
            code, text = await refusal(models.HandleReloadConfigRequest(request))
            assert code is Code.PERMISSION_DENIED
            assert "allow_model_control" in text
