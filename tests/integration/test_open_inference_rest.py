"""Inference by the Open Inference Protocol over REST, through the whole stack."""

import gzip
import json
import zlib
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest

from service.codecs.open_inference import DATATYPES, encode_raw
from service.core.tensors import NUMPY_DTYPES, STRING, Tensor
from tests.conftest import Served, until
from tests.open_inference import (
    DOUBLE,
    FLOATS,
    HEADER,
    INFER,
    RAW,
    RAW_A,
    RAW_B,
    SUM,
    TEXT,
    A,
    B,
    X,
    blob_input,
    json_input,
    read_answer,
    rest_outcome,
    with_blobs,
    zoo,
)


@pytest.fixture(scope="module")
async def served() -> AsyncIterator[Served]:
    async with zoo() as served:
        yield served


def sample(dtype: str) -> Tensor:
    if dtype == STRING:
        values = np.empty(4, object)
        values[:] = [b"a", b"", b"b\0", "ä".encode()]
        return values.reshape(2, 2)
    return np.array([[0, 1], [1, 0]]).astype(NUMPY_DTYPES[dtype])


def json_elements(tensor: Tensor) -> Any:
    if tensor.dtype.kind == "O":
        return [value.decode() for value in tensor.ravel()]
    if tensor.dtype.kind in "iub":
        return tensor.ravel().tolist()
    return tensor.astype(np.float64).ravel().tolist()


@pytest.mark.parametrize("dtype", DATATYPES)
async def test_every_datatype_goes_through_as_json_and_raw(served: Served, dtype: str) -> None:
    tensor, path = sample(dtype), INFER.format(f"echo_{dtype}")
    flat = json_elements(tensor)
    response = await served.rest.post(path, json={"inputs": [json_input("x", DATATYPES[dtype], [2, 2], flat)]})
    (output,) = response.json()["outputs"]
    assert output == {"name": "y", "datatype": DATATYPES[dtype], "shape": [2, 2], "data": flat}

    raw = encode_raw(tensor)
    document = {
        "inputs": [blob_input("x", DATATYPES[dtype], [2, 2], len(raw))],
        "parameters": {"binary_data_output": True},
    }
    response = await served.rest.post(path, **with_blobs(document, raw))
    assert response.headers["content-type"] == "application/octet-stream"
    length = int(response.headers[HEADER])
    assert response.content[length:] == raw
    (output,) = json.loads(response.content[:length])["outputs"]
    assert output["parameters"] == {"binary_data_size": len(raw)}
    assert "data" not in output


async def test_the_answer_says_what_answered(served: Served) -> None:
    document, outputs = read_answer(await served.rest.post(SUM, json={"id": "seven", "inputs": [A, B]}))
    assert (document["model_name"], document["model_version"], document["id"]) == ("sum", "1", "seven")
    assert list(outputs) == ["difference", "sum"]
    assert outputs["sum"].tolist() == (FLOATS * 2).tolist()
    document, _ = read_answer(await served.rest.post("/v2/models/sum/versions/1/infer", json={"inputs": [A, B]}))
    assert "id" not in document
    counted = {"method": "POST /v2/models/{model}/infer", "model_name": "sum", "code": "ok"}
    assert await served.metric("tensorgate_requests_total", **counted) == 2


async def test_null_is_as_good_as_nothing(served: Served) -> None:
    request = {"id": None, "parameters": None, "outputs": None, "inputs": [A | {"parameters": None}, B]}
    assert (await served.rest.post(SUM, json=request)).status_code == 200


@pytest.mark.parametrize("everything", [True, False, None])
@pytest.mark.parametrize("one", [True, False, None])
async def test_each_output_is_raw_where_it_was_asked_to_be(
    served: Served, everything: bool | None, one: bool | None
) -> None:
    request = {
        "inputs": [A, B],
        "outputs": [{"name": "sum", "parameters": {"binary_data": one}}, {"name": "difference"}],
        "parameters": {"binary_data_output": everything},
    }
    document, outputs = read_answer(await served.rest.post(SUM, json=request))
    assert list(outputs) == ["sum", "difference"]
    assert outputs["sum"].tolist() == (FLOATS * 2).tolist()
    assert outputs["difference"].tolist() == [[0, 0], [0, 0]]
    first, second = ("data" not in output for output in document["outputs"])
    assert (first, second) == (bool(everything if one is None else one), bool(everything))


async def test_inputs_may_be_raw_and_json_together(served: Served) -> None:
    _, outputs = read_answer(await served.rest.post(SUM, **with_blobs({"inputs": [A, RAW_B]}, RAW)))
    assert outputs["sum"].tolist() == (FLOATS * 2).tolist()
    _, outputs = read_answer(await served.rest.post(SUM, **with_blobs({"inputs": [RAW_A, RAW_B]}, RAW, bytes(16))))
    assert outputs["difference"].tolist() == FLOATS.tolist()


