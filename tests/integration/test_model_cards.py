"""Model cards over REST: what a version's folder has of them, on each backend that can see it."""

from collections.abc import AsyncIterator

import pytest

from tests.conftest import Served, serving
from tests.documented import REPORTED

CARD = "/api/v1/models/shades/card"


@pytest.fixture(scope="module")
async def reported() -> AsyncIterator[Served]:
    async with serving(backend="tests.documented:DocumentedBackend") as served:
        yield served


async def test_a_card_tells_what_training_reported(reported: Served) -> None:
    answer = (await reported.rest.get(CARD)).json()
    assert answer == {
        "model": "shades",
        "version": 2,
        "card": (REPORTED / "assets.extra/model_card.md").read_text(),
        "metrics": {"accuracy": 0.98, "recall": {"dark": 0.97}},
        "plots": [{"name": "learning_curves.png", "media_type": "image/png", "bytes": answer["plots"][0]["bytes"]}],
    }


async def test_a_plot_is_a_picture_in_which_nothing_runs(reported: Served) -> None:
    response = await reported.rest.get(CARD + "/learning_curves.png", params={"version": 1})
    assert (response.status_code, response.headers["content-type"]) == (200, "image/png")
    assert response.content == (REPORTED / "assets.extra/learning_curves.png").read_bytes()
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in response.headers["content-security-policy"]


@pytest.mark.parametrize(
    "plot", ["none.png", "model_card.md", "%2e%2e%2fmodel_card.md", "..%2flearning_curves.png", "%00", "x" * 5000]
)
async def test_a_plot_that_the_card_does_not_list_is_not_found(reported: Served, plot: str) -> None:
    response = await reported.rest.get(f"{CARD}/{plot}")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert str(REPORTED) not in response.text


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/v1/models/nobody/card", 404, "model_not_found"),
        (CARD + "?version=9", 404, "model_not_found"),
        (CARD + "?version=3", 503, "not_ready"),
        (CARD + "?label=none", 404, "label_not_found"),
        (CARD + "?colour=red", 422, "invalid_input"),
    ],
)
async def test_requests_are_checked_as_all_are(reported: Served, path: str, status: int, code: str) -> None:
    response = await reported.rest.get(path)
    assert (response.status_code, response.json()["code"]) == (status, code)


async def test_without_files_the_card_is_empty(served: Served) -> None:
    answer = (await served.rest.get(CARD)).json()
    assert (answer["card"], answer["metrics"], answer["plots"]) == ("", {}, [])
    assert (await served.rest.get(CARD + "/learning_curves.png")).status_code == 404
