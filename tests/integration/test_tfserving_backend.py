"""The backend that forwards to TensorFlow Serving, when all is well and when it is not."""

import asyncio
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from grpc import aio
from grpc_health.v1 import health_pb2
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from service.wire import open_inference_pb2 as pb
from tests.conftest import until
from tests.gateway import gateway
from tests.replicas import Replica, Status, replicas

UNAVAILABLE = (grpc.StatusCode.UNAVAILABLE, "going down")


async def test_requests_are_spread_over_the_replicas_and_deadlines_travel() -> None:
    async with replicas(Replica(), Replica()) as (one, two), gateway(one, two) as served:
        for replica in (one, two):
            replica.asked.clear()
            replica.deadlines.clear()
        tried = await served.metrics("tensorgate_replica_requests_total")  # when the version was described
        for value in range(20):
            assert await served.ask(value, timeout=70) == (200, {"predictions": [value + 1.0]})
        assert len(one.asked) == len(two.asked) == 10
        assert all(10 < seconds < 71 for seconds in (*one.deadlines, *two.deadlines))
        counted = await served.metrics("tensorgate_replica_requests_total")
        assert [count - tried.get(series, 0) for series, count in counted.items()] == [10, 10]


async def test_what_waits_is_merged_and_calls_in_flight_are_bounded() -> None:
    async with replicas(Replica()) as (one,), gateway(one, max_batches_per_model=2) as served:
        one.asked.clear()
        one.gate.clear()
        asked = [asyncio.create_task(served.ask(value)) for value in range(40)]
        await until(lambda: len(one.asked) == 2)
        await until(lambda: served.runtime.admission.in_flight["requests"] == 40)
        one.gate.set()
        assert [await task for task in asked] == [(200, {"predictions": [value + 1.0]}) for value in range(40)]
        assert len(one.asked) < 10


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (UNAVAILABLE, "backend_unavailable"),
        ((grpc.StatusCode.RESOURCE_EXHAUSTED, "Server Threadpool Exhausted"), "overloaded"),
        ((grpc.StatusCode.NOT_FOUND, "Servable not found for request: Specific(m, 1)"), "version"),
    ],
)
async def test_what_gave_no_answer_is_asked_of_another_replica(failure: tuple[Any, str], reason: str) -> None:
    async with replicas(Replica(), Replica()) as (one, two), gateway(one, two) as served:
        one.failure = failure
        answers = [await served.ask(value) for value in range(10)]
        assert answers == [(200, {"predictions": [value + 1.0]}) for value in range(10)]
        retried = await served.metrics("tensorgate_backend_retries_total")
        assert list(retried) == [f'{{reason="{reason}"}}']


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        ((grpc.StatusCode.INVALID_ARGUMENT, "must not be below zero"), 400, "invalid_input"),
        ((grpc.StatusCode.INTERNAL, "it broke"), 500, "backend_failed"),
        ((grpc.StatusCode.UNIMPLEMENTED, "no such method"), 500, "backend_failed"),
    ],
)
async def test_an_answer_is_an_answer_and_never_asked_for_twice(
    failure: tuple[Any, str], status: int, code: str
) -> None:
    async with replicas(Replica(), Replica()) as (one, two), gateway(one, two) as served:
        one.failure = two.failure = failure
        before = len(one.asked) + len(two.asked)
        answered, body = await served.ask(1)
        assert (answered, body["code"], body["error"]) == (status, code, failure[1])
        assert len(one.asked) + len(two.asked) == before + 1


async def test_with_nobody_to_ask_requests_fail_at_once_and_come_back_with_the_replica() -> None:
    async with replicas(Replica()) as (one,), gateway(one) as served:
        await one.stop()
        status, body = await served.ask(1)
        assert (status, body["code"]) == (503, "backend_unavailable")
        await until(lambda: served.states() == ["ejected"])
        await until(lambda: served.versions() == {1: "START"})
        status, body = await served.ask(1)
        assert (status, body["code"]) == (503, "not_ready")
        assert "no replica that serves it answers" in body["error"]
        readiness = await served.rest.get("/readyz")
        assert (readiness.status_code, readiness.json()["models"]["m"]["ready"]) == (503, False)
        await one.start()
        await until(lambda: served.versions() == {1: "AVAILABLE"})
        assert (await served.ask(1))[0] == 200


