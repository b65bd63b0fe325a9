"""The parameter `timeout` of the Open Inference Protocol is the call's deadline, whoever asks."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from service.core.bounds import InputBounds
from service.core.call import Call
from service.core.catalog import Catalog
from service.core.deadline import Deadline
from service.core.drift import DriftMonitor
from service.core.model_config import ModelConfig
from service.core.model_version import ModelVersion, State
from service.core.residence import StandbyError
from service.core.rollout import Rollout, Traffic
from service.core.rollouts import Rollouts
from service.errors import ErrorKind, GatewayError
from service.protocols.open_inference.grpc import OpenInferenceGrpc
from service.protocols.open_inference.inference import Inference
from service.protocols.open_inference.messages import apply_timeout
from service.protocols.open_inference.rest import OpenInferenceRest
from service.seam.http import HttpRequest
from service.wire import open_inference_pb2 as pb


def call() -> Call:
    return Call("grpc", "ModelInfer", "id", Deadline.after(30), model="m", version=8)


class Engine:
    """Runs for a minute; what it is asked to do first is of no interest."""

    def request(self, *args: Any, **options: Any) -> Any:
        return None

    async def infer(self, request: Any, call: Call) -> Any:
        with call.phase("execute"):
            await asyncio.sleep(60)


class Models:
    """One model, which is not in memory the first time."""

    def __init__(self) -> None:
        self.tries = 0

    def resolve(self, name: str, version: str, call: Call) -> ModelVersion:
        self.tries += 1
        if self.tries == 1:
            residence: Any = None
            raise StandbyError(residence)
        return ModelVersion("m", 8, State.AVAILABLE)

    def signature(self, version: ModelVersion, name: str | None) -> Any:
        return None


def service() -> OpenInferenceGrpc:
    models: Any = Models()
    engine: Any = Engine()
    return OpenInferenceGrpc(models=models, inference=Inference(engine=engine, models=models), bounds=InputBounds())


def request(microseconds: int) -> pb.ModelInferRequest:
    return pb.ModelInferRequest(model_name="m", parameters={"timeout": pb.InferParameter(int64_param=microseconds)})


async def test_a_version_on_standby_is_waited_for_no_longer_and_the_time_does_not_start_anew() -> None:
    served, of = service(), call()
    with pytest.raises(StandbyError):
        await served.model_infer(request(50_000), of)
    assert (of.deadline.allowed, of.deadline.remaining() <= 0.05) == (0.05, True)
    await asyncio.sleep(0.06)  # it is loaded
    with pytest.raises(GatewayError, match=r"within the 0\.05 s") as late:
        await served.model_infer(request(50_000), of)
    assert late.value.kind is ErrorKind.TIMEOUT
    assert "execute" not in of.phases


async def test_so_it_is_over_rest() -> None:
    models: Any = Models()
    engine: Any = Engine()
    served = OpenInferenceRest(models=models, inference=Inference(engine=engine, models=models), bounds=InputBounds())
    of = call()
    with pytest.raises(StandbyError):
        await served.infer(
            HttpRequest({"model": "m"}, b"", [], b'{"inputs": [], "parameters": {"timeout": 50000}}'), of
        )
    assert of.deadline.allowed == 0.05


async def test_a_timeout_that_nothing_can_keep_is_no_failure_of_a_new_version() -> None:
    catalog = Catalog()
    rollouts = Rollouts(catalog, DriftMonitor())
    traffic = Traffic(rollout=Rollout(stable=7, canary=8))
    rollouts.configure(catalog, [ModelConfig("m", Path("/models/m"), traffic=traffic)])
    watch = rollouts.watch("m")
    assert watch is not None
    for microseconds, counted in ((20_000, 0), (300_000, 1)):
        served, of = service(), call()
        with pytest.raises(StandbyError):
            await served.model_infer(request(microseconds), of)
        with pytest.raises(GatewayError) as late:
            await served.model_infer(request(microseconds), of)
        rollouts.observe(of, late.value.kind)
        assert watch.counts[8].requests == counted


def test_a_timeout_makes_no_call_longer() -> None:
    of = call()
    before = of.deadline
    assert apply_timeout({"timeout": 60_000_000}, of)
    assert not apply_timeout({"timeout": 0}, of)
    assert of.deadline is before
