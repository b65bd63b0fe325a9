"""Streams of requests by the Open Inference Protocol, as Triton has them: through the whole stack."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import grpc
import numpy as np
import pytest

from service.wire import open_inference_pb2 as pb
from tests.clients import error_outcome
from tests.conftest import Served, serving, until
from tests.open_inference import infer_request

pytestmark = pytest.mark.usefixtures("with_grpc_server")

METHOD = "inference.GRPCInferenceService/ModelStreamInfer"
Call = Any


@pytest.fixture(scope="module")
async def served(grpc_server: str) -> AsyncIterator[Served]:
    async with serving(grpc_server=grpc_server) as served:
        yield served


def stream(served: Served, requests: Iterable[Any] | None = None, *metadata: tuple[str, str]) -> Call:
    method: Any = served.channel.stream_stream(
        f"/{METHOD}",
        request_serializer=lambda each: each if isinstance(each, bytes) else each.SerializeToString(),
        response_deserializer=pb.ModelStreamInferResponse.FromString,
    )
    return method(None if requests is None else iter(requests), metadata=metadata)


def double(value: float, **fields: Any) -> pb.ModelInferRequest:
    x = {"name": "x", "datatype": "FP32", "shape": [1]}
    return infer_request("double", x, raw_input_contents=[np.float32(value).tobytes()], **fields)


def shade(brightness: float, **fields: Any) -> pb.ModelInferRequest:
    contents = pb.InferTensorContents(fp32_contents=[brightness] * 16)
    images = {"name": "images", "datatype": "FP32", "shape": [1, 4, 4, 1], "contents": contents}
    return infer_request("shades", images, outputs=[{"name": "scores"}], **fields)


def doubled(answer: pb.ModelStreamInferResponse) -> float:
    assert not answer.error_message
    return float(np.frombuffer(answer.infer_response.raw_output_contents[0], np.float32)[0])


async def ended(call: Call) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    return caught.value


async def test_answers_come_in_the_order_of_the_requests(served: Served) -> None:
    call = stream(served, (double(number, id=str(number)) for number in range(300)))
    answers = [answer async for answer in call]
    assert [doubled(answer) for answer in answers] == [2 * number for number in range(300)]
    assert [answer.infer_response.id for answer in answers] == [str(number) for number in range(300)]
    assert await call.code() is grpc.StatusCode.OK


async def test_messages_that_recur_are_answered_like_the_first(served: Served) -> None:
    async with asyncio.timeout(30):
        call = stream(served)
        values = [float(number) for number in range(40)]
        for value in values:  # one after the other: from the second on they are known by how they begin
            await call.write(double(value))
            answer = await call.read()
            assert doubled(answer) == 2 * value
            assert answer.infer_response.model_version == "1"
            assert {name: each.bool_param for name, each in answer.infer_response.parameters.items()} == {
                "triton_final_response": True
            }
        wrong = double(1)
        wrong.raw_input_contents[0] += b"0000"
        await call.write(wrong)
        assert (await call.read()).error_message.startswith("raw_input_contents[0]: expected 4 bytes")
        await call.done_writing()


async def test_an_answer_is_that_of_an_infer_call_and_is_the_last_for_its_request(served: Served) -> None:
    typed, raw = [answer.infer_response async for answer in stream(served, [shade(255), double(2)])]
    assert (typed.model_name, typed.model_version) == ("shades", "2")
    assert list(typed.outputs[0].contents.fp32_contents) == [0, 0, 1]
    assert not typed.raw_output_contents
    assert (raw.outputs[0].name, raw.outputs[0].datatype, list(raw.outputs[0].shape)) == ("y", "FP32", [1])
    for answer in (typed, raw):
        assert {name: each.bool_param for name, each in answer.parameters.items()} == {"triton_final_response": True}


async def test_what_is_wrong_with_one_request_is_said_in_its_place_and_the_stream_goes_on(served: Served) -> None:
    unknown = infer_request("nope", id="b", model_version="3")
    requests = [double(1), unknown, double(2), infer_request("double"), double(3)]
    answers = [answer async for answer in stream(served, requests)]
    assert [doubled(answers[index]) for index in (0, 2, 4)] == [2, 4, 6]
    assert answers[1].error_message.startswith("model: expected one of the models served")
    said = answers[1].infer_response
    assert (said.id, said.model_name, said.model_version, len(said.outputs)) == ("b", "nope", "3", 0)
    assert said.parameters["triton_final_response"].bool_param
    assert answers[3].error_message.startswith("inputs.x: expected float32")
    assert await served.metric("tensorgate_requests_total", method=f"{METHOD}/message", code="model_not_found") == 1


async def test_with_tritons_metadata_the_first_error_ends_the_stream_as_its_status(served: Served) -> None:
    call = stream(served, None, ("triton_grpc_error", "true"))
    await call.write(double(1))
    await call.write(infer_request("nope"))
    assert doubled(await call.read()) == 2
    error = await ended(call)  # though the client would go on
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert error_outcome(error).code == "model_not_found"
    call = stream(served, [infer_request("nope")], ("triton_grpc_error", "false"))
    assert [each.error_message != "" async for each in call] == [True]


async def test_bytes_that_are_no_request_end_the_stream_after_the_answers_before_them(served: Served) -> None:
    call = stream(served, [double(1), b"\xff"])
    assert doubled(await call.read()) == 2
    error = await ended(call)
    assert (error.code(), error_outcome(error).code) == (grpc.StatusCode.INVALID_ARGUMENT, "malformed")


async def test_requests_of_one_stream_are_merged() -> None:
    async with serving() as served:
        served.backend.gate.clear()
        call = stream(served, [shade(number, id=str(number)) for number in (0, 255, 0, 255, 0)])
        async with asyncio.timeout(10):
            while await served.metric("tensorgate_batch_queue_requests", model_name="shades") < 4:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        served.backend.gate.set()
        scores = [list(answer.infer_response.outputs[0].contents.fp32_contents) async for answer in call]
        assert scores == [[1, 0, 0], [0, 0, 1], [1, 0, 0], [0, 0, 1], [1, 0, 0]]
        assert served.backend.runs == 2


async def test_each_request_has_its_own_time() -> None:
    async with serving(max_batches_in_flight=8, max_batches_per_model=8) as served:
        served.backend.gate.clear()
        call = stream(served)
        timeout = {"timeout": pb.InferParameter(int64_param=20_000)}
        await call.write(double(1, parameters=timeout, id="late"))
        await call.write(double(2))
        late = await call.read()
        assert (late.infer_response.id, late.error_message.startswith("no answer within")) == ("late", True)
        served.backend.gate.set()
        assert doubled(await call.read()) == 4
        call.cancel()


async def test_it_is_read_no_further_than_its_window() -> None:
    async with serving(stream_window=3, max_batches_in_flight=64, max_batches_per_model=64) as served:
        served.backend.gate.clear()
        call = stream(served, [double(number) for number in range(10)])
        await until(lambda: served.backend.runs >= 3)
        await asyncio.sleep(0.1)
        assert served.backend.runs == 3
        served.backend.gate.set()
        assert [doubled(answer) async for answer in call] == [2 * number for number in range(10)]


async def test_a_cancelled_stream_stops_costing() -> None:
    async with serving(max_batches_in_flight=64, max_batches_per_model=64) as served:
        served.backend.gate.clear()
        call = stream(served)
        for number in range(5):
            await call.write(double(number))
        await until(lambda: served.backend.runs >= 5)
        call.cancel()
        await until(lambda: served.backend.cancelled >= 5)
        await until(lambda: not any(served.runtime.admission.in_flight.values()))
        assert not served.runtime.admission.bytes_held()


async def test_a_stream_ends_after_what_it_took_when_the_server_goes_down() -> None:
    async with serving() as served:
        served.backend.gate.clear()
        call = stream(served)
        await call.write(double(1))
        await until(lambda: served.backend.runs == 1)
        stopping = asyncio.create_task(served.runtime.__aexit__(None, None, None))
        await until(served.runtime.admission.draining.is_set)
        served.backend.gate.set()
        assert doubled(await call.read()) == 2
        error = await ended(call)
        assert (error.code(), error_outcome(error).code) == (grpc.StatusCode.UNAVAILABLE, "not_ready")
        await stopping


async def test_a_stream_is_not_idle_while_something_is_in_the_works() -> None:
    async with serving(stream_idle_timeout=0.5) as served:
        served.backend.gate.clear()
        call = stream(served)
        await call.write(double(1))
        await until(lambda: served.backend.runs == 1)
        await asyncio.sleep(0.7)
        served.backend.gate.set()
        assert doubled(await call.read()) == 2
        assert error_outcome(await ended(call)).code == "timeout"
