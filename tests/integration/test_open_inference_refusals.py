"""What the Open Inference Protocol refuses over REST, through the whole stack."""

import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import Served
from tests.open_inference import (
    DOUBLE,
    HEADER,
    RAW,
    RAW_A,
    RAW_B,
    SUM,
    TEXT,
    A,
    B,
    Json,
    blob_input,
    json_input,
    rest_outcome,
    with_blobs,
    zoo,
)


@pytest.fixture(scope="module")
async def served() -> AsyncIterator[Served]:
    async with zoo() as served:
        yield served


def entry(**changes: Any) -> Json:
    return {name: value for name, value in (A | changes).items() if value is not ...}


@pytest.mark.parametrize(
    ("request_fields", "where"),
    [
        ({}, "inputs"),
        ({"inputs": {}}, "inputs"),
        ({"inputs": [1]}, "inputs[0]"),
        ({"inputs": [entry(name=...)]}, "inputs[0].name"),
        ({"inputs": [entry(name=1)]}, "inputs[0].name"),
        ({"inputs": [entry(shape=...)]}, "inputs[0].shape"),
        ({"inputs": [entry(shape="2")]}, "inputs[0].shape"),
        ({"inputs": [entry(shape=[2.0, 2])]}, "inputs[0].shape"),
        ({"inputs": [entry(shape=[True, 2])]}, "inputs[0].shape"),
        ({"inputs": [entry(shape=[-1, 2])]}, "inputs[0].shape"),
        ({"inputs": [entry(shape=[2] * 100)]}, "inputs[0].shape"),
        ({"inputs": [entry(datatype=...)]}, "inputs[0].datatype"),
        ({"inputs": [entry(datatype="float32")]}, "inputs[0].datatype"),
        ({"inputs": [entry(datatype=1)]}, "inputs[0].datatype"),
        ({"inputs": [entry(data=...)]}, "inputs[0].data"),
        ({"inputs": [entry(data=1)]}, "inputs[0].data"),
        ({"inputs": [entry(data=[1, 2, 3])]}, "inputs[0].data"),
        ({"inputs": [entry(data=[1, 2, 3, "4"])]}, "inputs[0].data[3]"),
        ({"inputs": [entry(data=[[1], [2, 3]])]}, "inputs[0].data[1]"),
        ({"inputs": [entry(parameters=1)]}, "inputs[0].parameters"),
        ({"inputs": [entry(parameters={"binary_data_size": 16})]}, "inputs[0].data"),
        ({"inputs": [entry(data=..., parameters={"binary_data_size": 16})]}, "inputs[0].parameters.binary_data_size"),
        ({"inputs": [entry(data=..., parameters={"binary_data_size": "1"})]}, "inputs[0].parameters.binary_data_size"),
        ({"inputs": [entry(data=..., parameters={"binary_data_size": -1})]}, "inputs[0].parameters.binary_data_size"),
        ({"inputs": [A, A]}, "inputs[1].name"),
        ({"inputs": [A]}, "inputs.b"),
        ({"inputs": [A, B, entry(name="c")]}, "inputs.c"),
        ({"inputs": [A, B | {"datatype": "FP64"}]}, "inputs.b"),
        ({"inputs": [A, B | {"shape": [4, 1], "data": [1, 2, 3, 4]}]}, "inputs.b"),
        ({"inputs": [A, B | {"shape": [4, 1], "data": [[1, 2], [3, 4]]}]}, "inputs[1].data"),
        ({"inputs": [A, B], "outputs": [{}]}, "outputs[0].name"),
        ({"inputs": [A, B], "outputs": ["sum"]}, "outputs[0]"),
        ({"inputs": [A, B], "outputs": [{"name": "c"}]}, "outputs[0]"),
        ({"inputs": [A, B], "outputs": [{"name": "sum"}, {"name": "sum"}]}, "outputs[1]"),
        (
            {"inputs": [A, B], "outputs": [{"name": "sum", "parameters": {"binary_data": 1}}]},
            "outputs[0].parameters.binary_data",
        ),
        ({"inputs": [A, B], "parameters": {"binary_data_output": "yes"}}, "parameters.binary_data_output"),
        ({"inputs": [A, B], "parameters": {"timeout": "1"}}, "parameters.timeout"),
        ({"inputs": [A, B], "parameters": {"timeout": True}}, "parameters.timeout"),
        ({"inputs": [A, B], "parameters": {"timeout": int("9" * 311)}}, "parameters.timeout"),
        ({"inputs": [A, B], "parameters": {"signature_name": 1}}, "parameters.signature_name"),
        ({"inputs": [A, B], "parameters": []}, "parameters"),
        ({"inputs": [A, B], "id": 7}, "id"),
    ],
)
async def test_what_is_wrong_is_said_with_its_place(served: Served, request_fields: Json, where: str) -> None:
    response = await served.rest.post(SUM, content=json.dumps(request_fields))
    outcome = rest_outcome(response)
    assert (response.status_code, outcome.code, outcome.where[0]) == (400, "invalid_input", where)


