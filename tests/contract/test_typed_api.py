"""The typed API means the same over REST and gRPC: the same questions, the same answers, the same refusals."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from service.errors import ErrorKind, GatewayError
from tests.clients import Grpc, Rest
from tests.conftest import Served, serving

pytestmark = pytest.mark.usefixtures("with_grpc_server")

TRANSPORTS = [Rest, Grpc]
Transport = Callable[[Served], Any]

BLACK = {"pixels": [[0] * 4] * 4}
WHITE = {"pixels": [[[255]] * 4] * 4}
RAMP = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
NAN, INFINITY = float("nan"), float("inf")


def png(width: int = 5, height: int = 5) -> bytes:
    file = io.BytesIO()
    Image.new("L", (width, height), 7).save(file, "PNG")
    return file.getvalue()


def approximately(expected: Any) -> Any:
    if isinstance(expected, dict):
        return {name: approximately(value) for name, value in expected.items()}
    if isinstance(expected, list):
        return [approximately(value) for value in expected]
    return pytest.approx(expected, rel=1e-6) if isinstance(expected, float) else expected


ANSWERS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "pixels, with and without channels": (
        "classify",
        {"model": "shades", "images": [BLACK, WHITE], "top_k": 1},
        {
            "model": "shades",
            "version": 2,
            "results": [{"classes": [{"label": "dark", "score": 1.0}]}, {"classes": [{"label": "bright", "score": 1.0}]}],
        },
    ),
    "ties keep the model's order": (
        "classify",
        {"model": "shades", "images": [BLACK], "top_k": 99, "version": 1},
        {
            "model": "shades",
            "version": 1,
            "results": [{"classes": [{"label": label, "score": score} for label, score in (("dark", 1.0), ("grey", 0.0), ("bright", 0.0))]}],
        },
    ),
    "files and pixels mixed keep their order": (
        "classify",
        {"model": "shades", "images": [WHITE, {"encoded": png()}, BLACK], "top_k": 1},
        {
            "model": "shades",
            "version": 2,
            "results": [
                {"classes": [{"label": "bright", "score": 1.0}]},
                {"classes": [{"label": "dark", "score": 1 - 2 * len(png()) / 1000}]},
                {"classes": [{"label": "dark", "score": 1.0}]},
            ],
        },
    ),
    "a forecast with all there is": (
        "forecast",
        {"model": "steps", "series": [RAMP]},
        {
            "model": "steps",
            "version": 7,
            "forecasts": [
                {
                    "values": [7.0, 8.0, 9.0],
                    "quantiles": [
                        {"level": 0.1, "values": [-3.0, -2.0, -1.0]},
                        {"level": 0.5, "values": [7.0, 8.0, 9.0]},
                        {"level": 0.9, "values": [17.0, 18.0, 19.0]},
                    ],
                }
            ],
        },
    ),
    "series of different lengths, some levels, fewer steps": (
        "forecast",
        {"model": "steps", "series": [RAMP, [*RAMP, 100.0]], "horizon": 1, "quantiles": [0.9, 0.1, 0.9]},
        {
            "model": "steps",
            "version": 7,
            "forecasts": [
                {"values": [7.0], "quantiles": [{"level": 0.1, "values": [-3.0]}, {"level": 0.9, "values": [17.0]}]},
                {"values": [101.0], "quantiles": [{"level": 0.1, "values": [91.0]}, {"level": 0.9, "values": [111.0]}]},
            ],
        },
    ),
}  # fmt: skip

REFUSALS: dict[str, tuple[str, dict[str, Any], ErrorKind, tuple[str, ...]]] = {
    "unknown model": ("classify", {"model": "nope", "images": [BLACK]}, ErrorKind.MODEL_NOT_FOUND, ("model",)),
    "unknown version": ("classify", {"model": "shades", "images": [BLACK], "version": 9}, ErrorKind.MODEL_NOT_FOUND, ("version",)),
    "version that failed to load": ("classify", {"model": "shades", "images": [BLACK], "version": 3}, ErrorKind.NOT_READY, ()),
    "version zero": ("classify", {"model": "shades", "images": [BLACK], "version": 0}, ErrorKind.MODEL_NOT_FOUND, ("version",)),
    "version below zero": ("classify", {"model": "shades", "images": [BLACK], "version": -1}, ErrorKind.INVALID_INPUT, ("version",)),
    "forecaster asked to classify": ("classify", {"model": "steps", "images": [BLACK]}, ErrorKind.WRONG_MODEL_KIND, ("model",)),
    "classifier asked to forecast": ("forecast", {"model": "shades", "series": [RAMP]}, ErrorKind.WRONG_MODEL_KIND, ("model",)),
    "generic model asked to forecast": ("forecast", {"model": "double", "series": [RAMP]}, ErrorKind.WRONG_MODEL_KIND, ("model",)),
    "no images": ("classify", {"model": "shades", "images": []}, ErrorKind.INVALID_INPUT, ("images",)),
    "no series": ("forecast", {"model": "steps", "series": []}, ErrorKind.INVALID_INPUT, ("series",)),
    "image that is nothing": ("classify", {"model": "shades", "images": [BLACK, {}]}, ErrorKind.INVALID_INPUT, ("images[1]",)),
    "pixels of another size": ("classify", {"model": "shades", "images": [BLACK, {"pixels": [[0] * 5] * 4}]}, ErrorKind.INVALID_INPUT, ("images[1].pixels",)),
    "pixels of another rank": ("classify", {"model": "shades", "images": [{"pixels": [0] * 16}]}, ErrorKind.INVALID_INPUT, ("images[0].pixels",)),
    "pixels with other channels": ("classify", {"model": "shades", "images": [{"pixels": [[[0, 0, 0]] * 4] * 4}]}, ErrorKind.INVALID_INPUT, ("images[0].pixels",)),
    "top_k zero": ("classify", {"model": "shades", "images": [BLACK], "top_k": 0}, ErrorKind.INVALID_INPUT, ("top_k",)),
    "top_k below zero": ("classify", {"model": "shades", "images": [BLACK], "top_k": -1}, ErrorKind.INVALID_INPUT, ("top_k",)),
    "file that is no image": ("classify", {"model": "shades", "images": [{"encoded": b"hello"}]}, ErrorKind.INVALID_INPUT, ("images[0].encoded",)),
    "file that is empty": ("classify", {"model": "shades", "images": [{"encoded": b""}]}, ErrorKind.INVALID_INPUT, ("images[0].encoded",)),
    "file that is cut off": ("classify", {"model": "shades", "images": [{"encoded": png()[:-9]}]}, ErrorKind.INVALID_INPUT, ("images[0].encoded",)),
    "file with too many pixels": ("classify", {"model": "shades", "images": [{"encoded": png(101, 100)}]}, ErrorKind.TOO_LARGE, ("images[0].encoded",)),
    "too many images": ("classify", {"model": "shades", "images": [BLACK] * 5}, ErrorKind.TOO_LARGE, ("images",)),
    "too many series": ("forecast", {"model": "steps", "series": [RAMP] * 5}, ErrorKind.TOO_LARGE, ("series",)),
    "series too short": ("forecast", {"model": "steps", "series": [RAMP, RAMP[1:]]}, ErrorKind.INVALID_INPUT, ("series[1]",)),
    "empty series": ("forecast", {"model": "steps", "series": [[]]}, ErrorKind.INVALID_INPUT, ("series[0]",)),
    "number beyond float32": ("forecast", {"model": "steps", "series": [[*RAMP, 1e39]]}, ErrorKind.INVALID_INPUT, ("series[0][6]",)),
    "horizon too long": ("forecast", {"model": "steps", "series": [RAMP], "horizon": 4}, ErrorKind.INVALID_INPUT, ("horizon",)),
    "horizon zero": ("forecast", {"model": "steps", "series": [RAMP], "horizon": 0}, ErrorKind.INVALID_INPUT, ("horizon",)),
    "unknown quantile": ("forecast", {"model": "steps", "series": [RAMP], "quantiles": [0.5, 0.25]}, ErrorKind.INVALID_INPUT, ("quantiles[1]",)),
    "quantile that is none": ("forecast", {"model": "steps", "series": [RAMP], "quantiles": [1.5]}, ErrorKind.INVALID_INPUT, ("quantiles[0]",)),
}  # fmt: skip


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("case", ANSWERS)
async def test_answers(served: Served, transport: Transport, case: str) -> None:
    method, fields, expected = ANSWERS[case]
    outcome = await getattr(transport(served), method)(**fields)
    assert (outcome.code, outcome.message) == ("ok", "")
    assert outcome.answer == approximately(expected)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_how_unlike_the_known_an_image_is_comes_from_models_that_say_it(transport: Transport) -> None:
    async with serving(backend="tests.fakes:WaryBackend") as served:
        ask = {"images": [BLACK, {"encoded": png()}, WHITE], "top_k": 1}
        told = await transport(served).classify("shades", **ask)
        assert [result["ood_score"] for result in told.answer["results"]] == [0.0, 0.0, 2.0]
        untold = await transport(served).classify("shades", **ask, version=1)
        assert [set(result) for result in untold.answer["results"]] == [{"classes"}] * 3


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("case", REFUSALS)
async def test_refusals(transport: Transport, case: str) -> None:
    method, fields, kind, where = REFUSALS[case]
    async with serving(max_request_rows=4, max_image_pixels=10_000) as served:
        client = transport(served)
        outcome = await getattr(client, method)(**fields)
        assert (outcome.code, outcome.where) == (kind.value, where), outcome.message
        assert served.backend.runs == 0
        assert (await client.classify("shades", images=[BLACK])).code == "ok"


@pytest.mark.parametrize("case", REFUSALS)
async def test_refusals_say_the_same_over_both_transports(case: str) -> None:
    method, fields, _, _ = REFUSALS[case]
    async with serving(max_request_rows=4, max_image_pixels=10_000) as served:
        said = {(await getattr(transport(served), method)(**fields)).message for transport in TRANSPORTS}
    assert len(said) == 1


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_an_image_that_only_the_model_finds_damaged_is_located(served: Served, transport: Transport) -> None:
    file = io.BytesIO()
    Image.new("L", (4, 4)).save(file, "JPEG", comment="damaged")
    images = [{"encoded": png()} for _ in range(7)]
    for at in range(7):
        damaged = [*images[:at], BLACK, {"encoded": file.getvalue()}, *images[at:]]
        outcome = await transport(served).classify("shades", images=damaged)
        assert (outcome.code, outcome.where) == ("invalid_input", (f"images[{at + 1}].encoded",))
        assert "cannot decode that" in outcome.message


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("kind", [ErrorKind.BACKEND_FAILED, ErrorKind.BACKEND_UNAVAILABLE, ErrorKind.OVERLOADED])
async def test_failures_of_the_backend_keep_their_meaning(
    served: Served, transport: Transport, kind: ErrorKind
) -> None:
    served.backend.failure = GatewayError(kind, "it broke")
    outcome = await transport(served).classify("shades", images=[BLACK])
    assert outcome.code == kind.value
    # Why a replica cannot be reached is the operator's business.
    expected = "cannot be reached" if served.behind and kind is ErrorKind.BACKEND_UNAVAILABLE else "it broke"
    assert expected in outcome.message


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_an_unexpected_failure_shows_the_request_id_and_nothing_else(
    served: Served, transport: Transport
) -> None:
    served.backend.failure = RuntimeError("/secret/path")
    outcome = await transport(served).classify("shades", images=[BLACK])
    assert outcome.code == ("backend_failed" if served.behind else "internal")
    assert "secret" not in outcome.message
    assert outcome.request_id


async def test_models_are_described_alike(served: Served) -> None:
    over_rest, over_grpc = await Rest(served).models(), await Grpc(served).models()
    names = [model["name"] for model in over_rest.answer["models"]]
    assert names == ["double", "shades", "steps"]
    assert over_grpc.answer == over_rest.answer


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_one_model_is_described(served: Served, transport: Transport) -> None:
    model = (await transport(served).model("shades")).answer["model"]
    assert [(version["version"], version["state"]) for version in model["versions"]] == [
        (3, "END"),
        (2, "AVAILABLE"),
        (1, "AVAILABLE"),
    ]
    assert model["versions"][0]["error"] == "half of it is missing"
    assert model["versions"][1]["image_classifier"]["labels"] == ["dark", "grey", "bright"]
    forecaster = (await transport(served).model("steps", version=7)).answer["model"]["versions"][0]
    assert forecaster["forecaster"] == {
        "window": 6, "features": 1, "horizon": 3, "quantile_levels": [0.1, 0.5, 0.9]
    }  # fmt: skip


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_one_version_is_described(served: Served, transport: Transport) -> None:
    model = (await transport(served).model("shades", version=1)).answer["model"]
    assert [version["version"] for version in model["versions"]] == [1]
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"model": "nope"}, "model"),
        ({"model": "shades", "version": 9}, "version"),
    ]
    for fields, where in wrong:
        outcome = await transport(served).model(**fields)
        assert (outcome.code, outcome.where) == ("model_not_found", (where,))