async def test_strings_that_are_no_text_are_base64(served: Served) -> None:
    data = [b64encode(value).decode() for value in (b"\xff\0", b"")]
    entry = json_input("text", "BYTES", [2], data, content_type="base64")
    outputs = (await served.rest.post(TEXT, json={"inputs": [entry]})).json()["outputs"]
    assert outputs[0]["data"] == [2, 0]
    assert outputs[1] == {
        "name": "reversed",
        "datatype": "BYTES",
        "shape": [2],
        "parameters": {"content_type": "base64"},
        "data": [b64encode(b"\0\xff").decode(), ""],
    }


async def test_numbers_that_are_not_finite_are_bare_tokens(served: Served) -> None:
    body = b'{"inputs":[{"name":"x","datatype":"FP32","shape":[3],"data":[NaN,-Infinity,1]}]}'
    response = await served.rest.post(DOUBLE, content=body)
    assert b"[NaN,-Infinity,2.0]" in response.content


@pytest.mark.parametrize(
    ("model", "body", "expected"),
    [
        ("double", FLOATS.tobytes(), None),  # its shape may be anything
        ("only", FLOATS.tobytes(), [-1, -2, -3, -4]),
        ("fixed", FLOATS.tobytes(), 5),
        ("counts", np.arange(6, dtype=np.int32).tobytes(), [3, 12]),
        ("counts", np.arange(5, dtype=np.int32).tobytes(), None),
        ("fixed", bytes(12), None),
        ("grid", bytes(16), None),
        ("sum", bytes(16), None),
        ("text", b"all of it", [9]),
        ("shades", bytes(64 * 2), "two rows"),
    ],
)
async def test_a_raw_body_is_the_only_input(served: Served, model: str, body: bytes, expected: Any) -> None:
    response = await served.rest.post(INFER.format(model), content=body, headers={HEADER: "0"})
    if expected is None:
        assert (response.status_code, rest_outcome(response).code) == (400, "invalid_input")
        return
    document, outputs = read_answer(response)
    assert all("data" not in output for output in document["outputs"])
    if expected == "two rows":
        assert outputs["scores"].shape == (2, 3)
    else:
        assert next(iter(outputs.values())).tolist() == expected


async def test_a_signature_may_be_chosen(served: Served) -> None:
    for name, expected in (("double", [2, 4, 6, 8]), ("halve", [0.5, 1, 1.5, 2])):
        request = {"inputs": [X], "parameters": {"signature_name": name, "anything": {"else": 1}}}
        _, outputs = read_answer(await served.rest.post(INFER.format("several"), json=request))
        assert outputs["y"].tolist() == expected
    for parameters in ({}, {"signature_name": "nope"}):
        response = await served.rest.post(INFER.format("several"), json={"inputs": [X], "parameters": parameters})
        assert (response.status_code, rest_outcome(response).code) == (404, "signature_not_found")
    _, outputs = read_answer(await served.rest.post(INFER.format("only"), json={"inputs": [X]}))
    assert outputs["y"].tolist() == [-1, -2, -3, -4]


COMPRESS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}


@pytest.mark.parametrize("encoding", COMPRESS)
async def test_bodies_may_be_compressed(served: Served, encoding: str) -> None:
    sent = with_blobs({"inputs": [RAW_A, RAW_B]}, RAW, RAW)
    response = await served.rest.post(
        SUM,
        content=COMPRESS[encoding](sent["content"]),
        headers=sent["headers"] | {"content-encoding": encoding},
    )
    assert read_answer(response)[1]["sum"].tolist() == (FLOATS * 2).tolist()
    index = COMPRESS[encoding](b'{"ready": true}')
    response = await served.rest.post("/v2/repository/index", content=index, headers={"content-encoding": encoding})
    assert response.status_code == 200


async def test_a_large_body_is_read_on_a_thread(served: Served) -> None:
    data = np.arange(500_000, dtype=np.float32)
    document = {"inputs": [blob_input("x", "FP32", [500_000], data.nbytes)]}
    response = await served.rest.post(DOUBLE, **with_blobs(document, data.tobytes()))
    np.testing.assert_array_equal(read_answer(response)[1]["y"], data * 2)


async def test_the_requests_timeout_ends_it() -> None:
    async with zoo() as served:
        served.backend.gate.clear()
        response = await served.rest.post(DOUBLE, json={"inputs": [X], "parameters": {"timeout": 50_000}})
        assert (response.status_code, rest_outcome(response).code) == (504, "timeout")
        await until(lambda: served.backend.cancelled == 1)
        assert await served.metric("tensorgate_rejected_total", reason="short_deadline") == 1


async def test_a_timeout_of_null_is_none(served: Served) -> None:
    response = await served.rest.post(DOUBLE, json={"inputs": [X], "parameters": {"timeout": None}})
    assert response.status_code == 200