@pytest.mark.parametrize("length", ["x", "-1", "9" * 30, "10000", "5"])
async def test_a_length_of_the_json_that_is_wrong_is_refused(served: Served, length: str) -> None:
    response = await served.rest.post(SUM, content=json.dumps({"inputs": [A, B]}), headers={HEADER: length})
    where = "body" if length == "5" else "Inference-Header-Content-Length"
    assert (response.status_code, rest_outcome(response).where) == (400, (where,))


@pytest.mark.parametrize(("blobs", "where"), [((RAW, RAW, b"1"), "body"), ((RAW, RAW[:-1]), "inputs[1].parameters")])
async def test_the_raw_tensors_must_make_the_whole_body(served: Served, blobs: tuple[bytes, ...], where: str) -> None:
    response = await served.rest.post(SUM, **with_blobs({"inputs": [RAW_A, RAW_B]}, *blobs))
    assert response.status_code == 400
    assert rest_outcome(response).where[0].startswith(where)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"nonsense"])
async def test_what_is_no_json_is_malformed(served: Served, body: bytes) -> None:
    response = await served.rest.post(SUM, content=body)
    assert (response.status_code, rest_outcome(response).code) == (400, "malformed")


async def test_a_document_that_is_no_object_is_refused(served: Served) -> None:
    response = await served.rest.post(SUM, content=b"[]")
    assert (response.status_code, rest_outcome(response).where) == (400, ("body",))


@pytest.mark.parametrize("shape", [[2**62, 4], [2**40], [2**27]])
@pytest.mark.parametrize("datatype", ["FP32", "BYTES"])
async def test_a_shape_alone_makes_nothing_be_allocated(served: Served, shape: list[int], datatype: str) -> None:
    response = await served.rest.post(DOUBLE, json={"inputs": [json_input("x", datatype, shape, [])]})
    assert (response.status_code, rest_outcome(response).where) == (413, ("inputs[0].shape",))


@pytest.mark.parametrize(
    "request_fields",
    [
        {"inputs": [A, B], "outputs": [{"name": "sum", "parameters": {"classification": 2}}]},
        {"inputs": [A, B], "outputs": [{"name": "sum", "parameters": {"shared_memory_region": "r"}}]},
        {"inputs": [entry(data=..., parameters={"shared_memory_region": "r", "shared_memory_byte_size": 16}), B]},
    ],
)
async def test_what_would_change_the_answer_is_refused_rather_than_ignored(
    served: Served, request_fields: Json
) -> None:
    response = await served.rest.post(SUM, json=request_fields)
    assert (response.status_code, rest_outcome(response).code) == (501, "not_supported")


async def test_compressed_bodies_are_bounded_once_unpacked() -> None:
    bomb: Json = {"content": gzip.compress(bytes(5_000_000)), "headers": {"content-encoding": "gzip"}}
    async with zoo(max_request_bytes=1_000_000) as served:
        response = await served.rest.post(SUM, **bomb)
        assert (response.status_code, rest_outcome(response).code) == (413, "too_large")
        assert "max_request_bytes" in rest_outcome(response).message
    async with zoo(max_bytes_in_flight=2_000_000) as served:
        response = await served.rest.post(SUM, **bomb)
        assert (response.status_code, rest_outcome(response).code) == (429, "overloaded")
        # What was held was given back.
        assert (await served.rest.post(SUM, json={"inputs": [A, B]})).status_code == 200


@pytest.mark.parametrize(("encoding", "code"), [("br", "unsupported_format"), ("gzip", "malformed")])
async def test_what_cannot_be_unpacked_is_refused(served: Served, encoding: str, code: str) -> None:
    response = await served.rest.post(SUM, content=b"nonsense", headers={"content-encoding": encoding})
    assert (response.status_code, rest_outcome(response).code) == (400, code)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=120), st.integers(0, 200), st.booleans())
async def test_no_body_whatever_is_the_servers_fault(
    served: Served, data: bytes, length: int, looks_right: bool
) -> None:
    document = json.dumps({"inputs": [blob_input("text", "BYTES", [2], len(data))]}).encode()
    body, length = (document + data, len(document)) if looks_right else (data, length)
    response = await served.rest.post(TEXT, content=body, headers={HEADER: str(length)})
    assert response.status_code == 400 or (response.status_code == 200 and (looks_right or length == 0))


async def test_a_datatype_is_named_as_the_client_and_as_the_model_name_it(served: Served) -> None:
    response = await served.rest.post(SUM, json={"inputs": [A, B | {"datatype": "FP64"}]})
    assert "expected dtype float32 (FP32), got dtype float64 (FP64)" in response.json()["error"]
