"""Traces of what is run on replicas: what they are sent, the spans of runs and of each replica that was tried."""

import asyncio
from typing import Any

import grpc
import httpx

from tests.conftest import serving_replica, until
from tests.gateway import Gateway, gateway
from tests.otlp import CLIENT, INTERNAL, PARENT_ID, SERVER, TRACE_ID, TRACEPARENT, TRACESTATE, UNSAMPLED, Receiver
from tests.replicas import Replica, replicas

BLACK = [{"pixels": [[0] * 4] * 4}]
CLASSIFY = "/api/v1/models/shades/classify"
PREDICT = "POST /v1/models/{model}:predict"
REPLICA_PREDICT = "tensorflow.serving.PredictionService/Predict"


async def asked_of(served: Gateway, *values: float, traceparent: str = TRACEPARENT) -> httpx.Response:
    headers = {"traceparent": traceparent, "tracestate": TRACESTATE}
    return await served.rest.post("/v1/models/m:predict", json={"instances": list(values)}, headers=headers)


async def test_a_replica_is_sent_the_trace_and_has_a_span_of_its_own(receiver: Receiver) -> None:
    async with replicas(Replica()) as (one,), gateway(one) as served:
        assert "traceparent" not in one.metadata[-1]  # when the version was described
        await asked_of(served, 1)
        [span] = await receiver.some(PREDICT)
    [run], [attempt] = receiver.named("run"), receiver.named(REPLICA_PREDICT)
    assert [each.parent_id for each in (run, attempt)] == [span.span_id, run.span_id]
    assert attempt.kind == CLIENT
    expected = {
        "rpc.system.name": "grpc",
        "rpc.method": REPLICA_PREDICT,
        "server.address": "127.0.0.1",
        "server.port": one.port,
        "tensorgate.code": "ok",
    }
    assert attempt.attributes == expected
    sent = one.metadata[-1]
    assert sent["traceparent"] == f"00-{TRACE_ID}-{attempt.span_id}-01"
    assert sent["tracestate"] == TRACESTATE


async def test_each_replica_that_was_tried_has_a_span(receiver: Receiver) -> None:
    async with replicas(Replica(), Replica()) as (one, two), gateway(one, two) as served:
        one.failure = two.failure = (grpc.StatusCode.RESOURCE_EXHAUSTED, "no room")
        await asked_of(served, 1)
        [span] = await receiver.some(PREDICT)
    attempts = receiver.named(REPLICA_PREDICT)
    assert {attempt.attributes["server.port"] for attempt in attempts} == {one.port, two.port}
    assert all(attempt.failed and attempt.attributes["error.type"] == "overloaded" for attempt in attempts)
    assert span.attributes["http.response.status_code"] == 429


async def test_a_run_of_a_batch_has_links_to_its_requests(receiver: Receiver) -> None:
    async with replicas(Replica()) as (one,), gateway(one, max_batches_per_model=1) as served:
        one.asked.clear()
        one.gate.clear()
        traces = [f"{number:032x}" for number in (1, 2, 3, 4)]
        asked = [asyncio.create_task(asked_of(served, 0, traceparent=f"00-{traces[0]}-{PARENT_ID}-01"))]
        await until(lambda: len(one.asked) == 1)
        for trace, flags in zip(traces[1:], ("00", "01", "01"), strict=True):
            asked.append(asyncio.create_task(asked_of(served, 1, traceparent=f"00-{trace}-{PARENT_ID}-{flags}")))
            await until(lambda: served.runtime.admission.in_flight["requests"] == len(asked))
        batcher: Any = served.runtime._parts.engine._batcher
        await until(lambda: batcher.waiting() == {"m": 3})
        one.gate.set()
        assert [(await task).status_code for task in asked] == [200] * 4
        spans = {span.trace_id: span for span in await receiver.some(PREDICT, 3)}
        alone, merged = await receiver.some("run", 2)
    assert set(spans) == {traces[0], *traces[2:]}  # the second is not sampled
    assert alone.links == {spans[traces[0]].span_id}
    assert merged.links == {spans[trace].span_id for trace in traces[2:]}
    assert merged.attributes["tensorgate.requests"] == merged.attributes["tensorgate.rows"] == 3
    first, second = (spans[trace] for trace in traces[2:])
    assert (merged.trace_id, merged.parent_id) == (first.trace_id, first.span_id)
    assert receiver.below(first)["execute"].links == set()
    assert receiver.below(second)["execute"].links == {merged.span_id}
    queue = receiver.below(second)["queue"]
    assert queue.times[0] < queue.times[1]


async def test_what_is_not_sampled_is_passed_on_and_has_no_spans(receiver: Receiver) -> None:
    async with replicas(Replica()) as (one,), gateway(one) as served:
        await asked_of(served, 1, traceparent=UNSAMPLED)
        sent = one.metadata[-1]
        assert sent["traceparent"].startswith(f"00-{TRACE_ID}-")
        assert sent["traceparent"].endswith("-00")
        assert PARENT_ID not in sent["traceparent"]
        assert sent["tracestate"] == TRACESTATE
        await asked_of(served, 1)
        [span] = await receiver.some(PREDICT)
    assert {each.trace_id for each in receiver.spans} == {span.trace_id}
    assert len(receiver.named(PREDICT)) == 1


async def test_a_trace_goes_on_through_a_server_behind_this_one(receiver: Receiver) -> None:
    async with serving_replica("shades") as served:
        await served.rest.post(CLASSIFY, json={"images": BLACK}, headers={"traceparent": TRACEPARENT})
        [front] = await receiver.some("POST /api/v1/models/{model}/classify")
    spans = {span.span_id: span for span in receiver.spans if span.trace_id == TRACE_ID}
    [behind] = [span for span in spans.values() if (span.name, span.kind) == (REPLICA_PREDICT, SERVER)]
    way = [behind]
    while way[-1].parent_id in spans:
        way.append(spans[way[-1].parent_id])
    names = [REPLICA_PREDICT, REPLICA_PREDICT, "run", front.name]
    assert [(span.name, span.kind) for span in way] == list(zip(names, (SERVER, CLIENT, INTERNAL, SERVER), strict=True))
    assert "run" in receiver.below(behind)
