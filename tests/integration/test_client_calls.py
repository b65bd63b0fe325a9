"""What the clients do with answers: retries, budgets, several servers, keys and traces; servers do as they are told."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import tensorgate.client as tg
from service.errors import ErrorKind, GatewayError
from tensorgate.client import aio
from tensorgate.v1 import tensorgate_pb2 as pb
from tests.processes import free_port
from tests.scripted_server import scripted_server

MODELS = pb.ListModelsResponse(models=[pb.Model(name="m")]).SerializeToString()
LABELLED = pb.SetLabelResponse().SerializeToString()
OVERLOADED = GatewayError(ErrorKind.OVERLOADED, "full")
LIMITED = GatewayError(ErrorKind.RATE_LIMITED, "too many", retry_after=1)
LABEL = pb.SetLabelRequest(model="m", label="x", version=1)

Ask = Callable[..., Awaitable[Any]]
Question = Callable[[Any], Any]


async def ask_by_waiting(address: Any, question: Question, **options: Any) -> Any:
    def ask() -> Any:
        with tg.Client(address, **options) as client:
            return question(client)

    return await asyncio.to_thread(ask)


async def ask_by_asyncio(address: Any, question: Question, **options: Any) -> Any:
    async with aio.Client(address, **options) as client:
        return await question(client)


@pytest.fixture(params=[ask_by_waiting, ask_by_asyncio])
def ask(request: pytest.FixtureRequest) -> Any:
    return request.param


def models(client: Any) -> Any:
    return client.models()


@pytest.mark.parametrize("error", [OVERLOADED, LIMITED, GatewayError(ErrorKind.NOT_READY, "loading")])
async def test_what_may_pass_is_asked_again_after_the_time_that_the_server_names(ask: Ask, error: GatewayError) -> None:
    with scripted_server(ListModels=[error, MODELS]) as server:
        begun = time.monotonic()
        [model] = await ask(server.address, models)
        assert model.name == "m"
        assert server.count("ListModels") == 2
        assert time.monotonic() - begun >= 1
        assert 28 < server.asked[1][2] < server.asked[0][2] - 0.9  # the deadline is one for all


async def test_what_changes_something_is_asked_once(ask: Ask) -> None:
    with scripted_server(SetLabel=[OVERLOADED, LABELLED]) as server:
        with pytest.raises(tg.Overloaded):
            await ask(server.address, lambda client: client.call("SetLabel", LABEL))
        assert server.count("SetLabel") == 1


async def test_what_cannot_pass_is_asked_once(ask: Ask) -> None:
    with scripted_server(ListModels=[GatewayError(ErrorKind.INTERNAL, "oh"), MODELS]) as server:
        with pytest.raises(tg.ServerError):
            await ask(server.address, models)
        assert server.count("ListModels") == 1


async def test_no_retry_begins_after_the_deadline_nor_beyond_the_budget(ask: Ask) -> None:
    with scripted_server(ListModels=[OVERLOADED]) as server:
        with pytest.raises(tg.Overloaded):
            await ask(server.address, lambda client: client.models(timeout=0.9))
        assert server.count("ListModels") == 1
        with pytest.raises(tg.Overloaded):
            await ask(server.address, models, retries=tg.Retries(budget=0.5))
        assert server.count("ListModels") == 2


def test_a_server_that_starts_late_is_waited_for() -> None:
    address = f"127.0.0.1:{free_port()}"
    retries = tg.Retries(attempts=3, first=0.01)
    begun = time.monotonic()
    with (
        tg.Client(address, retries=retries) as client,
        pytest.raises(tg.Unavailable, match=f"no server answers at {address}"),
    ):
        client.models()
    assert time.monotonic() - begun < 20


async def test_calls_go_round_among_servers_that_say_they_serve(ask: Ask) -> None:
    with scripted_server(ListModels=[MODELS]) as one, scripted_server(ListModels=[MODELS]) as two:
        with tg.Client([one.address, two.address]) as client:
            for _ in range(60):
                client.models()
                if one.asked and two.asked:
                    break
                await asyncio.sleep(0.05)
            assert one.asked
            assert two.asked
        two.says_it_serves(False)
        before = len(two.asked)
        await ask([two.address, one.address], models)
        assert len(two.asked) == before


async def test_a_server_that_goes_is_left_out(ask: Ask) -> None:
    gone = f"127.0.0.1:{free_port()}"
    with scripted_server(ListModels=[MODELS]) as server:
        for _ in range(3):
            assert await ask([gone, server.address], models)


async def test_a_key_is_shown_with_every_call(ask: Ask) -> None:
    with scripted_server(ListModels=[MODELS]) as server:
        await ask(server.address, models, key="a-key")
        await ask(server.address, models)
        assert [asked[1].get("authorization") for asked in server.asked] == ["Bearer a-key", None]


async def test_a_call_is_part_of_the_trace_that_it_is_made_in(ask: Ask) -> None:
    tracer = TracerProvider().get_tracer("test")
    with scripted_server(ListModels=[MODELS]) as server:
        with tracer.start_as_current_span("outer") as span:
            await ask(server.address, models)
        await ask(server.address, models)
        wanted = trace.format_trace_id(span.get_span_context().trace_id)
        assert server.asked[0][1]["traceparent"].split("-")[1] == wanted
        assert "traceparent" not in server.asked[1][1]


async def test_parts_that_versions_changed_between_are_asked_of_one() -> None:
    from tensorgate.wire import infer_pb2

    signature = pb.Signature(
        name="serving_default", inputs=[pb.TensorSpec(name="x", dtype="float32", shape=[-1])], batched=True
    )
    version = pb.ModelVersion(version=1, state="AVAILABLE", kind="generic", signatures=[signature])
    described = pb.GetModelResponse(model=pb.Model(name="m", versions=[version])).SerializeToString()
    versions = iter(["1", "2"])
    asked: list[str] = []

    def infer(data: bytes) -> bytes:
        request = infer_pb2.ModelInferRequest.FromString(data)
        asked.append(request.model_version)
        answer = infer_pb2.ModelInferResponse(model_name="m", model_version=request.model_version or next(versions))
        answer.outputs.add(name="y", datatype="FP32", shape=request.inputs[0].shape)
        answer.raw_output_contents.append(request.raw_input_contents[0])
        return answer.SerializeToString()

    with scripted_server(GetModel=[described], ModelInfer=[infer]) as server:
        limits = tg.Limits(rows=2)
        outputs = await ask_by_waiting(
            server.address, lambda client: client.model("m").predict(x=[1, 2, 3]), limits=limits
        )
    assert outputs["y"].tolist() == [1, 2, 3]
    assert (outputs.version, asked) == (2, ["", "", "2", "2"])
