"""Labels that several versions share by weight mean the same over REST and gRPC."""

from typing import Any

import numpy as np
import pytest
from google.protobuf.json_format import MessageToDict

from service.errors import ErrorKind
from tensorgate.client import InvalidInput, Limits, aio
from tensorgate.v1 import tensorgate_pb2 as pb
from tests.clients import Grpc, Outcome, Rest
from tests.conftest import Served, serving

pytestmark = pytest.mark.usefixtures("with_grpc_server")

TRANSPORTS = [Rest, Grpc]
SESSION = "x-tensorgate-session"
BLACK = {"pixels": [[0] * 4] * 4}


async def split(served: Served, transport: type[Any], weights: dict[Any, int], **fields: Any) -> Outcome:
    """Has versions share a label, with keys as the transport has them."""
    keyed = {str(version) if transport is Rest else version: weight for version, weight in weights.items()}
    outcome: Outcome = await transport(served).set_label("shades", "stable", weights=keyed, **fields)
    return outcome


async def version_of(served: Served, transport: type[Any], session: str | None = None, **fields: Any) -> Any:
    """Asks for the label; returns the version that says that it answered."""
    if transport is Rest:
        headers = {} if session is None else {SESSION: session}
        body = {"images": [BLACK], "label": "stable"} | fields
        answer = await served.rest.post("/api/v1/models/shades/classify", json=body, headers=headers)
        assert answer.headers["x-tensorgate-model-version"] == str(answer.json()["version"])
        return answer.json()["version"]
    metadata = () if session is None else ((SESSION, session),)
    image = pb.Image(pixels=pb.Pixels(shape=[4, 4], values=[0] * 16))
    request = pb.ClassifyRequest(model="shades", images=[image], label="stable", **fields)
    return (await served.stub.Classify(request, metadata=metadata)).version


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_label_is_shared_and_taken_back(served: Served, transport: type[Any]) -> None:
    client = transport(served)
    set_to = await split(served, transport, {1: 50, 2: 50})
    assert set_to.code == "ok"
    assert set_to.answer["model"]["labels"] == {"stable": 2}
    assert set_to.answer["model"]["splits"] == {"stable": {"weights": {"1": 50, "2": 50}}}
    assert {await version_of(served, transport) for _ in range(60)} == {1, 2}
    for number in range(10):
        assert len({await version_of(served, transport, f"somebody {number}") for _ in range(4)}) == 1
    assert (await split(served, transport, {1: 1, 2: 0})).answer["model"]["labels"] == {"stable": 1}
    assert {await version_of(served, transport) for _ in range(20)} == {1}
    moved = (await client.set_label("shades", "stable", version=2)).answer["model"]
    assert (moved["labels"], moved.get("splits", {})) == ({"stable": 2}, {})
    await split(served, transport, {1: 1, 2: 1})
    assert (await client.delete_label("shades", "stable")).answer["model"].get("splits", {}) == {}


async def test_the_client_says_whose_session_it_is(served: Served) -> None:
    await split(served, Rest, {1: 50, 2: 50})
    async with aio.Client(f"127.0.0.1:{served.runtime.grpc_port}") as client:
        for session in map(str, range(8)):
            model = client.model("shades", label="stable", session=session)
            answer = await model.classify(np.zeros((4, 4), np.uint8))
            assert answer.version == await version_of(served, Grpc, session)
        with pytest.raises(InvalidInput, match="session: expected ASCII"):
            client.model("shades", session="\n")


async def test_a_session_has_one_version_over_both_transports(served: Served) -> None:
    await split(served, Rest, {1: 50, 2: 50})
    for number in range(20):
        over = {await version_of(served, transport, f"somebody {number}") for transport in TRANSPORTS}
        assert len(over) == 1
    assert (await Rest(served).model("shades")).answer == (await Grpc(served).model("shades")).answer


REFUSED: dict[str, tuple[dict[Any, int], dict[str, Any], ErrorKind, tuple[str, ...]]] = {
    "both": ({1: 1, 2: 1}, {"version": 1}, ErrorKind.INVALID_INPUT, ("version",)),
    "no weight": ({1: 0}, {}, ErrorKind.INVALID_INPUT, ("weights",)),
    "below zero": ({1: 5, 2: -1}, {}, ErrorKind.INVALID_INPUT, ("weights",)),
    "too heavy": ({1: 5, 2: 2_000_000}, {}, ErrorKind.INVALID_INPUT, ("weights",)),
    "no version": ({-1: 5}, {}, ErrorKind.INVALID_INPUT, ("weights",)),
    "too many": (dict.fromkeys(range(1, 18), 1), {}, ErrorKind.INVALID_INPUT, ("weights",)),
    "unknown version": ({1: 5, 9: 5}, {}, ErrorKind.FAILED_PRECONDITION, ()),
    "version that failed": ({1: 5, 3: 5}, {}, ErrorKind.FAILED_PRECONDITION, ()),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_is_no_split_is_refused_alike(served: Served, case: str) -> None:
    weights, fields, kind, where = REFUSED[case]
    outcomes = [await split(served, transport, weights, **fields) for transport in TRANSPORTS]
    assert [(outcome.code, outcome.where) for outcome in outcomes] == [(kind.value, where)] * 2
    assert len({outcome.message for outcome in outcomes}) == 1
    assert served.runtime.catalog.labels("shades") == {}


async def test_who_may_not_control_models_may_not_split_requests() -> None:
    async with serving(allow_model_control=False) as served:
        for transport in TRANSPORTS:
            assert (await split(served, transport, {1: 1, 2: 1})).code == "forbidden"


async def test_a_model_without_a_rollout_says_so_over_both(served: Served) -> None:
    over_rest = (await served.rest.get("/api/v1/models/shades/rollout")).json()
    over_grpc = await served.stub.GetRollout(pb.GetRolloutRequest(model="shades"))
    told = MessageToDict(over_grpc, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    assert over_rest["phase"] == over_grpc.phase == "none"
    assert set(told) == set(over_rest)
    missing = await served.rest.get("/api/v1/models/nope/rollout")
    assert (missing.status_code, missing.json()["code"]) == (404, "model_not_found")


async def test_the_parts_of_a_batch_of_the_client_are_answered_by_one_version(served: Served) -> None:
    await split(served, Grpc, {1: 50, 2: 50})
    address = f"127.0.0.1:{served.runtime.grpc_port}"
    image = np.zeros((4, 4), np.uint8)
    async with aio.Client(address, limits=Limits(rows=1)) as client:
        model, versions = client.model("shades", label="stable"), set()
        for _ in range(20):
            answers = await model.classify([image] * 8)
            [version] = {answer.version for answer in answers}
            versions.add(version)
        assert versions == {1, 2}
        fixed = client.model("shades", label="stable", session="one")
        assert len({answer.version for _ in range(5) for answer in await fixed.classify([image] * 8)}) == 1
