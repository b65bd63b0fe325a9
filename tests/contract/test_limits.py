"""What a client may ask of a model holds in every protocol, and is told in its words."""

import asyncio
from base64 import b64decode
from pathlib import Path
from typing import Any, cast

import grpc
import httpx
import numpy as np
import pytest
from google.rpc import error_details_pb2, status_pb2

from service.wire import open_inference_pb2 as oip
from service.wire import tensorflow_serving_pb2 as tfs
from tensorgate.v1 import tensorgate_pb2 as pb
from tests.clients import Grpc, Rest, classify_request, error_outcome, status_outcome
from tests.conftest import Served, serving, until
from tests.integration.test_grpc_web import CLASSIFY, ask
from tests.questions import Question
from tests.speakers import SPEAKERS

pytestmark = pytest.mark.usefixtures("with_grpc_server")

BLACK = {"pixels": [[0] * 4] * 4}
RAMP = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
TWO_A_DAY = '[[limits]]\nname = "few"\nrequests = "2/day"\n'
PREDICT = {"instances": [1.0, 2.0]}


def limited(tmp_path: Path, text: str, **settings: Any) -> Any:
    """Serves with these limits."""
    path = tmp_path / "limits.toml"
    path.write_text(text)
    return serving(limits_file=path, poll_seconds=0.05, **settings)


def details_of(error: grpc.aio.AioRpcError) -> tuple[int, str, str]:
    """Returns the seconds after which to try again, the limit and its text."""
    metadata = dict(iter(error.trailing_metadata() or ()))
    found = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    retry, quota = error_details_pb2.RetryInfo(), error_details_pb2.QuotaFailure()
    for detail in found.details:
        detail.Unpack(retry) or detail.Unpack(quota)
    assert metadata["retry-after"] == str(retry.retry_delay.seconds)
    [violation] = quota.violations
    return retry.retry_delay.seconds, violation.subject, violation.description


