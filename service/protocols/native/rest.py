"""The typed API over REST: bodies to fields, fields to the same messages as over gRPC, answers to JSON."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from pydantic import BaseModel
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.core import call as calls
from service.core.catalog import Catalog
from service.errors import ErrorKind, GatewayError, Violation, invalid_input, shown
from service.protocols.native.classify import Classifier
from service.protocols.native.forecast import SeriesForecaster
from service.protocols.native.models import get_model, list_models
from service.schemas import ClassifyRequest, ForecastRequest, GetModelRequest
from service.validation import validated

PREFIX = "/api/v1/models"
JSON = "application/json"
FORM = "multipart/form-data"
IMAGES = ("image/png", "image/jpeg", "image/gif", "image/bmp")

_INTEGER = re.compile(r"-?[0-9]{1,20}")
_FLOAT = re.compile(r"-?[0-9]*\.[0-9]+(?:[eE][-+]?[0-9]{1,3})?")
_REPEATED = frozenset({"quantiles"})

Fields = dict[str, Any]


class NativeRest:
    """The handlers of the typed API.

    Args:
        catalog: The models that there are.
        classifier: Answers classify.
        forecaster: Answers forecast.
    """

    def __init__(self, *, catalog: Catalog, classifier: Classifier, forecaster: SeriesForecaster) -> None:
        self._catalog = catalog
        self._classifier = classifier
        self._forecaster = forecaster

    def routes(self) -> list[Route]:
        """Returns the routes of the typed API."""
        return [
            Route(PREFIX, self.list_models, methods=["GET"]),
            Route(PREFIX + "/{model}", self.get_model, methods=["GET"]),
            Route(PREFIX + "/{model}/classify", self.classify, methods=["POST"]),
            Route(PREFIX + "/{model}/forecast", self.forecast, methods=["POST"]),
        ]

    async def list_models(self, request: Request) -> Response:
        """Answers ``GET /api/v1/models``."""
        _refuse_fields(_query(request))
        return _response(list_models(self._catalog))

    async def get_model(self, request: Request) -> Response:
        """Answers ``GET /api/v1/models/{model}``."""
        wanted = validated(GetModelRequest, _merged(request.path_params, _query(request)))
        return _response(get_model(self._catalog, wanted))

    async def classify(self, request: Request) -> Response:
        """Answers ``POST /api/v1/models/{model}/classify``: JSON, an image file, or a form with image files."""
        call = calls.current()
        media_type = _media_type(request, (JSON, *IMAGES, FORM))
        query = _query(request)
        if media_type == FORM:
            async with request.form() as form:
                body = await _form_fields(form)
        elif media_type == JSON:
            data = await request.body()
            with call.phase("decode"):
                body = _json_object(data)
        else:
            body = {"images": [{"encoded": await request.body()}]}
        with call.phase("decode"):
            fields = _merged(request.path_params, query, body)
        with call.phase("validate"):
            wanted = validated(ClassifyRequest, fields)
        return _response(await self._classifier.classify(wanted, call))

    async def forecast(self, request: Request) -> Response:
        """Answers ``POST /api/v1/models/{model}/forecast``: JSON."""
        call = calls.current()
        _media_type(request, (JSON,))
        data = await request.body()
        with call.phase("decode"):
            fields = _merged(request.path_params, _query(request), _json_object(data))
        with call.phase("validate"):
            wanted = validated(ForecastRequest, fields)
        return _response(await self._forecaster.forecast(wanted, call))


def _media_type(request: Request, accepted: Sequence[str]) -> str:
    """Returns the body's media type.

    Raises:
        GatewayError: UNSUPPORTED_FORMAT.
    """
    given = request.headers.get("content-type", "")
    media_type = given.partition(";")[0].strip().lower()
    if media_type not in accepted:
        raise invalid_input(
            Violation("Content-Type", f"one of {', '.join(accepted)}", shown(given) if given else "nothing"),
            kind=ErrorKind.UNSUPPORTED_FORMAT,
        )
    encoding = request.headers.get("content-encoding", "identity")
    if encoding != "identity":
        raise invalid_input(
            Violation("Content-Encoding", "a body that is not compressed", shown(encoding)),
            kind=ErrorKind.UNSUPPORTED_FORMAT,
        )
    return media_type


def _json_object(data: bytes) -> Fields:
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        violation = Violation("body", "JSON", f"something else: {error}" if data else "an empty body")
        raise GatewayError(ErrorKind.MALFORMED, str(violation), [violation]) from None
    if not isinstance(value, dict):
        raise invalid_input(Violation("body", "an object", shown(value)))
    return value


async def _form_fields(form: FormData) -> Fields:
    """Returns the files of a form as images, in their order, and its other fields as they read."""
    images = []
    fields: Fields = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            images.append({"encoded": await value.read()})
        elif name in fields:
            raise invalid_input(Violation(name, "one value", "several"))
        else:
            fields[name] = _scalar(value)
    return _merged({"images": images}, fields)


def _query(request: Request) -> Fields:
    """Returns the query's parameters as fields of the message."""
    fields: Fields = {}
    for name, text in request.query_params.multi_items():
        value = _scalar(text)
        if name in _REPEATED:
            fields.setdefault(name, []).append(value)
        elif name in fields:
            raise invalid_input(Violation(name, "one value", "several"))
        else:
            fields[name] = value
    return fields


def _scalar(text: str) -> int | float | str:
    """Reads a number where there is one: queries and forms have only text."""
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _merged(*parts: Mapping[str, Any]) -> Fields:
    """Returns all fields of the path, the query and the body.

    Raises:
        GatewayError: INVALID_INPUT when a field is given in two places.
    """
    fields: Fields = {}
    for part in parts:
        for name, value in part.items():
            if name in fields:
                raise invalid_input(Violation(name, "a field in one place", "it in two of path, query and body"))
            fields[name] = value
    return fields


def _refuse_fields(fields: Fields) -> None:
    for name, value in fields.items():
        raise invalid_input(Violation(name, "no such field", shown(value)))


def _response(message: BaseModel) -> Response:
    call = calls.current()
    with call.phase("encode"):
        return Response(message.model_dump_json(exclude_none=True), media_type=JSON)
