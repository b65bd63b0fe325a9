"""Traces of requests: their spans, as a receiver of OTLP gets them."""

import asyncio
from typing import Any

import numpy as np
import pytest
from grpc import aio

from service.wire import open_inference_pb2 as pb
from tensorgate.v1 import tensorgate_pb2 as tg
from tests.clients import Rest, classify_request
from tests.conftest import serving, until
from tests.open_inference import infer_request
from tests.otlp import (
    INTERNAL,
    PARENT_ID,
    SERVER,
    TRACE_ID,
    TRACEPARENT,
    TRACESTATE,
    Receiver,
    Span,
)

BLACK = [{"pixels": [[0] * 4] * 4}]
CLASSIFY = "POST /api/v1/models/{model}/classify"
CLASSIFY_RPC = "tensorgate.v1.TensorgateService/Classify"
PREDICT = "POST /v1/models/{model}:predict"
STREAM = "inference.GRPCInferenceService/ModelStreamInfer"
REPLICA_PREDICT = "tensorflow.serving.PredictionService/Predict"
PHASES = {"decode", "validate", "queue", "execute", "encode"}


async def classify_rpc(channel: aio.Channel, model: str = "shades", *metadata: tuple[str, str]) -> Any:
    method: Any = channel.unary_unary(
        f"/{CLASSIFY_RPC}",
        request_serializer=tg.ClassifyRequest.SerializeToString,
        response_deserializer=tg.ClassifyResponse.FromString,
    )
    return await method(classify_request(model, images=BLACK), metadata=metadata)


async def asked_of_path(channel: aio.Channel, path: str) -> None:
    method: Any = channel.unary_unary(path)
    await method(b"")


async def test_a_rest_request_has_a_span_and_its_phases_have_theirs_below(receiver: Receiver) -> None:
    async with serving() as served:
        await served.rest.post("/api/v1/models/shades/classify", json={"images": BLACK})
        [span] = await receiver.some(CLASSIFY)
    assert (span.kind, span.parent_id, span.failed) == (SERVER, "", False)
    expected = {
        "http.request.method": "POST",
        "http.route": "/api/v1/models/{model}/classify",
        "http.response.status_code": 200,
        "url.path": "/api/v1/models/shades/classify",
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "tensorgate.model.name": "shades",
        "tensorgate.model.version": 2,
        "tensorgate.rows": 1,
        "tensorgate.code": "ok",
    }
    assert expected.items() <= span.attributes.items()
    assert span.attributes["user_agent.original"].startswith("python-httpx/")
    below = receiver.below(span)
    assert set(below) == PHASES | {"run"}
    for each in below.values():
        assert (each.trace_id, each.kind) == (span.trace_id, INTERNAL)
        assert span.times[0] <= each.times[0] <= each.times[1] <= span.times[1] + 1_000_000
    order = [name for name, _ in sorted(below.items(), key=lambda item: item[1].times) if name != "run"]
    assert order.index("decode") < order.index("execute") < order.index("encode")
    assert below["run"].links == {span.span_id}
    assert below["run"].attributes["tensorgate.requests"] == 1
    assert receiver.resources[0]["service.name"] == "tensorgate"


async def test_a_call_over_grpc_has_one_too(receiver: Receiver, grpc_server: str) -> None:
    async with serving(grpc_server=grpc_server) as served:
        await classify_rpc(served.channel)
        [span] = await receiver.some(CLASSIFY_RPC)
    assert (span.kind, span.failed) == (SERVER, False)
    expected = {
        "rpc.system.name": "grpc",
        "rpc.method": CLASSIFY_RPC,
        "rpc.response.status_code": "OK",
        "tensorgate.model.name": "shades",
    }
    assert expected.items() <= span.attributes.items()
    assert "grpc-python-asyncio/" in span.attributes["user_agent.original"]
    assert set(receiver.below(span)) == PHASES | {"run"}


def assert_continued(span: Span) -> None:
    assert (span.trace_id, span.parent_id) == (TRACE_ID, PARENT_ID)
    assert span.message.trace_state == TRACESTATE


async def test_a_trace_that_the_client_began_goes_on_over_rest(receiver: Receiver) -> None:
    async with serving() as served:
        headers = {"traceparent": TRACEPARENT, "tracestate": TRACESTATE}
        await served.rest.post("/api/v1/models/shades/classify", json={"images": BLACK}, headers=headers)
        [span] = await receiver.some(CLASSIFY)
        assert_continued(span)
        await served.rest.get("/api/v1/models", headers={"traceparent": "00-nonsense-01"})
        [other] = await receiver.some("GET /api/v1/models")
    assert other.parent_id == ""
    assert other.trace_id not in {TRACE_ID, "0" * 32}


async def test_a_trace_that_the_client_began_goes_on_over_grpc(receiver: Receiver, grpc_server: str) -> None:
    async with serving(grpc_server=grpc_server) as served:
        await classify_rpc(served.channel, "shades", ("traceparent", TRACEPARENT), ("tracestate", TRACESTATE))
        [span] = await receiver.some(CLASSIFY_RPC)
    assert_continued(span)


async def test_a_trace_that_the_client_began_goes_on_over_grpc_web(receiver: Receiver) -> None:
    message = classify_request("shades", images=BLACK).SerializeToString()
    headers = {
        "content-type": "application/grpc-web+proto",
        "traceparent": TRACEPARENT,
        "tracestate": TRACESTATE,
    }
    async with serving() as served:
        body = b"\x00" + len(message).to_bytes(4, "big") + message
        await served.rest.post(f"/{CLASSIFY_RPC}", content=body, headers=headers)
        [span] = await receiver.some(CLASSIFY_RPC)
    assert_continued(span)