@pytest.mark.parametrize("speaker", SPEAKERS)
async def test_generic_protocols(tmp_path: Path, speaker: str) -> None:
    question = Question("double", {"x": np.ones(2, np.float32)})
    async with limited(tmp_path, TWO_A_DAY) as served:
        said = [await SPEAKERS[speaker].ask(cast("Any", served), question) for _ in range(4)]
        assert [each.code for each in said] == ["ok", "ok", "rate_limited", "rate_limited"]
        assert said[2].status in {429, grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert "2 requests in 86400 s (limit few-requests-per-day) of model 'double': 0 are left" in said[2].message
        assert served.backend.runs == 2
        refused = await served.metric("tensorgate_rate_limited_total", model_name="double")
        assert refused == await served.metric("tensorgate_rejected_total", reason="rate_limited") == 2


@pytest.mark.parametrize("transport", [Rest, Grpc])
async def test_typed_api(tmp_path: Path, transport: Any) -> None:
    async with limited(tmp_path, TWO_A_DAY) as served:
        client = transport(served)
        for said in (
            [await client.classify("shades", images=[BLACK]) for _ in range(3)],
            [await client.forecast("steps", series=[RAMP]) for _ in range(3)],
        ):
            assert [each.code for each in said] == ["ok", "ok", "rate_limited"]
            assert "limit few-requests-per-day" in said[2].message
        assert (await client.models()).code == "ok"
        assert (await client.classify("nope", images=[BLACK])).code == "model_not_found"


async def test_rest_has_the_headers(tmp_path: Path) -> None:
    text = '[[limits]]\nname = "few"\nrequests = "2/day"\nrows = "1000/min"\n'
    async with limited(tmp_path, text) as served:
        policy = '"few-requests-per-day";q=2;w=86400, "few-rows-per-minute";q=1000;qu="rows";w=60'
        for path, body in (
            ("/v1/models/double:predict", PREDICT),
            ("/api/v1/models/steps/forecast", {"series": [RAMP]}),
            ("/v2/models/shades/infer", {"inputs": []}),
        ):
            first, _, third = [await served.rest.post(path, json=body) for _ in range(3)]
            assert first.headers["ratelimit-policy"] == third.headers["ratelimit-policy"] == policy
            assert first.headers["ratelimit"].startswith('"few-requests-per-day";r=1;t=43200, "few-rows-per-minute";r=')
            assert "retry-after" not in first.headers
            assert third.status_code == 429
            assert third.headers["ratelimit"].startswith('"few-requests-per-day";r=0;t=43')
            assert int(third.headers["retry-after"]) == pytest.approx(43_200, abs=60)
        elsewhere = await served.rest.get("/api/v1/models")
        assert "ratelimit" not in elsewhere.headers


async def test_grpc_has_the_details(tmp_path: Path) -> None:
    async with limited(tmp_path, TWO_A_DAY) as served:
        request = classify_request("shades", images=[BLACK])
        await served.stub.Classify(request)
        await served.stub.Classify(request)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await served.stub.Classify(request)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        seconds, limit, text = details_of(caught.value)
        assert (limit, text) == ("few-requests-per-day", caught.value.details())
        assert seconds == pytest.approx(43_200, abs=60)


async def test_grpc_web_has_them_too(tmp_path: Path) -> None:
    async with limited(tmp_path, TWO_A_DAY) as served:
        request = classify_request("shades", images=[BLACK])
        *_, answer = [await ask(served, "rest_port", CLASSIFY, request) for _ in range(3)]
        assert answer.trailers["grpc-status"] == "8"
        assert int(answer.trailers["retry-after"]) == pytest.approx(43_200, abs=60)
        status = status_pb2.Status.FromString(b64decode(answer.trailers["grpc-status-details-bin"] + "=="))
        assert status_outcome(status).code == "rate_limited"


async def test_each_message_of_a_stream_is_a_request(tmp_path: Path) -> None:
    async with limited(tmp_path, TWO_A_DAY) as served:
        request = classify_request("shades", images=[BLACK])
        outcomes = [each async for each in served.stub.ClassifyStream(iter([request] * 3))]
        assert [each.WhichOneof("outcome") for each in outcomes] == ["response", "response", "error"]
        retry = error_details_pb2.RetryInfo()
        assert any(detail.Unpack(retry) for detail in outcomes[2].error.details)
        assert retry.retry_delay.seconds > 43_000
        call: Any = served.channel.stream_stream(
            "/inference.GRPCInferenceService/ModelStreamInfer",
            request_serializer=oip.ModelInferRequest.SerializeToString,
            response_deserializer=oip.ModelStreamInferResponse.FromString,
        )
        messages = [each async for each in call(iter([oip.ModelInferRequest(model_name="shades")]))]
        assert "limit few-requests-per-day" in messages[0].error_message


async def test_rows_count_when_they_are_known_and_a_request_that_never_fits_is_told(tmp_path: Path) -> None:
    text = '[[limits]]\nname = "some"\nmodels = ["steps"]\nrows = "5/day"\n'
    async with limited(tmp_path, text) as served:
        for client in (Rest(served), Grpc(served)):
            assert (await client.forecast("steps", series=[RAMP] * 6)).code == "too_large"
        assert (await Rest(served).forecast("steps", series=[RAMP] * 3)).code == "ok"
        for client in (Rest(served), Grpc(served)):
            said = await client.forecast("steps", series=[RAMP] * 3)
            assert said.code == "rate_limited"
            assert "2 are left, 3 came" in said.message
        assert (await Grpc(served).forecast("steps", series=[RAMP] * 2)).code == "ok"
        assert (await Rest(served).classify("shades", images=[BLACK])).code == "ok"


async def test_requests_in_flight_are_given_back_however_they_end(tmp_path: Path) -> None:
    text = '[[limits]]\nname = "one"\nrequests_in_flight = 1\n'
    async with limited(tmp_path, text) as served:
        request = classify_request("shades", images=[BLACK])
        for _ in range(3):
            served.backend.gate.clear()
            before = served.backend.runs
            running = asyncio.ensure_future(served.stub.Classify(request))
            await until(lambda before=before: served.backend.runs > before)  # type: ignore[misc]
            response = await served.rest.post("/v1/models/shades:predict", json=PREDICT)
            assert response.status_code == 429
            assert response.headers["retry-after"] == "1"
            assert "1 requests in flight (limit one-requests-in-flight)" in response.json()["error"]
            running.cancel()
            served.backend.gate.set()
            await until(lambda: not served.runtime.admission.in_flight["requests"])
            served.backend.failure = RuntimeError("no")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await served.stub.Classify(request)
            assert error_outcome(caught.value).code != "rate_limited"
            served.backend.failure = None
            assert (await Rest(served).classify("shades", images=[BLACK])).code == "ok"
            stream = served.stub.ClassifyStream()
            for _ in range(2):
                await stream.write(request)
                assert (await stream.read()).WhichOneof("outcome") == "response"
            await stream.done_writing()


async def test_bytes_in_flight(tmp_path: Path) -> None:
    text = '[[limits]]\nname = "small"\nbytes_in_flight = 100\n'
    async with limited(tmp_path, text) as served:
        said = await Rest(served).forecast("steps", series=[RAMP] * 20)
        assert (said.code, said.where) == ("too_large", ("body",))
        assert "at most 100 bytes of requests in flight (limit small-bytes-in-flight)" in said.message
        assert (await Rest(served).forecast("steps", series=[RAMP])).code == "ok"


async def test_the_file_is_followed(tmp_path: Path) -> None:
    async with limited(tmp_path, TWO_A_DAY) as served:
        codes = [(await Rest(served).classify("shades", images=[BLACK])).code for _ in range(3)]
        assert codes == ["ok", "ok", "rate_limited"]
        (tmp_path / "limits.toml").write_text("")
        file = served.runtime._parts.limits_file
        assert file is not None
        await until(lambda: file._text == "")
        assert (await Rest(served).classify("shades", images=[BLACK])).code == "ok"


async def test_states_and_metadata(tmp_path: Path) -> None:
    async with limited(tmp_path, TWO_A_DAY) as served:
        for _ in range(4):
            assert (await served.rest.get("/v2/models/shades/ready")).status_code == 200
            assert (await served.rest.get("/v1/models/shades")).status_code == 200
        status = [(await served.rest.get("/v2/models/shades")).status_code for _ in range(3)]
        assert status == [200, 200, 429]
        call: Any = served.channel.unary_unary(
            "/tensorflow.serving.PredictionService/GetModelMetadata",
            request_serializer=tfs.GetModelMetadataRequest.SerializeToString,
            response_deserializer=tfs.GetModelMetadataResponse.FromString,
        )
        request = tfs.GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name, request.model_spec.version_label = "shades", "no such label"
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(request)
        assert error_outcome(caught.value).code == "rate_limited"


@pytest.mark.parametrize("port", ["rest_port", "grpc_port"])
async def test_addresses_are_told_apart_where_that_is_wanted(tmp_path: Path, port: str) -> None:
    text = '[[limits]]\nname = "near"\nclients = "address:127.0.0.*"\nrequests = "2/day"\n'
    async with limited(tmp_path, text, clients_by_address=True) as served:
        if port == "grpc_port" and served.grpc_server == "grpcio":
            pytest.skip("it answers no REST")
        base = f"http://127.0.0.1:{getattr(served.runtime, port)}"
        for _ in range(2):
            await served.stub.Forecast(pb.ForecastRequest(model="steps", series=[pb.Series(values=RAMP)]))
        transport = httpx.AsyncHTTPTransport(local_address="127.0.0.2")
        async with httpx.AsyncClient(base_url=base, transport=transport) as other:
            body = {"series": [RAMP]}
            path = "/api/v1/models/steps/forecast"
            assert (await served.rest.post(path, json=body)).status_code == 429
            assert [(await other.post(path, json=body)).status_code for _ in range(3)] == [200, 200, 429]


async def test_the_messages_of_a_stream_are_of_its_client(tmp_path: Path) -> None:
    text = '[[limits]]\nname = "near"\nclients = "address:127.0.0.1"\nrequests = "1/day"\n'
    async with limited(tmp_path, text, clients_by_address=True) as served:
        request = classify_request("shades", images=[BLACK])
        outcomes = [each async for each in served.stub.ClassifyStream(iter([request] * 2))]
        assert [each.WhichOneof("outcome") for each in outcomes] == ["response", "error"]


async def test_a_flood_leaves_room_for_others_on_a_real_server(served_for_a_flood: Served) -> None:
    served = served_for_a_flood
    served.backend.gate.clear()
    request = classify_request("shades", images=[BLACK])
    flood = [asyncio.ensure_future(served.stub.Classify(request, timeout=60)) for _ in range(150)]
    await until(lambda: sum(task.done() for task in flood) >= 150 - 81)
    transport = httpx.AsyncHTTPTransport(local_address="127.0.0.2")
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{served.runtime.rest_port}", transport=transport, timeout=60
    ) as other:
        body = {"images": [BLACK]}
        asked = [asyncio.ensure_future(other.post("/api/v1/models/shades/classify", json=body)) for _ in range(4)]
        await until(lambda: served.runtime.admission.in_flight["requests"] == 84)
        served.backend.gate.set()
        assert [response.status_code for response in await asyncio.gather(*asked)] == [200] * 4
    outcomes = await asyncio.gather(*flood, return_exceptions=True)
    refused = [error_outcome(error) for error in outcomes if isinstance(error, grpc.aio.AioRpcError)]
    assert {(error.code, "max_client_share" in error.message) for error in refused} == {("overloaded", True)}
    assert len(refused) == 150 - 80


@pytest.fixture
async def served_for_a_flood() -> Any:
    async with serving(clients_by_address=True, max_requests_in_flight=100, max_queue_size=1000) as served:
        yield served
