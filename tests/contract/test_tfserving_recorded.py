"""Every request that a real TensorFlow Serving was asked, asked here: the same answers, and the same errors.

Once with upstream's models, and once with models that are the same but for a signature that says nothing of the shape.
"""

import json
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.message_factory import GetMessageClass
from tensorflow_serving.apis import model_service_pb2, prediction_service_pb2

from tests import upstream_models
from tests.real_server import BACKENDS, MODEL_SERVER, RealServer, serving_config

DATA = Path(__file__).resolve().parents[1] / "data" / "tfserving"
REST = {case["title"]: case for case in json.loads((DATA / "recorded_rest.json").read_text())}
GRPC = {case["title"]: case for case in json.loads((DATA / "recorded_grpc.json").read_text())}
SERVICES = {
    service.full_name: service
    for module in (prediction_service_pb2, model_service_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
}

HTML = "answered by upstream's HTTP library with a page of its own"
REST_DEVIATIONS = {
    "GET //v1/models/half_plus_two": (404, HTML),
    "TRACE predict": (400, HTML),
    "OPTIONS predict": (400, "an empty body upstream"),
    "HEAD status": (400, "no body"),
}
"""What stays different, with the status that is sent here."""

_DEBUG_MARK = re.compile(r"goo\.gle/\w+\s*")
_CALL = re.compile(r"(?:Stateful)?PartitionedCall\w*")
_NODE = re.compile(r"\s*\[\[\{\{node .*\}\}\]\]")


def write_models(folder: Path, *, known_shapes: bool) -> str:
    """Writes the three models, and returns their configuration."""
    for version in (123, 124):
        upstream_models.save_half_plus_two(folder / "half_plus_two" / f"00000{version}")
    upstream_models.save_half_plus_two(folder / "hp2" / "00000123", without="classify_x2_to_y3")
    upstream_models.save_half_plus_two_of_tf2(folder / "hp2tf2" / "00000123")
    if not known_shapes:
        for path in (folder / "half_plus_two").iterdir():
            upstream_models.forget_shape(path, "serving_default", "x")
    return f"""
        model_config_list {{
          config {{
            name: "half_plus_two" base_path: "{folder}/half_plus_two" model_platform: "tensorflow"
            model_version_policy {{ all {{}} }}
            version_labels {{ key: "stable" value: 123 }} version_labels {{ key: "canary" value: 124 }}
          }}
          config {{ name: "hp2" base_path: "{folder}/hp2" model_platform: "tensorflow" }}
          config {{ name: "hp2tf2" base_path: "{folder}/hp2tf2" model_platform: "tensorflow" }}
        }}"""


@pytest.fixture(scope="module", params=["known shapes", "unknown shapes"])
def shapes(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.skipif(MODEL_SERVER in os.environ, reason="it is tested, as one of the backends")
def test_the_real_tensorflow_serving() -> None:
    pytest.skip(f"{MODEL_SERVER} names no tensorflow_model_server to test with")


@pytest.fixture(scope="module", params=BACKENDS)
async def server(
    request: pytest.FixtureRequest, grpc_server: str, shapes: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RealServer]:
    folder = tmp_path_factory.mktemp("upstream")
    config = tmp_path_factory.mktemp("config") / "models.config"
    config.write_text(write_models(folder, known_shapes=shapes == "known shapes"))
    async with serving_config(request.param, config, grpc_server=grpc_server) as server:
        server.rest.headers["x-shapes"] = shapes
        yield server


def words(text: str) -> str:
    """Returns a text without the mark before a printed proto, and without names that graphs give to nodes."""
    for pattern in (_DEBUG_MARK, _CALL, _NODE):
        text = pattern.sub("", text)
    return text.strip()


@pytest.mark.over_rest
@pytest.mark.parametrize("title", REST)
async def test_rest(server: RealServer, title: str) -> None:
    case = REST[title]
    body = case["req"].encode("latin-1") if case["req"] else None
    target = httpx.URL(server.rest.base_url).copy_with(raw_path=case["path"].encode())
    response = await server.rest.request(case["method"], target, content=body, headers=case["req_headers"])
    if title in REST_DEVIATIONS:
        assert response.status_code == REST_DEVIATIONS[title][0]
        return
    expected = json.loads(case["body"])
    answer = response.json()
    assert response.status_code == case["status"], answer
    if "error" in expected:
        # A server behind this one does not report defaults, so neither can this one.
        text = expected["error"].partition("defaults {")[0] + "}" if server.behind else expected["error"]
        assert words(answer["error"]).rstrip("\n }") == words(text).rstrip("\n }")
        assert {"code", "details", "request_id"} <= answer.keys()
        assert answer["request_id"] == response.headers["x-request-id"]
    elif "metadata" in expected and server.rest.headers["x-shapes"] == "unknown shapes":
        assert answer["model_spec"] == expected["model_spec"]
    elif "predictions" in expected:
        assert answer == {"predictions": pytest.approx(expected["predictions"], nan_ok=True)}
    else:
        assert answer == expected


@pytest.mark.parametrize("title", GRPC)
async def test_grpc(server: RealServer, title: str) -> None:
    case = GRPC[title]
    service, method = next(
        (service, service.methods_by_name[case["method"]])
        for service in SERVICES.values()
        if case["method"] in service.methods_by_name
    )
    call: Any = server.channel.unary_unary(
        f"/{service.full_name}/{method.name}",
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    try:
        response = await call(bytes.fromhex(case["request_hex"]))
    except grpc.aio.AioRpcError as error:
        assert case["code"] != "OK", error.details()
        ours, theirs = words(str(error.details())), words(case["message"])
        if server.rest.headers["x-shapes"] == "unknown shapes":
            ours, theirs = (text.partition("SignatureDef: ")[0] for text in (ours, theirs))
        assert (error.code().name, ours) == (case["code"], theirs)
        return
    assert case["code"] == "OK"
    answer = MessageToDict(response, preserving_proto_field_name=True)
    if case["method"] == "GetModelMetadata":
        assert answer["model_spec"] == case["response"]["model_spec"]
        assert list(answer["metadata"]) == case["response"]["keys"]
        return
    assert answer == case["response"]
