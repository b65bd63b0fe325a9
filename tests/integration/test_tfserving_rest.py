"""TensorFlow Serving's REST API: what the recorded answers do not hold, and what bounds it."""

import gzip
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.real_server import RealServer, serving_models
from tests.upstream_stubs import serving_zoo


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RealServer]:
    async with serving_zoo(tmp_path_factory.mktemp("zoo")) as stubs:
        yield stubs.server


async def post(server: RealServer, target: str, body: Any) -> httpx.Response:
    return await server.rest.post(f"/v1/models/{target}", json=body)


@pytest.mark.parametrize(
    ("target", "body", "answer"),
    [
        (
            "pair:predict",
            {"instances": [{"left": [1, 2], "right": 3}, {"right": 5, "left": [0, 0]}]},
            {"predictions": [{"scaled": 1.5, "sum": [4.0, 5.0]}, {"scaled": 2.5, "sum": [5.0, 5.0]}]},
        ),
        (
            "words:predict",
            {"instances": ["a", {"b64": "Yg=="}, {"b64": "/w=="}]},
            {
                "predictions": [
                    {"length": 1, "raw_bytes": {"b64": "YQ=="}, "upper": "A"},
                    {"length": 1, "raw_bytes": {"b64": "Yg=="}, "upper": "B"},
                    {"length": 1, "raw_bytes": {"b64": "/w=="}, "upper": {"b64": "/w=="}},
                ]
            },
        ),
        ("words:predict", {"inputs": {"b64": "YQ=="}}, "inputs.text: expected shape [?], got shape []"),
        ("modes:predict", {"signature_name": "square", "inputs": {"x": [3], "more": 1}}, {"outputs": [9.0]}),
        ("modes:predict", {"instances": [1], "more": {"a": 1}}, {"predictions": [1.0]}),
        ("versions/versions/1:predict", {"instances": [1]}, {"predictions": [2.0]}),
        ("versions/versions/0002:predict", {"instances": [1]}, {"predictions": [3.0]}),
        ("versions/labels/stable:predict", {"instances": [1]}, {"predictions": [2.0]}),
        ("ver%73ions/labels/st%61ble:predict", {"instances": [1]}, {"predictions": [2.0]}),
        ("vector:predict", {"instances": [1, 2, 3]}, "Tensor name: total has no shape information "),
        ("strict:predict", {"instances": [-1]}, "assertion failed: [x must not be below zero.  ] [Condition x >= 0 did not hold"),
        ("half:regress", {"signature_name": "regress_x_to_y", "examples": [{"x": 2.0}]}, {"results": [3.0]}),
        ("half:classify", {"signature_name": "classify_x_to_y", "examples": [{"x": [2.0]}]}, {"results": [[["", 3.0]]]}),
        ("half:classify", {}, 'JSON Value: {} When method is classify, key \'examples\' is expected and was not found'),
        ("half:regress", {"examples": 5}, "JSON Value: {\n    \"examples\": 5\n} Expecting 'examples' value to be an list/array"),
        ("half:regress", {"examples": []}, "JSON Value: {\n    \"examples\": []\n} 'examples' value is an empty array"),
        ("half:regress", {"signature_name": "regress_x_to_y", "examples": [{"x": 2**63}]}, "Feature: x has uint64 element. Only int64 is supported."),
        ("half:Predict", {"instances": [1]}, "Malformed request: POST /v1/models/half:Predict"),
        ("half/versions/99999999999999999999:predict", {"instances": [1]}, "Failed to convert version: '99999999999999999999' to numeric."),
    ],
)  # fmt: skip
async def test_bodies(server: RealServer, target: str, body: Any, answer: Any) -> None:
    response = await post(server, target, body)
    if isinstance(answer, str):
        error = response.json()["error"]
        assert (response.status_code, error[: len(answer)]) == (400, answer)
    else:
        assert (response.status_code, response.json()) == (200, answer)


async def test_the_place_of_what_is_wrong_stands_beside_upstreams_words(server: RealServer) -> None:
    body = {"instances": [{"left": [1, 2], "right": 3}, {"left": [1, "x"], "right": 3}]}
    answer = (await post(server, "pair:predict", body)).json()
    assert answer["code"] == "invalid_input"
    assert answer["details"] == [{"where": "instances[1].left[1]", "expected": "a number", "got": "'x'"}]


async def test_models_are_named_in_metrics_by_template_only(server: RealServer) -> None:
    await post(server, "versions/labels/stable:predict", {"instances": [1]})
    await post(server, "nope:predict", {"instances": [1]})
    await server.rest.get("/v1/models/versions/metadata")
    text = (await server.rest.get("/metrics")).text
    assert 'method="POST /v1/models/{model}/labels/{label}:predict",model_name="versions",model_version="1"' in text
    assert 'method="GET /v1/models/{model}/metadata",model_name="versions",model_version="2"' in text
    assert "nope" not in text


async def test_each_bound_is_named_when_it_refuses(
    server: RealServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    models = server.runtime._settings.models_folder
    bounds = {
        "max_request_bytes": 4096,
        "max_request_rows": 8,
        "max_tensor_elements": 64,
        "max_json_depth": 4,
        "max_name_length": 20,
    }
    bodies: dict[str, tuple[str, bytes, dict[str, str]]] = {
        "max_request_bytes": ("modes", b'{"instances": [' + b"1," * 4096 + b"1]}", {}),
        "max_request_rows": ("modes", b'{"instances": [' + b"1," * 8 + b"1]}", {}),
        "max_tensor_elements": ("anything", b'{"inputs": [' + b"1," * 64 + b"1]}", {}),
        "max_json_depth": ("anything", b'{"inputs": [[[[[1]]]]]}', {}),
        "max_name_length": ("m" * 21, b'{"instances": [1]}', {}),
    }
    bodies["gzip"] = ("modes", gzip.compress(b" " * 100_000), {"content-encoding": "gzip"})
    async with serving_models(models, **bounds) as small:
        for setting, (model, body, headers) in bodies.items():
            response = await small.rest.post(f"/v1/models/{model}:predict", content=body, headers=headers)
            answer = response.json()
            assert (response.status_code, answer["code"]) == (413, "too_large"), answer
            assert (setting if setting != "gzip" else "max_request_bytes") in answer["error"]
