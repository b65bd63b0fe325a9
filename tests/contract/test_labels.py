"""Labels of versions mean the same over REST and gRPC: asked for, put on, moved and taken away."""

import asyncio
from typing import Any

import pytest

from service.errors import ErrorKind
from tests.clients import Grpc, Outcome, Rest
from tests.conftest import Served, serving, until

pytestmark = pytest.mark.usefixtures("with_grpc_server")

TRANSPORTS = [Rest, Grpc]

BLACK = {"pixels": [[0] * 4] * 4}
RAMP = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]

REFUSED_LABELS: dict[str, ErrorKind] = {
    "1": ErrorKind.INVALID_INPUT,
    "007": ErrorKind.INVALID_INPUT,
    "\u0663": ErrorKind.INVALID_INPUT,
    "a:b": ErrorKind.INVALID_INPUT,
    "a\nb": ErrorKind.INVALID_INPUT,
    "stable\n": ErrorKind.INVALID_INPUT,
    "\x85": ErrorKind.INVALID_INPUT,
    "x" * 17: ErrorKind.TOO_LARGE,
}

REFUSED_MOVES: dict[str, tuple[dict[str, Any], ErrorKind, tuple[str, ...]]] = {
    "unknown model": ({"model": "nope", "label": "stable", "version": 1}, ErrorKind.MODEL_NOT_FOUND, ("model",)),
    "unknown version": ({"model": "shades", "label": "stable", "version": 9}, ErrorKind.FAILED_PRECONDITION, ()),
    "version that failed": ({"model": "shades", "label": "stable", "version": 3}, ErrorKind.FAILED_PRECONDITION, ()),
    "version zero": ({"model": "shades", "label": "stable", "version": 0}, ErrorKind.FAILED_PRECONDITION, ()),
    "version below zero": (
        {"model": "shades", "label": "stable", "version": -1},
        ErrorKind.INVALID_INPUT,
        ("version",),
    ),
    "no version": ({"model": "shades", "label": "stable"}, ErrorKind.INVALID_INPUT, ("version",)),
    "long model": ({"model": "x" * 17, "label": "stable", "version": 1}, ErrorKind.TOO_LARGE, ("model",)),
}


async def asked(client: Any, **fields: Any) -> Outcome:
    outcome: Outcome = await client.classify("shades", images=[BLACK], **fields)
    return outcome


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_label_names_the_version_that_answers(served: Served, transport: type[Any]) -> None:
    client = transport(served)
    for version in (1, 2, 1):
        moved = await client.set_label("shades", "stable", version=version)
        assert (moved.code, moved.answer["model"]["labels"]) == ("ok", {"stable": version})
        assert (await asked(client, label="stable")).answer["version"] == version
        described = (await client.model("shades", label="stable")).answer["model"]
        assert [entry["version"] for entry in described["versions"]] == [version]
        assert described["labels"] == {"stable": version}
    await client.set_label("steps", "stable", version=7)
    assert (await client.forecast("steps", series=[RAMP], label="stable")).answer["version"] == 7


async def test_both_transports_see_the_same_labels(served: Served) -> None:
    over_rest = await Rest(served).set_label("shades", "β 1.5", version=1)
    over_grpc = await Grpc(served).set_label("shades", "canary", version=2)
    assert over_rest.answer["model"]["labels"] == {"β 1.5": 1}
    assert over_grpc.answer["model"]["labels"] == {"β 1.5": 1, "canary": 2}
    assert (await Rest(served).model("shades")).answer == over_grpc.answer
    assert (await Rest(served).models()).answer == (await Grpc(served).models()).answer
    over_rest = await Rest(served).delete_label("shades", "β 1.5")
    assert over_rest.answer == (await Grpc(served).model("shades")).answer
    assert over_rest.answer["model"]["labels"] == {"canary": 2}
    assert (await Grpc(served).delete_label("shades", "canary")).answer["model"]["labels"] == {}


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("method", ["classify", "forecast", "model"])
async def test_either_version_or_label(served: Served, transport: type[Any], method: str) -> None:
    fields: dict[str, dict[str, Any]] = {"classify": {"images": [BLACK]}, "forecast": {"series": [RAMP]}, "model": {}}
    outcome = await getattr(transport(served), method)("shades", version=1, label="stable", **fields[method])
    assert (outcome.code, outcome.where) == ("invalid_input", ("label",))
    assert outcome.message == "label: expected either version or label, got both"


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_labels_that_there_are_not(served: Served, transport: type[Any]) -> None:
    client = transport(served)
    await client.set_label("shades", "stable", version=1)
    outcomes = [
        await asked(client, label="nope"),
        await client.model("shades", label="nope"),
        await client.delete_label("shades", "nope"),
    ]
    for outcome in outcomes:
        assert (outcome.code, outcome.where) == ("label_not_found", ("label",))
        assert outcome.message == "label: expected one of the labels of 'shades': stable, got 'nope'"
    for outcome in (await client.delete_label("nope", "stable"), await client.model("nope", label="stable")):
        assert (outcome.code, outcome.where) == ("model_not_found", ("model",))
    assert (await asked(client, label="")).where == ("label",)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("label", REFUSED_LABELS)