async def test_failures_are_those_of_the_server_and_of_its_client(receiver: Receiver, grpc_server: str) -> None:
    async with serving(grpc_server=grpc_server) as served:
        await Rest(served).classify("nope", images=BLACK)
        with pytest.raises(aio.AioRpcError):
            await classify_rpc(served.channel, "nope")
        [over_rest], [over_grpc] = await receiver.some(CLASSIFY), await receiver.some(CLASSIFY_RPC)
        assert over_rest.attributes["http.response.status_code"] == 404
        assert over_grpc.attributes["rpc.response.status_code"] == "NOT_FOUND"
        for span in (over_rest, over_grpc):
            assert not span.failed
            assert span.attributes["tensorgate.code"] == "model_not_found"
            assert "error.type" not in span.attributes
        receiver.spans.clear()
        served.backend.failure = RuntimeError("/secret")
        await Rest(served).classify("shades", images=BLACK)
        with pytest.raises(aio.AioRpcError):
            await classify_rpc(served.channel)
        [over_rest], [over_grpc] = await receiver.some(CLASSIFY), await receiver.some(CLASSIFY_RPC)
        assert over_rest.attributes["http.response.status_code"] == 500
        assert over_grpc.attributes["rpc.response.status_code"] == "INTERNAL"
        for span in (over_rest, over_grpc, *await receiver.some("run", 2)):
            assert span.failed
            assert span.attributes["error.type"] == "internal"
            assert "secret" not in str(span.message)


async def test_paths_that_there_are_not_have_names_that_clients_do_not_make_up(receiver: Receiver) -> None:
    async with serving() as served:
        await served.rest.get("/made/up")
        await served.rest.request("PROPFIND", "/v1/models/x")
        with pytest.raises(aio.AioRpcError):
            await asked_of_path(served.channel, "/made.Up/Method")
        [get], [odd], [rpc] = [await receiver.some(name) for name in ("GET", "HTTP", "_other")]
    assert get.attributes["url.path"] == "/made/up"
    assert "http.route" not in get.attributes
    assert odd.attributes["http.request.method"] == "_OTHER"
    assert odd.attributes["http.request.method_original"] == "PROPFIND"
    assert rpc.attributes["rpc.method"] == "_OTHER"
    assert rpc.attributes["rpc.response.status_code"] == "UNIMPLEMENTED"


async def test_messages_of_a_stream_have_spans_below_that_of_the_stream(receiver: Receiver, grpc_server: str) -> None:
    x = {"name": "x", "datatype": "FP32", "shape": [1]}
    asked = [infer_request("double", x, raw_input_contents=[np.float32(n).tobytes()]) for n in range(3)]
    asked.append(infer_request("nope", x, raw_input_contents=[b"\0\0\0\0"]))
    async with serving(grpc_server=grpc_server) as served:
        method: Any = served.channel.stream_stream(
            f"/{STREAM}",
            request_serializer=pb.ModelInferRequest.SerializeToString,
            response_deserializer=pb.ModelStreamInferResponse.FromString,
        )
        call = method(iter(asked), metadata=[("traceparent", TRACEPARENT)])
        assert len([answer async for answer in call]) == 4
        [stream] = await receiver.some(STREAM)
    assert (stream.trace_id, stream.parent_id, stream.kind) == (TRACE_ID, PARENT_ID, SERVER)
    assert stream.attributes["tensorgate.messages"] == 4
    messages = receiver.named(f"{STREAM}/message")
    assert len(messages) == 4
    for message in messages:
        assert (message.trace_id, message.parent_id, message.kind) == (TRACE_ID, stream.span_id, INTERNAL)
    assert sorted(message.attributes["tensorgate.code"] for message in messages) == ["model_not_found", *["ok"] * 3]
    assert set(receiver.below(messages[0])) >= {"execute", "encode", "run"}


async def test_the_sampler_is_the_one_that_the_environment_names(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
    async with serving() as served:
        await Rest(served).classify("shades", images=BLACK)
        headers = {"traceparent": TRACEPARENT}
        await served.rest.post("/api/v1/models/shades/classify", json={"images": BLACK}, headers=headers)
        [span] = await receiver.some(CLASSIFY)
    assert span.trace_id == TRACE_ID


async def test_a_request_that_was_given_up_has_a_span(receiver: Receiver, grpc_server: str) -> None:
    async with serving(grpc_server=grpc_server) as served:
        served.backend.gate.clear()
        call = asyncio.create_task(classify_rpc(served.channel))
        await until(lambda: served.backend.runs > 0)
        call.cancel()
        [span] = await receiver.some(CLASSIFY_RPC)
        served.backend.gate.set()
    assert span.attributes["rpc.response.status_code"] == "CANCELLED"
    assert span.attributes["tensorgate.code"] == "cancelled"


async def test_probes_and_scrapes_are_not_traced(receiver: Receiver) -> None:
    async with serving() as served:
        for path in ("/livez", "/readyz", "/metrics", "/docs"):
            await served.rest.get(path)
        await asked_of_path(served.channel, "/grpc.health.v1.Health/Check")
        await Rest(served).models()
        await receiver.some("GET /api/v1/models")
    assert len(receiver.spans) == len(receiver.below(receiver.spans[-1])) + 1
