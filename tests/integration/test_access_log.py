"""The line of a request in the log: why it failed, who sent it, how large it was, and which model it asked for."""

import json
import logging
from typing import Any

import grpc
import httpx
import pytest

from tensorgate.v1 import tensorgate_pb2 as pb
from tests.clients import classify_request
from tests.conftest import Served, serving, until

BLACK = {"images": [{"pixels": [[0] * 4] * 4}]}
CLASSIFY = "/api/v1/models/{}/classify"
PREDICT = "/tensorflow.serving.PredictionService/Predict"


def entries(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [record.fields for record in caplog.records if record.name == "tensorgate.access"]  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def _level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tensorgate.access")


async def test_a_refused_request_says_why_and_by_whom_it_was_sent(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    body = json.dumps({"images": [{"pixels": [[0] * 3] * 4}]}).encode()
    headers = {"x-forwarded-for": "10.9.8.7", "content-type": "application/json"}
    response = await served.rest.post(CLASSIFY.format("shades"), content=body, headers=headers)
    async with httpx.AsyncClient() as client:
        await client.post(f"http://127.0.0.1:{served.runtime.grpc_port}/nope", headers=headers)
    entry, on_the_other_port = entries(caplog)
    assert (entry["model"], entry["code"], entry["http_status"]) == ("shades", "invalid_input", 422)
    assert entry["detail"] == response.json()["detail"]
    assert entry["detail"].startswith("images[0].pixels")
    for line in (entry, on_the_other_port):
        host, _, port = line["peer"].rpartition(":")
        assert (host, port.isdigit()) == ("127.0.0.1", True)  # and not what the client says
    assert (entry["request_bytes"], entry["response_bytes"]) == (len(body), len(response.content))
    assert "grpc_code" not in entry


async def test_a_model_that_there_is_not_is_named_but_is_no_label(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    await served.rest.post(CLASSIFY.format("nope"), json=BLACK)
    await served.rest.post("/v1/models/none-such:predict", json={"instances": [1]})
    await served.rest.post("/v2/models/neither/infer", json={"inputs": []})
    await served.rest.post(f"/v1/models/{'x' * 2000}:predict", json={"instances": [1]})
    assert [entry["model"] for entry in entries(caplog)] == ["nope", "none-such", "neither", "x" * 100]
    assert {entry["code"] for entry in entries(caplog)} == {"model_not_found", "too_large"}
    page = (await served.rest.get("/metrics")).text
    assert not any(name in page for name in ("nope", "none-such", "neither", "xxx"))


@pytest.mark.parametrize("grpc_server", ["h2corn", "grpcio"])
async def test_so_does_a_call_of_grpc(grpc_server: str, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(grpc_server=grpc_server, access_log="all") as served:
        request, good = classify_request("nope", **BLACK), classify_request("shades", **BLACK)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await served.stub.Classify(request)
        response = await served.stub.Classify(good)
        failed, well = entries(caplog)
    assert (failed["model"], failed["code"], failed["grpc_code"]) == ("nope", "model_not_found", "NOT_FOUND")
    assert failed["detail"] == caught.value.details()
    assert (failed["request_bytes"], failed["response_bytes"]) == (request.ByteSize(), 0)
    assert (well["code"], well["grpc_code"]) == ("ok", "OK")
    assert (well["request_bytes"], well["response_bytes"]) == (good.ByteSize(), response.ByteSize())
    assert {"decode_ms", "validate_ms", "queue_ms", "execute_ms", "encode_ms"} <= set(well)
    for entry in (failed, well):
        host, _, port = entry["peer"].rpartition(":")
        assert (host, port.isdigit()) == ("127.0.0.1", True)
        assert "http_status" not in entry
        assert "detail" not in entry or entry is failed


@pytest.mark.parametrize("grpc_server", ["h2corn", "grpcio"])
async def test_a_message_of_a_stream_that_fails_has_a_line(grpc_server: str, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(grpc_server=grpc_server) as served:
        stream = served.stub.ClassifyStream()
        for name in ("shades", "nope"):
            await stream.write(classify_request(name, **BLACK))
        await stream.done_writing()
        answers = [answer async for answer in stream]
        assert [answer.HasField("error") for answer in answers] == [False, True]
        [entry] = entries(caplog)
    assert (entry["method"].rpartition("/")[2], entry["model"], entry["code"]) == ("message", "nope", "model_not_found")
    assert "nope" in entry["detail"]
    assert entry["request_bytes"] > 0
    assert ":" in entry["peer"]


async def test_a_stream_has_the_bytes_of_its_messages(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(access_log="all") as served:
        request = classify_request("shades", **BLACK)
        stream = served.stub.ClassifyStream()
        for _ in range(3):
            await stream.write(request)
        await stream.done_writing()
        answers = [answer async for answer in stream]
        await until(lambda: bool(entries(caplog)))
        [entry] = entries(caplog)
    assert entry["messages"] == len(answers) == 3
    assert entry["request_bytes"] == 3 * request.ByteSize()
    assert entry["response_bytes"] == sum(answer.ByteSize() for answer in answers)


async def test_a_client_that_goes_away_and_a_deadline_say_so(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as served:
        served.backend.gate.clear()
        await served.rest.post(CLASSIFY.format("shades"), json=BLACK, headers={"x-request-timeout": "0.3"})
        call = served.stub.Classify(classify_request("shades", **BLACK))
        await until(lambda: served.backend.runs > 1 or served.runtime.admission.in_flight["requests"] > 0)
        call.cancel()
        await until(lambda: len(entries(caplog)) == 2)
    late, gone = entries(caplog)
    assert (late["code"], late["http_status"]) == ("timeout", 504)
    assert late["detail"].startswith("no answer within the 0.3 s")
    assert (gone["code"], gone["detail"]) == ("cancelled", "the client went away")


@pytest.mark.parametrize(
    ("settings", "lines"),
    [
        ({"slow_request_seconds": 1e-6}, ["slow request", "slow request"]),
        ({"slow_request_seconds": 60}, []),
        ({}, []),
        ({"slow_request_seconds": 1e-6, "access_log": "none"}, []),
        ({"slow_request_seconds": 60, "access_log": "all"}, ["request", "request"]),
    ],
)
async def test_a_slow_request_has_a_line(
    settings: dict[str, Any], lines: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(**settings) as served:
        assert (await served.rest.post(CLASSIFY.format("shades"), json=BLACK)).status_code == 200
        await served.stub.GetModel(pb.GetModelRequest(model="shades"))
    assert [record.getMessage() for record in caplog.records if record.name == "tensorgate.access"] == lines


async def test_what_is_said_of_a_request_is_bounded(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    inputs = {f"{'n' * 200}{number}": [[1.0]] for number in range(20)}
    await served.rest.post("/v1/models/double:predict", json={"inputs": inputs})
    [entry] = entries(caplog)
    assert 0 < len(entry["detail"]) <= 500


async def test_a_clients_own_ids_are_in_the_line(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    ids = {"x-correlation-id": "order-17", "traceparent": trace}
    await served.rest.post(CLASSIFY.format("nope"), json=BLACK, headers=ids)
    with pytest.raises(grpc.aio.AioRpcError):
        await served.stub.Classify(classify_request("nope", **BLACK), metadata=tuple(ids.items()))
    await served.rest.post(CLASSIFY.format("nope"), json=BLACK, headers={"x-correlation-id": "x" * 200})
    over_rest, over_grpc, without = entries(caplog)
    for entry in (over_rest, over_grpc):
        assert (entry["correlation_id"], entry["traceparent"]) == ("order-17", trace)
    assert not {"correlation_id", "traceparent"} & without.keys()