async def test_a_replica_that_falls_silent_loses_its_requests_to_another_one() -> None:
    async with replicas(Replica(), Replica()) as (one, two), gateway(one, two, max_batch_size=1) as served:
        one.silent.clear()
        asked = [asyncio.create_task(served.ask(value)) for value in range(30)]
        assert [await task for task in asked] == [(200, {"predictions": [value + 1.0]}) for value in range(30)]
        await until(lambda: sorted(served.states()) == ["ejected", "serving"])
        assert (await served.metrics("tensorgate_replica_ejections_total")).keys() == {
            f'{{reason="probe",replica="{one.address}"}}'
        }
        one.silent.set()
        await until(lambda: served.states() == ["serving", "serving"])


async def test_nothing_hangs_past_its_deadline_when_the_only_replica_is_silent() -> None:
    async with replicas(Replica()) as (one,), gateway(one, probe_timeout=60) as served:
        one.silent.clear()
        status, body = await served.ask(1, timeout=0.3)
        assert (status, body["code"]) == (504, "timeout")


async def test_a_replica_that_fails_again_and_again_is_left_out_and_gets_another_chance() -> None:
    async with replicas(Replica(), Replica()) as (one, two), gateway(one, two) as served:
        now = 0.0
        served.pool.replicas[one.address]._breaker._clock = lambda: now
        one.failure = (grpc.StatusCode.INTERNAL, "it broke")
        statuses = [(await served.ask(value))[0] for value in range(60)]
        assert statuses.count(500) == 10
        assert statuses[-10:] == [200] * 10
        one.failure = None
        now = 2.0
        await until(lambda: served.states() == ["serving", "serving"])
        assert [(await served.ask(value))[0] for value in range(6)] == [200] * 6


async def test_retries_are_bounded_by_the_budget() -> None:
    async with replicas(Replica(), Replica()) as (one, two), gateway(one, two, retry_ratio=0) as served:
        budget = served.pool._budget
        budget._clock = lambda: budget._updated_at  # no time passes that would allow for more
        one.failure = two.failure = (grpc.StatusCode.RESOURCE_EXHAUSTED, "full")
        answers = [await served.ask(value) for value in range(60)]
        assert {(status, body["code"]) for status, body in answers} == {(429, "overloaded")}
        assert sum((await served.metrics("tensorgate_backend_retries_refused_total")).values()) > 0


async def test_a_replica_that_says_that_it_is_not_serving_gets_nothing() -> None:
    async with replicas(Replica(), Replica()) as (one, two), gateway(one, two) as served:
        one.health = health_pb2.HealthCheckResponse.NOT_SERVING
        await until(lambda: "not_serving" in served.states())
        one.asked.clear()
        assert [(await served.ask(value))[0] for value in range(6)] == [200] * 6
        assert one.asked == []


async def test_a_replica_without_a_health_service_is_known_by_its_models() -> None:
    one = Replica()
    one.health = None
    async with replicas(one), gateway(one) as served:
        assert await served.ask(1) == (200, {"predictions": [2.0]})


async def test_replacing_a_version_fails_nobody_who_did_not_name_it() -> None:
    async with replicas(Replica(), Replica()) as (one, two), gateway(one, two, probe_seconds=3600) as served:
        for replica in (one, two):
            replica.versions = {1: Status.END, 2: Status.AVAILABLE}
        answers = await asyncio.gather(*(served.ask(value) for value in range(20)))
        assert answers == [(200, {"predictions": [value + 2.0]}) for value in range(20)]
        status, body = await served.ask(1, path="m/versions/1")
        assert (status, body["code"]) == (404, "model_not_found")


async def test_replacing_a_version_fails_no_message_of_a_stream() -> None:
    async with (
        replicas(Replica()) as (one,),
        gateway(one, probe_seconds=3600) as served,
        aio.insecure_channel(f"127.0.0.1:{served.runtime.grpc_port}") as channel,
    ):
        stream: Any = channel.stream_stream(
            "/inference.GRPCInferenceService/ModelStreamInfer",
            request_serializer=pb.ModelInferRequest.SerializeToString,
            response_deserializer=pb.ModelStreamInferResponse.FromString,
        )()
        for version in (1, 2, 3):
            one.versions = {version - 1: Status.END, version: Status.AVAILABLE}
            request = pb.ModelInferRequest(model_name="m", raw_input_contents=[np.float32(5).tobytes()])
            request.inputs.add(name="x", datatype="FP32", shape=[1])
            await stream.write(request)
            answer = await stream.read()
            assert (answer.error_message, answer.infer_response.model_version) == ("", str(version))
            [content] = answer.infer_response.raw_output_contents
            assert np.frombuffer(content, np.float32) == [5 + version]
        await stream.done_writing()