async def test_what_is_no_label(transport: type[Any], label: str) -> None:
    async with serving(max_name_length=16) as served:
        outcome = await transport(served).set_label("shades", label, version=1)
        assert (outcome.code, outcome.where) == (REFUSED_LABELS[label].value, ("label",))
        assert served.runtime.catalog.labels("shades") == {}


@pytest.mark.parametrize("case", REFUSED_MOVES)
async def test_moves_that_are_refused(case: str) -> None:
    fields, kind, where = REFUSED_MOVES[case]
    async with serving(max_name_length=16) as served:
        outcomes = [await transport(served).set_label(**fields) for transport in (Rest, Grpc)]
        assert [(outcome.code, outcome.where) for outcome in outcomes] == [(kind.value, where)] * 2
        assert len({outcome.message for outcome in outcomes}) == 1
        assert served.runtime.catalog.labels("shades") == {}


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_where_clients_may_not_control_models_they_may_not_move_labels(transport: type[Any]) -> None:
    async with serving(allow_model_control=False) as served:
        served.runtime.catalog.set_labels("shades", {"stable": 1})
        client = transport(served)
        for outcome in (
            await client.set_label("shades", "stable", version=2),
            await client.delete_label("shades", "stable"),
        ):
            assert outcome.code == "forbidden"
            assert "allow_model_control" in outcome.message
        assert (await asked(client, label="stable")).answer["version"] == 1


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_names_that_are_too_long_are_refused(transport: type[Any]) -> None:
    async with serving(max_name_length=16) as served:
        client = transport(served)
        assert (await asked(client, label="x" * 17)).where == ("label",)
        outcome = await client.model("x" * 17)
        assert (outcome.code, outcome.where) == ("too_large", ("model",))


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_label_that_moves_fails_no_request(served: Served, transport: type[Any]) -> None:
    client = transport(served)
    await client.set_label("shades", "stable", version=1)
    answered: list[tuple[str, int]] = []
    done = asyncio.Event()

    async def ask() -> None:
        while not done.is_set():
            outcome = await asked(client, label="stable")
            answered.append((outcome.code, outcome.answer.get("version", 0)))

    asking = [asyncio.create_task(ask()) for _ in range(4)]
    for version in (2, 1, 2):
        assert (await client.set_label("shades", "stable", version=version)).code == "ok"
        count = len(answered)
        await until(lambda: len(answered) >= count + 20)  # noqa: B023  # waited for at once
    done.set()
    await asyncio.gather(*asking)
    assert set(answered) == {("ok", 1), ("ok", 2)}


async def test_a_request_in_flight_keeps_the_version_that_it_began_with(served: Served) -> None:
    client = Rest(served)
    await client.set_label("shades", "stable", version=1)
    served.backend.gate.clear()
    runs = served.backend.runs
    waiting = asyncio.create_task(asked(client, label="stable"))
    await until(lambda: served.backend.runs == runs + 1)
    await client.set_label("shades", "stable", version=2)
    served.backend.gate.set()
    assert (await waiting).answer["version"] == 1


@pytest.mark.parametrize("params", [{"label": "1.5"}, {"label": "v1"}])
async def test_a_label_may_stand_in_the_query_and_stays_text(served: Served, params: dict[str, str]) -> None:
    await Rest(served).set_label("shades", params["label"], version=1)
    response = await served.rest.post("/api/v1/models/shades/classify", params=params, json={"images": [BLACK]})
    assert response.json()["version"] == 1


@pytest.mark.parametrize(
    ("path", "request_fields", "status", "where"),
    [
        ("stable", {"json": {}}, 422, "version"),
        ("stable", {"json": {"version": "1"}}, 422, "version"),
        ("stable", {"json": {"version": 1, "label": "x"}}, 422, "label"),
        ("stable", {"json": {"version": 1, "force": True}}, 422, "force"),
        ("stable", {"json": [1]}, 422, "body"),
        ("stable", {"content": b"{", "headers": {"content-type": "application/json"}}, 400, "body"),
        ("stable", {"content": b"{}", "headers": {"content-type": "text/plain"}}, 415, "Content-Type"),
        ("a%2Fb", {"json": {"version": 1}}, 404, None),
    ],
)
async def test_bodies_over_rest_that_are_wrong(
    served: Served, path: str, request_fields: dict[str, Any], status: int, where: str | None
) -> None:
    response = await served.rest.put(f"/api/v1/models/shades/labels/{path}", **request_fields)
    assert response.status_code == status
    assert [error["where"] for error in response.json()["errors"]] == ([where] if where else [])
    refused = await served.rest.delete("/api/v1/models/shades/labels/stable", params={"version": 1})
    assert refused.json()["errors"][0]["where"] == "version"
