"""TensorFlow Serving's REST API: when a model is looked for, and when the body is read."""

import gzip
from typing import Any

import pytest

from service.core.bounds import InputBounds
from service.core.call import Call
from service.core.deadline import Deadline
from service.core.residence import StandbyError
from service.errors import ErrorKind, GatewayError
from service.protocols.tfserving.rest import TfServingRest
from service.seam.http import HttpRequest


class Engine:
    """Has no model that could answer."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def attribute(self, name: str, call: Call) -> None:
        pass

    def resolve(self, wanted: Any, call: Call) -> Any:
        raise self._error

    def labels(self, name: str, call: Call) -> dict[str, int]:
        return {}


async def infer(verb: str, error: Exception, body: bytes) -> list[int]:
    """Asks for a model; returns what the body made the server hold."""
    engine: Any = Engine(error)
    rest = TfServingRest(engine=engine, models=engine, bounds=InputBounds())
    held: list[int] = []
    call = Call("rest", "predict", "id", Deadline.after(60), hold=held.append)
    request = HttpRequest({"name": "m"}, b"", [(b"content-encoding", b"gzip")], gzip.compress(body))
    with pytest.raises(type(error)) as caught:
        await rest.infer(verb, request, call)
    if isinstance(caught.value, GatewayError):
        raise caught.value
    return held


@pytest.mark.parametrize("verb", ["predict", "classify", "regress"])
async def test_nothing_is_unpacked_for_a_version_that_is_not_in_memory(verb: str) -> None:
    residence: Any = None
    assert await infer(verb, StandbyError(residence), b'{"instances": [1], "examples": [{}]}') == []


@pytest.mark.parametrize("verb", ["predict", "classify", "regress"])
async def test_what_is_wrong_with_the_body_is_said_before_that_there_is_no_model(verb: str) -> None:
    missing = GatewayError(ErrorKind.MODEL_NOT_FOUND, "there is no m")
    with pytest.raises(GatewayError, match="JSON Parse error"):
        await infer(verb, missing, b"{")
    with pytest.raises(GatewayError) as caught:
        await infer(verb, missing, b'{"instances": [1], "examples": [{"x": 1}]}')
    assert caught.value.kind is ErrorKind.MODEL_NOT_FOUND
