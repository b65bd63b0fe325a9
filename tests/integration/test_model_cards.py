"""Model cards over REST and gRPC: what a version's folder has of them, on each backend that can see it."""

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest

import tensorgate.client as tg
from tensorgate.client import aio
from tests.clients import Grpc, Rest
from tests.conftest import Served, serving
from tests.documented import REPORTED

TRANSPORTS = pytest.mark.parametrize("transport", [Rest, Grpc])


@pytest.fixture(scope="module")
async def reported(grpc_server: str) -> AsyncIterator[Served]:
    async with serving(backend="tests.documented:DocumentedBackend", grpc_server=grpc_server) as served:
        yield served


@TRANSPORTS
async def test_a_card_tells_what_training_reported(reported: Served, transport: type[Any]) -> None:
    plot = REPORTED / "assets.extra/learning_curves.png"
    assert (await transport(reported).card("shades")).answer == {
        "model": "shades",
        "version": 2,
        "card": (REPORTED / "assets.extra/model_card.md").read_text(),
        "metrics": {"accuracy": 0.98, "recall": {"dark": 0.97}},
        "plots": [{"name": plot.name, "media_type": "image/png", "bytes": plot.stat().st_size}],
    }


@TRANSPORTS
async def test_a_plot_is_the_file(reported: Served, transport: type[Any]) -> None:
    data = (REPORTED / "assets.extra/learning_curves.png").read_bytes()
    outcome = await transport(reported).plot("shades", "learning_curves.png", version=1)
    assert outcome.answer == {"data": base64.b64encode(data).decode(), "media_type": "image/png"}


async def test_both_clients_return_them(reported: Served) -> None:
    address = f"127.0.0.1:{reported.runtime.grpc_port}"

    def wait_for_both() -> tuple[tg.ModelCard, bytes]:
        with tg.Client(address) as client:
            shades = client.model("shades", version=1)
            return shades.card(), shades.plot("learning_curves.png")

    card, plot = await asyncio.to_thread(wait_for_both)
    assert card.text == (REPORTED / "assets.extra/model_card.md").read_text()
    assert plot == (REPORTED / "assets.extra/learning_curves.png").read_bytes()
    assert (card.model, card.version, card.plots) == ("shades", 1, ("learning_curves.png",))
    assert card.metrics == {"accuracy": 0.98, "recall": {"dark": 0.97}}
    async with aio.Client(address) as client:
        shades = client.model("shades", version=1)
        assert (await shades.card(), await shades.plot("learning_curves.png")) == (card, plot)
        with pytest.raises(tg.NotFound, match=r"plot: expected a plot .* got 'x.png'") as caught:
            await shades.plot("x.png")
    assert caught.value.code == "plot_not_found"


async def test_in_a_plot_nothing_runs(reported: Served) -> None:
    response = await reported.rest.get("/api/v1/models/shades/card/learning_curves.png")
    assert response.status_code == 200
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in response.headers["content-security-policy"]


@TRANSPORTS
@pytest.mark.parametrize(
    "plot", ["none.png", "model_card.md", "../model_card.md", "../learning_curves.png", "\0", "x" * 5000]
)
async def test_a_plot_that_the_card_does_not_list_is_not_found(
    reported: Served, transport: type[Any], plot: str
) -> None:
    outcome = await transport(reported).plot("shades", plot)
    assert str(REPORTED) not in outcome.message
    if transport is Rest and "/" in plot:  # then it is a path of more parts, which there is not
        assert outcome.code == "not_found"
        return
    assert (outcome.code, outcome.where) == ("plot_not_found", ("plot",))
    assert outcome.message.startswith("plot: expected a plot that the model card of 'shades' lists, got ")


@TRANSPORTS
@pytest.mark.parametrize(
    ("model", "fields", "code"),
    [
        ("nobody", {}, "model_not_found"),
        ("shades", {"version": 9}, "model_not_found"),
        ("shades", {"version": 3}, "not_ready"),
        ("shades", {"label": "none"}, "label_not_found"),
        ("shades", {"version": 1, "label": "stable"}, "invalid_input"),
    ],
)
async def test_requests_are_checked_as_all_are(
    reported: Served, transport: type[Any], model: str, fields: dict[str, Any], code: str
) -> None:
    client = transport(reported)
    assert (await client.card(model, **fields)).code == code
    assert (await client.plot(model, "learning_curves.png", **fields)).code == code


async def test_a_field_of_no_meaning_is_refused(reported: Served) -> None:
    response = await reported.rest.get("/api/v1/models/shades/card", params={"colour": "red"})
    assert (response.status_code, response.json()["code"]) == (422, "invalid_input")


@TRANSPORTS
async def test_without_files_the_card_is_empty(served: Served, transport: type[Any]) -> None:
    answer = (await transport(served).card("shades")).answer
    assert (answer["card"], answer["metrics"], answer["plots"]) == ("", {}, [])
    assert (await transport(served).plot("shades", "learning_curves.png")).code == "plot_not_found"
