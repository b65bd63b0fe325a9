"""The typed API over REST: bodies to fields, fields to the same messages as over gRPC, answers to JSON."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.core import call as calls
from service.core.engine import Engine
from service.core.offload import offloaded
from service.errors import ErrorKind, GatewayError, Violation, invalid_input, shown
from service.protocols.native.classify import Classifier
from service.protocols.native.forecast import SeriesForecaster
from service.protocols.native.json_body import Fields, json_object, length, message_of
from service.protocols.native.labels import ModelLabels
from service.protocols.native.models import get_model, list_models
from service.schemas import ClassifyRequest, DeleteLabelRequest, ForecastRequest, GetModelRequest, SetLabelRequest
from service.validation import validated

PREFIX = "/api/v1/models"
LABEL = PREFIX + "/{model}/labels/{label}"
JSON = "application/json"
FORM = "multipart/form-data"
IMAGES = ("image/png", "image/jpeg", "image/gif", "image/bmp")

_INTEGER = re.compile(r"-?[0-9]{1,20}")
_FLOAT = re.compile(r"-?[0-9]*\.[0-9]+(?:[eE][-+]?[0-9]{1,3})?")
MAX_FORM_PARTS = 10_000
_FORM_TAIL = 1024
_REPEATED = frozenset({"quantiles"})
_TEXT = frozenset({"label"})
"""Fields that stay text, even if they read as numbers."""


class NativeRest:
    """The handlers of the typed API.

    Args:
        engine: Has the models, and the limits that are asked before a body is looked at.
        classifier: Answers classify.
        forecaster: Answers forecast.
        labels: Puts labels on versions.
    """

    def __init__(
        self, *, engine: Engine, classifier: Classifier, forecaster: SeriesForecaster, labels: ModelLabels
    ) -> None:
        self._engine = engine
        self._classifier = classifier
        self._forecaster = forecaster
        self._labels = labels

    def routes(self) -> list[Route]:
        """Returns the routes of the typed API."""
        return [
            Route(PREFIX, self.list_models, methods=["GET"]),
            Route(PREFIX + "/{model}", self.get_model, methods=["GET"]),
            Route(PREFIX + "/{model}/classify", self.classify, methods=["POST"]),
            Route(PREFIX + "/{model}/forecast", self.forecast, methods=["POST"]),
            # One route, so that a refusal of another verb names both.
            Route(LABEL, self.label, methods=["PUT", "DELETE"]),
        ]

    async def list_models(self, request: Request) -> Response:
        """Answers ``GET /api/v1/models``."""
        _refuse_fields(_query(request))
        return _response(list_models(self._engine.catalog))

    async def get_model(self, request: Request) -> Response:
        """Answers ``GET /api/v1/models/{model}``."""
        wanted = validated(GetModelRequest, _merged(request.path_params, _query(request)))
        return _response(get_model(self._engine, wanted, calls.current()))

    async def classify(self, request: Request) -> Response:
        """Answers ``POST /api/v1/models/{model}/classify``: JSON, an image file, or a form with image files."""
        call = calls.current()
        self._engine.attribute(request.path_params["model"], call)
        media_type = _media_type(request, (JSON, *IMAGES, FORM))
        data = await request.body()
        with call.phase("decode"):
            if media_type == FORM:
                body = await self._form_fields(request, data)
            elif media_type == JSON:
                body = await offloaded(len(data), lambda: json_object(data, bounds=self._engine.bounds))
            else:
                body = {"images": [{"encoded": data}]}
            self._engine.bounds.check_rows(length(body.get("images")), where="images")
            fields = _merged(request.path_params, _query(request), body)
            wanted = await offloaded(len(data), lambda: message_of(ClassifyRequest, fields))
        return _response(await self._classifier.classify(wanted, call))

    async def forecast(self, request: Request) -> Response:
        """Answers ``POST /api/v1/models/{model}/forecast``: JSON."""
        call = calls.current()
        self._engine.attribute(request.path_params["model"], call)
        _media_type(request, (JSON,))
        data = await request.body()
        with call.phase("decode"):
            body = await offloaded(len(data), lambda: json_object(data, bounds=self._engine.bounds))
            self._engine.bounds.check_rows(length(body.get("series")), where="series")
            fields = _merged(request.path_params, _query(request), body)
            wanted = await offloaded(len(data), lambda: message_of(ForecastRequest, fields))
        return _response(await self._forecaster.forecast(wanted, call))

    async def label(self, request: Request) -> Response:
        """Answers ``PUT`` and ``DELETE /api/v1/models/{model}/labels/{label}``."""
        return await (self.set_label if request.method == "PUT" else self.delete_label)(request)

    async def set_label(self, request: Request) -> Response:
        """Answers ``PUT /api/v1/models/{model}/labels/{label}``: JSON."""
        call = calls.current()
        self._engine.attribute(request.path_params["model"], call)
        _media_type(request, (JSON,))
        data = await request.body()
        with call.phase("decode"):
            body = await offloaded(len(data), lambda: json_object(data, bounds=self._engine.bounds))
            wanted = message_of(SetLabelRequest, _merged(request.path_params, _query(request), body))
        return _response(await self._labels.set_label(wanted, call))

    async def delete_label(self, request: Request) -> Response:
        """Answers ``DELETE /api/v1/models/{model}/labels/{label}``."""
        wanted = validated(DeleteLabelRequest, _merged(request.path_params, _query(request)))
        return _response(await self._labels.delete_label(wanted, calls.current()))

    async def _form_fields(self, request: Request, data: bytes) -> Fields:
        """Returns the files of a form as images, in their order, and its other fields as they read."""
        _, options = parse_options_header(request.headers["content-type"])
        if b"--" + options.get(b"boundary", b"") + b"--" not in data[-_FORM_TAIL:]:
            # The parser would leave out the last file, silently.
            raise _malformed("a form with its closing boundary", "one that is cut off")
        try:
            async with request.form(max_files=MAX_FORM_PARTS, max_fields=MAX_FORM_PARTS) as form:
                files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
                self._engine.bounds.check_rows(len(files), where="images")
                images = [{"encoded": await file.read()} for file in files]
                texts = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
        except UnicodeError:
            raise _malformed("a form in UTF-8", "one in another character set") from None
        return _merged({"images": images}, _texts(texts))


def _malformed(expected: str, got: str) -> GatewayError:
    return invalid_input(Violation("body", expected, got), kind=ErrorKind.MALFORMED)


def _media_type(request: Request, accepted: Sequence[str]) -> str:
    """Returns the body's media type.

    Raises:
        GatewayError: UNSUPPORTED_FORMAT.
    """
    given = request.headers.get("content-type", "")
    media_type = given.partition(";")[0].strip().lower()
    if media_type not in accepted:
        raise invalid_input(
            Violation("Content-Type", " or ".join(accepted), shown(given) if given else "nothing"),
            kind=ErrorKind.UNSUPPORTED_FORMAT,
        )
    encoding = request.headers.get("content-encoding", "identity")
    if encoding != "identity":
        raise invalid_input(
            Violation("Content-Encoding", "a body that is not compressed", shown(encoding)),
            kind=ErrorKind.UNSUPPORTED_FORMAT,
        )
    return media_type


def _query(request: Request) -> Fields:
    """Returns the query's parameters as fields of the message."""
    return _texts(request.query_params.multi_items())


def _texts(items: Iterable[tuple[str, str]]) -> Fields:
    """Returns fields that came as text, as they read; only some may come several times."""
    fields: Fields = {}
    for name, text in items:
        value = text if name in _TEXT else _scalar(text)
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
                raise invalid_input(Violation(name, "it once", "it twice, in two of path, query and body"))
            fields[name] = value
    return fields


def _refuse_fields(fields: Fields) -> None:
    for name, value in fields.items():
        raise invalid_input(Violation(name, "no such field", shown(value)))


def _response(message: BaseModel) -> Response:
    call = calls.current()
    with call.phase("encode"):
        return Response(message.model_dump_json(exclude_none=True), media_type=JSON)