async def test_a_new_version_waits_until_as_many_replicas_have_it() -> None:
    made = [Replica(), Replica(), Replica()]
    async with replicas(*made), gateway(*made) as served:
        made[0].versions[2] = Status.AVAILABLE
        await until(lambda: served.versions() == {2: "LOADING", 1: "AVAILABLE"})
        assert await served.ask(0) == (200, {"predictions": [1.0]})
        for replica in made[1:]:
            replica.versions[2] = Status.AVAILABLE
        await until(lambda: served.versions() == {2: "AVAILABLE", 1: "AVAILABLE"})
        assert await served.ask(0) == (200, {"predictions": [2.0]})


async def test_it_starts_before_its_replicas_and_says_so() -> None:
    one = Replica()
    await one.start()
    await one.stop()
    async with gateway(one, ready=False) as served:
        status, body = await served.ask(1)
        assert (status, body["code"]) == (503, "not_ready")
        assert (await served.rest.get("/readyz")).json()["models"] == {"m": {"ready": False, "versions": {}}}
        await one.start()
        await asyncio.wait_for(served.runtime.ready(), 30)
        assert (await served.ask(1))[0] == 200
        await one.stop()


async def test_an_answer_that_makes_no_sense_is_the_backends_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    async with replicas(Replica()) as (one,), gateway(one) as served:
        predict = one._predict

        async def other(request: Any, context: Any) -> Any:
            answer = await predict(request, context)
            answer.outputs["z"].CopyFrom(answer.outputs.pop("y"))
            return answer

        await one.stop()
        monkeypatch.setattr(one, "_predict", other)
        await one.start()
        await until(lambda: served.states() == ["serving"])
        status, body = await served.ask(1)
        assert (status, body["code"]) == (500, "backend_failed")
        assert "the outputs ['z'] instead of ['y']" in body["error"]


async def test_many_different_requests_get_their_own_answers() -> None:
    async with replicas(Replica(), Replica()) as (one, two), gateway(one, two) as served:
        values = np.arange(90, dtype=np.float32)
        answers = await asyncio.gather(*(served.ask(float(value), float(-value)) for value in values))
        assert answers == [(200, {"predictions": [value + 1.0, 1.0 - value]}) for value in values.tolist()]


async def test_the_newest_version_answers_from_the_first_request_on() -> None:
    one = Replica(1, 2, 3)
    one.slow_metadata = 3
    async with replicas(one), gateway(one) as served:
        assert await served.ask(0) == (200, {"predictions": [3.0]})
        await until(lambda: served.versions() == {3: "AVAILABLE", 2: "AVAILABLE", 1: "AVAILABLE"})


async def predicted(channel: aio.Channel, **inputs: float) -> Any:
    """Returns what TensorFlow Serving's Predict answers."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "m"
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(np.array([value], np.float32)))
    stub: Any = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    return tf.make_ndarray((await stub.Predict(request)).outputs["y"]).tolist()


async def test_an_input_that_is_left_out_may_have_a_default_that_only_the_replica_knows() -> None:
    one = Replica()
    one.shift = 100
    async with (
        replicas(one),
        gateway(one) as served,
        aio.insecure_channel(f"127.0.0.1:{served.runtime.grpc_port}") as channel,
    ):
        one.gate.clear()
        first = asyncio.create_task(predicted(channel, x=0))
        await until(lambda: served.runtime.admission.in_flight["requests"] == 1)
        more = [{"x": 1.0}, {"x": 2.0, "shift": 10.0}, {"x": 3.0}, {"x": 4.0, "shift": 20.0}]
        asked = [asyncio.create_task(predicted(channel, **inputs)) for inputs in more]
        await until(lambda: served.runtime.admission.in_flight["requests"] == 5)
        one.gate.set()
        assert await first == [101]
        assert [await task for task in asked] == [[102], [13], [104], [25]]


async def test_what_the_replica_says_of_an_input_that_is_missing_is_passed_on() -> None:
    one = Replica()
    one.shift = 0
    async with (
        replicas(one),
        gateway(one) as served,
        aio.insecure_channel(f"127.0.0.1:{served.runtime.grpc_port}") as channel,
    ):
        text = "input size does not match signature: 1!=2"
        one.failure = (grpc.StatusCode.INVALID_ARGUMENT, text)
        with pytest.raises(aio.AioRpcError) as caught:
            await predicted(channel, x=0)
        assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.INVALID_ARGUMENT, text)
        with pytest.raises(aio.AioRpcError, match=r"Sent extra: \{other\}"):
            await predicted(channel, x=0, shift=1, other=2)
