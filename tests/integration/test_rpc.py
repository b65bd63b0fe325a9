"""What only gRPC has: streams, deadlines, cancellation, health, reflection, unknown fields."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tensorgate.v1 import tensorgate_pb2 as pb
from tests.clients import classify_request, error_outcome, forecast_request, status_outcome
from tests.conftest import Served, serving, too_late, until

pytestmark = pytest.mark.usefixtures("with_grpc_server")

SERVICE = "tensorgate.v1.TensorgateService"
BLACK = {"pixels": [[0] * 4] * 4}
RAMP = [1, 2, 3, 4, 5, 6]


async def failed(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def test_pixels_may_be_bytes(served: Served) -> None:
    pixels = pb.Pixels(shape=[4, 4, 1], bytes_values=bytes([255]) * 16)
    answer = await served.stub.Classify(pb.ClassifyRequest(model="shades", images=[pb.Image(pixels=pixels)]))
    assert answer.results[0].classes[0].label == "bright"


@pytest.mark.parametrize(
    "pixels",
    [
        pb.Pixels(),
        pb.Pixels(shape=[4, 4, 1]),
        pb.Pixels(shape=[4, 4, 1], values=[0] * 15),
        pb.Pixels(shape=[4, 4, 1], bytes_values=bytes(17)),
        pb.Pixels(shape=[4, 4, 1], bytes_values=bytes(16), values=[0] * 16),
        pb.Pixels(shape=[-4, -4, 1], values=[0] * 16),
        pb.Pixels(shape=[4, 4, 0], values=[]),
        pb.Pixels(shape=[2**62, 4, 4], values=[0] * 16),
        pb.Pixels(shape=[1] * 1000, values=[0]),
        # Multiplied out, this alone would keep everybody waiting for a minute.
        pb.Pixels(shape=[2**62] * 100_000, bytes_values=b"a"),
    ],
)
async def test_shapes_and_values_must_go_together(served: Served, pixels: pb.Pixels) -> None:
    request = pb.ClassifyRequest(model="shades", images=[pb.Image(pixels=pixels)])
    outcome = error_outcome(await failed(served.stub.Classify(request)))
    assert outcome.code == "invalid_input"
    assert outcome.where[0] in {"images[0].pixels", "images[0].pixels.shape"}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
async def test_numbers_must_be_finite(served: Served, value: float) -> None:
    outcome = error_outcome(await failed(served.stub.Forecast(forecast_request("steps", series=[[*RAMP, value]]))))
    assert (outcome.code, outcome.where) == ("invalid_input", ("series[0][6]",))


@pytest.mark.parametrize(
    ("features", "count", "code"),
    [(None, 6, "ok"), (1, 6, "ok"), (2, 12, "invalid_input"), (5, 6, "invalid_input"), (0, 6, "invalid_input")],
)
async def test_features_say_how_values_make_steps(served: Served, features: int, count: int, code: str) -> None:
    request = pb.ForecastRequest(model="steps", series=[pb.Series(values=range(count), features=features)])
    if code == "ok":
        assert (await served.stub.Forecast(request)).model == "steps"
    else:
        outcome = error_outcome(await failed(served.stub.Forecast(request)))
        assert (outcome.code, outcome.where) == (code, ("series[0]",))


@pytest.mark.parametrize("level", [0, 1, 2])
async def test_unknown_fields_are_refused_as_over_rest(served: Served, level: int) -> None:
    unknown = b"\xf8\x06\x01"  # field 111, varint
    pixels = pb.Pixels(shape=[4, 4], values=[0] * 16).SerializeToString() + (unknown if level == 2 else b"")
    image = b"\x12" + bytes([len(pixels)]) + pixels + (unknown if level == 1 else b"")
    request = pb.ClassifyRequest(model="shades").SerializeToString()
    request += b"\x1a" + bytes([len(image)]) + image + (unknown if level == 0 else b"")
    outcome = error_outcome(await failed(served.stub.Classify(pb.ClassifyRequest.FromString(request))))
    assert outcome.where == (("body", "images[0]", "images[0].pixels")[level],)
    assert "field number 111" in outcome.message


async def test_a_message_over_the_limit_is_refused() -> None:
    async with serving(max_request_bytes=4096) as served:
        error = await failed(served.stub.Classify(classify_request("shades", images=[{"encoded": bytes(5000)}])))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        outcome = error_outcome(error)
        assert (outcome.code, outcome.where) == ("too_large", ("body",))
        assert "max_request_bytes" in outcome.message
        error = await failed(served.stub.Classify(classify_request("shades", images=[{"encoded": bytes(9000)}])))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await served.stub.Classify(classify_request("shades", images=[BLACK]))).model == "shades"


async def test_bytes_that_are_no_message_are_refused(served: Served) -> None:
    call: Any = served.channel.unary_unary(f"/{SERVICE}/Classify")
    error = await failed(call(b"\xff\xff"))
    outcome = error_outcome(error)
    assert (error.code(), outcome.code, outcome.where) == (grpc.StatusCode.INVALID_ARGUMENT, "malformed", ("body",))
    assert (await served.stub.Classify(classify_request("shades", images=[BLACK]))).model == "shades"


async def test_an_unknown_method_is_unimplemented(served: Served) -> None:
    call: Any = served.channel.unary_unary(f"/{SERVICE}/Nope")
    error = await failed(call(b""))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_call_ends_with_its_deadline(served: Served) -> None:
    served.backend.gate.clear()
    request = classify_request("shades", images=[BLACK])
    error, _ = await too_late(served, lambda seconds: failed(served.stub.Classify(request, timeout=seconds)))
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await until(lambda: served.backend.cancelled > 0)
    assert await served.metric("tensorgate_requests_total", code="timeout") > 0


async def test_a_call_without_deadline_gets_the_default() -> None:
    async with serving(default_timeout=0.1) as served:
        served.backend.gate.clear()
        error = await failed(served.stub.Classify(classify_request("shades", images=[BLACK])))
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert error_outcome(error).code == "timeout"


async def test_a_cancelled_call_stops_costing(served: Served) -> None:
    served.backend.gate.clear()
    call = served.stub.Classify(classify_request("shades", images=[BLACK]))
    await until(lambda: served.backend.runs > 0)
    call.cancel()
    await until(lambda: served.backend.cancelled > 0)
    assert await served.metric("tensorgate_requests_total", code="cancelled") == 1
    assert not any(served.runtime.admission.in_flight.values())


async def test_the_clients_request_id_comes_back(served: Served) -> None:
    call = served.stub.Classify(classify_request("shades", images=[BLACK]), metadata=(("x-request-id", "mine-1"),))
    assert dict(iter(await call.trailing_metadata()))["x-request-id"] == "mine-1"


async def test_more_calls_than_admitted_are_refused_at_once() -> None:
    async with serving(max_requests_in_flight=1) as served:
        served.backend.gate.clear()
        waiting = served.stub.Classify(classify_request("shades", images=[BLACK]))
        await until(lambda: served.backend.runs > 0)
        error = await failed(served.stub.Classify(classify_request("shades", images=[BLACK])))
        assert (error.code(), error_outcome(error).code) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "overloaded")
        served.backend.gate.set()
        assert (await waiting).model == "shades"


async def test_streams_answer_in_the_order_of_the_requests(served: Served) -> None:
    async def requests() -> AsyncIterator[pb.ForecastRequest]:
        for first in range(300):
            yield forecast_request("steps", series=[[*RAMP, first]], horizon=1)

    answers = [answer async for answer in served.stub.ForecastStream(requests())]
    assert [answer.response.forecasts[0].values[0] for answer in answers] == [first + 1 for first in range(300)]


async def test_one_bad_message_of_a_stream_fails_alone(served: Served) -> None:
    images = [[BLACK], [], [BLACK], [{"encoded": b"x"}], [BLACK]]
    metadata = (("x-request-id", "mine-2"),)
    call = served.stub.ClassifyStream((classify_request("shades", images=each) for each in images), metadata=metadata)
    answers = [answer async for answer in call]
    assert [answer.WhichOneof("outcome") for answer in answers] == [
        "response",
        "error",
        "response",
        "error",
        "response",
    ]
    empty, broken = status_outcome(answers[1].error), status_outcome(answers[3].error)
    assert (empty.code, empty.where, empty.request_id) == ("invalid_input", ("images",), "mine-2")
    assert broken.where == ("images[0].encoded",)
    assert answers[1].error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert await call.code() is grpc.StatusCode.OK


async def test_a_stream_is_read_no_further_than_its_window() -> None:
    async with serving(stream_window=3, max_batches_in_flight=64, max_batches_per_model=64) as served:
        served.backend.gate.clear()
        call = served.stub.ClassifyStream()
        for _ in range(10):
            await call.write(classify_request("shades", images=[BLACK]))
        await until(lambda: served.backend.runs >= 3)
        await asyncio.sleep(0.1)
        assert served.backend.runs == 3
        served.backend.gate.set()
        await call.done_writing()
        assert len([answer async for answer in call]) == 10


async def test_a_cancelled_stream_stops_costing() -> None:
    async with serving(max_batches_in_flight=64, max_batches_per_model=64) as served:
        served.backend.gate.clear()
        call = served.stub.ClassifyStream()
        for _ in range(5):
            await call.write(classify_request("shades", images=[BLACK]))
        await until(lambda: served.backend.runs >= 5)
        call.cancel()
        await until(lambda: served.backend.cancelled >= 5)
        await until(lambda: not any(served.runtime.admission.in_flight.values()))


async def test_each_message_of_a_stream_has_the_default_timeout() -> None:
    async with serving(default_timeout=0.1) as served:
        served.backend.gate.clear()
        call = served.stub.ClassifyStream(iter([classify_request("shades", images=[BLACK])]))
        [answer] = [answer async for answer in call]
        assert status_outcome(answer.error).code == "timeout"


async def test_messages_of_a_stream_are_counted(served: Served) -> None:
    requests = [classify_request("shades", images=[BLACK] * rows) for rows in (1, 2, 0)]
    assert len([answer async for answer in served.stub.ClassifyStream(iter(requests))]) == 3
    method = f"{SERVICE}/ClassifyStream"
    assert await served.metric("tensorgate_requests_total", method=method, code="ok") == 1
    assert await served.metric("tensorgate_requests_total", method=f"{method}/message", code="ok") == 2
    assert await served.metric("tensorgate_requests_total", method=f"{method}/message", code="invalid_input") == 1
    assert await served.metric("tensorgate_request_rows_sum", model_name="shades") == 3


@pytest.mark.parametrize("service", ["", SERVICE])
async def test_health_is_reported_for_the_server_and_each_service(served: Served, service: str) -> None:
    stub: Any = health_pb2_grpc.HealthStub(served.channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_health_of_an_unknown_service_is_not_found(served: Served) -> None:
    stub: Any = health_pb2_grpc.HealthStub(served.channel)
    error = await failed(stub.Check(health_pb2.HealthCheckRequest(service="nope")))
    assert error.code() is grpc.StatusCode.NOT_FOUND


async def test_reflection_knows_the_services(served: Served) -> None:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(served.channel)  # type: ignore[arg-type]  # made for both kinds
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    [answer] = [answer async for answer in stub.ServerReflectionInfo(iter([request]))]
    names = {service.name for service in answer.list_services_response.service}
    assert {SERVICE, "grpc.health.v1.Health"} <= names


async def test_a_client_can_be_built_from_reflection_alone(served: Served) -> None:
    def describe() -> list[str]:
        with grpc.insecure_channel(f"127.0.0.1:{served.runtime.grpc_port}") as channel:
            pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
            return [method.name for method in pool.FindServiceByName(SERVICE).methods]

    names = await asyncio.to_thread(describe)
    assert names[:6] == ["Classify", "ClassifyStream", "Forecast", "ForecastStream", "ListModels", "GetModel"]
    assert names[6:] == ["GetDrift", "GetRollout", "GetShadow", "GetCard", "GetPlot", "SetLabel", "DeleteLabel"]
