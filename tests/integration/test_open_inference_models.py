"""The Open Inference Protocol beside inference: the same over both transports, through the whole stack."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from grpc_health.v1 import health_pb2, health_pb2_grpc

from service import __version__
from service.core.model_version import ModelRef, State
from service.wire import open_inference_pb2 as pb
from tests.conftest import Served
from tests.open_inference import ask, refused, rest_outcome, zoo


@pytest.fixture(scope="module")
async def served() -> AsyncIterator[Served]:
    async with zoo() as served:
        yield served


def members(message: Any) -> Any:
    """Returns a message as the REST body that it corresponds to."""
    made = MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    for tensor in (*made.get("inputs", ()), *made.get("outputs", ())):
        tensor["shape"] = [int(size) for size in tensor["shape"]]
    return made


async def test_the_server_says_what_it_is(served: Served) -> None:
    expected = {
        "name": "tensorgate",
        "version": __version__,
        "extensions": ["binary_tensor_data", "model_repository"],
    }
    assert (await served.rest.get("/v2")).json() == expected
    assert members(await ask(served, "ServerMetadata", pb.ServerMetadataRequest())) == expected


@pytest.mark.parametrize("version", ["", "2"])
async def test_a_model_says_what_it_takes_and_gives(served: Served, version: str) -> None:
    expected = {
        "name": "text",
        "versions": ["1", "2"],
        "platform": "tensorflow_savedmodel",
        "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}],
        "outputs": [
            {"name": "length", "datatype": "INT64", "shape": [-1]},
            {"name": "reversed", "datatype": "BYTES", "shape": [-1]},
        ],
    }
    path = "/v2/models/text" + (f"/versions/{version}" if version else "")
    assert (await served.rest.get(path)).json() == expected
    assert (
        members(await ask(served, "ModelMetadata", pb.ModelMetadataRequest(name="text", version=version))) == expected
    )


@pytest.mark.parametrize(
    ("model", "shape", "datatype"),
    [
        ("echo_bfloat16", [-1], "BF16"),
        ("fixed", [2, 2], "FP32"),
        ("only", [-1], "FP32"),
        ("echo_complex64", [-1], "COMPLEX64"),
    ],
)
async def test_shapes_and_datatypes_are_reported(served: Served, model: str, shape: list[int], datatype: str) -> None:
    (tensor,) = (await served.rest.get(f"/v2/models/{model}")).json()["inputs"]
    assert (tensor["shape"], tensor["datatype"]) == (shape, datatype)
    assert members(await ask(served, "ModelMetadata", pb.ModelMetadataRequest(name=model)))["inputs"] == [tensor]


@pytest.mark.parametrize(
    ("model", "version", "code"),
    [
        ("nope", "", "model_not_found"),
        ("text", "9", "model_not_found"),
        ("text", "0" * 30 + "9", "model_not_found"),
        ("text", str(2**63 - 1), "model_not_found"),
        ("text", "nope", "label_not_found"),
        ("several", "", "signature_not_found"),
        ("n" * 300, "", "too_large"),
        ("text", "n" * 300, "too_large"),
    ],
)
async def test_what_is_not_there_is_said_to_be(served: Served, model: str, version: str, code: str) -> None:
    response = await served.rest.get(f"/v2/models/{model}" + (f"/versions/{version}" if version else ""))
    status, outcome = await refused(served, "ModelMetadata", pb.ModelMetadataRequest(name=model, version=version))
    assert rest_outcome(response).code == outcome.code == code
    assert rest_outcome(response).message == outcome.message
    assert response.status_code == (413 if code == "too_large" else 404)
    assert status is (grpc.StatusCode.RESOURCE_EXHAUSTED if code == "too_large" else grpc.StatusCode.NOT_FOUND)


@pytest.mark.parametrize("version", [str(2**63), "1" * 19 + "0", "9" * 30, "9" * 250])
async def test_a_number_that_no_version_can_have_is_refused(served: Served, version: str) -> None:
    response = await served.rest.get(f"/v2/models/text/versions/{version}")
    _, outcome = await refused(served, "ModelMetadata", pb.ModelMetadataRequest(name="text", version=version))
    assert (outcome.code, outcome.where) == ("invalid_input", ("version",))
    assert (response.status_code, rest_outcome(response).code) == (400, "invalid_input")


async def test_versions_are_found_by_label(served: Served) -> None:
    served.runtime.catalog.set_labels("text", {"stable": 1})
    for version in ("stable", "1", "0" * 25 + "1"):
        request = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["a"]}]}
        response = await served.rest.post(f"/v2/models/text/versions/{version}/infer", json=request)
        assert response.json()["model_version"] == "1"
    assert (await ask(served, "ModelReady", pb.ModelReadyRequest(name="text", version="stable"))).ready


async def test_probes_are_answered_and_not_counted() -> None:
    async with zoo(max_requests_in_flight=1) as served:
        with served.runtime.admission.admitted():  # a place is not needed either
            assert (await served.rest.get("/v2/health/live")).json() == {"live": True}
            assert (await served.rest.get("/v2/health/ready")).json() == {"ready": True}
            assert (await ask(served, "ServerLive", pb.ServerLiveRequest())).live
            assert (await ask(served, "ServerReady", pb.ServerReadyRequest())).ready
        assert await served.metric("tensorgate_requests_total") == 0


async def test_what_is_not_ready_is_said_not_to_be() -> None:
    async with zoo(ready_when="all") as served:
        catalog = served.runtime.catalog
        catalog.put(replace(catalog.find(ModelRef("sum")), state=State.LOADING))
        for path, body in (
            ("/v2/health/ready", {"ready": False}),
            ("/v2/models/sum/ready", {"name": "sum", "ready": False}),
            ("/v2/models/sum/versions/1/ready", {"name": "sum", "ready": False}),
        ):
            response = await served.rest.get(path)
            assert (response.status_code, response.json()) == (503, body)
        assert (await served.rest.get("/v2/health/live")).status_code == 200
        assert (await served.rest.get("/v2/models/text/ready")).json() == {"name": "text", "ready": True}
        assert not (await ask(served, "ServerReady", pb.ServerReadyRequest())).ready
        assert not (await ask(served, "ModelReady", pb.ModelReadyRequest(name="sum"))).ready
        response = await served.rest.get("/v2/models/sum")
        assert (response.status_code, rest_outcome(response).code) == (503, "not_ready")
        assert response.headers["retry-after"]


async def test_a_model_that_is_not_there_is_not_ready(served: Served) -> None:
    response = await served.rest.get("/v2/models/nope/ready")
    assert (response.status_code, rest_outcome(response).code) == (404, "model_not_found")
    assert not (await ask(served, "ModelReady", pb.ModelReadyRequest(name="nope"))).ready
    assert not (await ask(served, "ModelReady", pb.ModelReadyRequest(name="sum", version="9"))).ready


async def test_the_models_that_can_answer_are_listed_as_kserve_lists_them(served: Served) -> None:
    response = await served.rest.get("/v2/models")
    assert (response.status_code, response.json()) == (200, {"models": served.runtime.catalog.names()})


async def test_the_index_lists_every_version(served: Served) -> None:
    everything = (await served.rest.post("/v2/repository/index")).json()
    shades = [entry for entry in everything if entry["name"] == "shades"]
    assert shades == [
        {"name": "shades", "version": "1", "state": "READY", "reason": ""},
        {"name": "shades", "version": "2", "state": "READY", "reason": ""},
        {"name": "shades", "version": "3", "state": "UNAVAILABLE", "reason": "half of it is missing"},
    ]
    ready = (await served.rest.post("/v2/repository/index", json={"ready": True})).json()
    assert ready == [entry for entry in everything if entry["state"] == "READY"]
    for only_ready, entries in ((False, everything), (True, ready)):
        answer = await ask(served, "RepositoryIndex", pb.RepositoryIndexRequest(ready=only_ready))
        assert members(answer)["models"] == entries


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"ready": 1}'])
async def test_an_index_request_that_makes_no_sense_is_refused(served: Served, body: bytes) -> None:
    assert (await served.rest.post("/v2/repository/index", content=body)).status_code == 400


@pytest.mark.parametrize("transport", ["rest", "grpc"])
async def test_models_are_unloaded_and_loaded(transport: str) -> None:
    async with zoo() as served:

        async def control(verb: str, **body: Any) -> None:
            if transport == "rest":
                response = await served.rest.post(f"/v2/repository/models/sum/{verb}", json=body)
                assert (response.status_code, response.json()) == (200, {})
            else:
                request = getattr(pb, f"RepositoryModel{verb.capitalize()}Request")(model_name="sum")
                await ask(served, f"RepositoryModel{verb.capitalize()}", request)

        await control("unload", parameters={"unload_dependents": False})
        assert (await served.rest.get("/v2/models/sum/ready")).status_code == 503
        entries = (await served.rest.post("/v2/repository/index")).json()
        assert {"name": "sum", "version": "1", "state": "UNAVAILABLE", "reason": "unloaded"} in entries
        assert (await served.rest.get("/v2/health/ready")).status_code == 200
        await control("load")
        assert (await served.rest.get("/v2/models/sum/ready")).status_code == 200


@pytest.mark.parametrize(
    ("model", "body", "status", "code"),
    [
        ("nope", {}, 404, "model_not_found"),
        ("sum", {"parameters": {"config": "{}"}}, 501, "not_supported"),
        ("sum", {"parameters": []}, 400, "invalid_input"),
    ],
)
async def test_control_that_makes_no_sense_is_refused(
    served: Served, model: str, body: Any, status: int, code: str
) -> None:
    for verb in ("load", "unload"):
        response = await served.rest.post(f"/v2/repository/models/{model}/{verb}", json=body)
        assert (response.status_code, rest_outcome(response).code) == (status, code)


async def test_control_may_be_forbidden() -> None:
    async with zoo(allow_model_control=False) as served:
        response = await served.rest.post("/v2/repository/models/sum/unload")
        assert (response.status_code, rest_outcome(response).code) == (403, "forbidden")
        status, outcome = await refused(served, "RepositoryModelLoad", pb.RepositoryModelLoadRequest(model_name="sum"))
        assert (status, outcome.code) == (grpc.StatusCode.PERMISSION_DENIED, "forbidden")


async def test_there_is_one_repository(served: Served) -> None:
    for method in ("RepositoryIndex", "RepositoryModelLoad", "RepositoryModelUnload"):
        request = getattr(pb, f"{method}Request")(repository_name="other")
        assert (await refused(served, method, request))[0] is grpc.StatusCode.UNIMPLEMENTED


async def test_what_is_not_there_has_the_protocols_form_of_error(served: Served) -> None:
    for verb, path, status in (("GET", "/v2/nope", 404), ("GET", "/v2/models/sum/infer", 405), ("POST", "/v2", 405)):
        response = await served.rest.request(verb, path)
        assert response.status_code == status
        assert rest_outcome(response).message
    assert "title" in (await served.rest.get("/v2nope")).json()


async def test_the_service_has_a_health_of_its_own(served: Served) -> None:
    stub: Any = health_pb2_grpc.HealthStub(served.channel)
    request = health_pb2.HealthCheckRequest(service="inference.GRPCInferenceService")
    assert (await stub.Check(request)).status == health_pb2.HealthCheckResponse.SERVING
