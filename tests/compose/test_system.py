"""The whole system answers as the model itself does, and takes up what is published."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import numpy as np
import pytest
from grpc import aio

from tests.compose.conftest import WholeSystem
from tests.compose.steady_load import Array, SteadyLoad, images
from tests.questions import Question
from tests.speakers import SPEAKERS

pytestmark = [pytest.mark.compose, pytest.mark.timeout(2700)]  # the images may be built, and the models trained

_PUBLISH = (
    # As training does it: written under a name that nobody serves, then renamed.
    "cp -r /models/digits/1 /models/digits/.2 && mv /models/digits/.2 /models/digits/2"
)
_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Clients:
    """Clients of one gateway."""

    rest: httpx.AsyncClient
    channel: aio.Channel


@pytest.fixture(params=["gateway", "edge"])
async def clients(request: pytest.FixtureRequest, system: WholeSystem) -> AsyncIterator[Clients]:
    rest, grpc = (system.rest, system.grpc) if request.param == "gateway" else (system.edge_rest, system.edge_grpc)
    async with httpx.AsyncClient(base_url=rest, timeout=20) as client, aio.insecure_channel(grpc) as channel:
        yield Clients(client, channel)


@pytest.mark.parametrize("speaker", [name for name in SPEAKERS if name != "tfserving-rest"])
async def test_predictions_are_those_of_the_model_itself(clients: Clients, scores: Array, speaker: str) -> None:
    said = await SPEAKERS[speaker].ask(clients, Question("digits", {"images": images()}))  # type: ignore[arg-type]
    assert said.code == "ok", said
    np.testing.assert_allclose(said.outputs["scores"], scores, atol=1e-5)


async def test_so_are_those_in_json_rows(clients: Clients, scores: Array) -> None:
    answer = await clients.rest.post("/v1/models/digits:predict", json={"instances": images().tolist()})
    rows = answer.raise_for_status().json()["predictions"]
    np.testing.assert_allclose([row["scores"] for row in rows], scores, atol=1e-5)


async def test_a_published_version_is_taken_up_and_fails_nobody(system: WholeSystem, scores: Array) -> None:
    load = SteadyLoad(rest=system.rest, address=system.grpc, scores=scores, rate=30)
    async with load.running() as outcomes, httpx.AsyncClient(base_url=system.rest, timeout=20) as rest:
        run = ("run", "--rm", "--no-TTY", "--no-deps", "--entrypoint", "sh", "train", "-c", _PUBLISH)
        await asyncio.to_thread(system.compose, *run)
        async with asyncio.timeout(_SECONDS):
            while True:
                states = (await rest.get("/v1/models/digits")).json()["model_version_status"]
                if ("2", "AVAILABLE") in {(status["version"], status["state"]) for status in states}:
                    break
                await asyncio.sleep(0.2)
        await asyncio.sleep(3)
    assert not outcomes.failures()
    answer = await asyncio.to_thread(httpx.get, f"{system.rest}/v1/models/digits/metadata")
    assert answer.json()["model_spec"]["version"] == "2"
