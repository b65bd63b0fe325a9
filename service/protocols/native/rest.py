"""The typed API over REST: bodies to fields, fields to the same messages as over gRPC, answers to JSON."""

import re
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from service.core.bounds import InputBounds
from service.core.call import Call
from service.core.engine import Engine
from service.core.offload import offloaded
from service.core.rights import Access
from service.core.rollouts import Rollouts
from service.core.shadow import Shadows
from service.core.visibility import Models
from service.errors import ErrorKind, GatewayError, Violation, invalid_input, shown
from service.protocols.native.card import GetCardRequest, GetPlotRequest, get_card, get_plot
from service.protocols.native.classify import Classifier
from service.protocols.native.drift import GetDriftRequest, get_drift
from service.protocols.native.forecast import SeriesForecaster
from service.protocols.native.json_body import Fields, json_object, length, message_of
from service.protocols.native.labels import DeleteLabelRequest, ModelLabels, SetLabelRequest
from service.protocols.native.models import get_model, list_models
from service.protocols.native.rollout import GetRolloutRequest, get_rollout
from service.protocols.native.shadow import GetShadowRequest, get_shadow
from service.schemas import ClassifyRequest, ForecastRequest, GetModelRequest
from service.seam.http import JSON, HttpRequest, HttpResponse, RestApi, Route
from service.seam.problem import problem_response
from service.validation import validated

PREFIX = "/api/v1/models"
LABEL = PREFIX + "/{model}/labels/{label}"
FORM = "multipart/form-data"
IMAGES = ("image/png", "image/jpeg", "image/gif", "image/bmp")

_INTEGER = re.compile(r"-?[0-9]{1,20}")
_FLOAT = re.compile(r"-?[0-9]*\.[0-9]+(?:[eE][-+]?[0-9]{1,3})?")
_PICTURE = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}
"""Headers of a picture that others made: as SVG it might bring scripts."""
MAX_FORM_PARTS = 10_000
_FORM_TAIL = 1024
_REPEATED = frozenset({"quantiles"})
_TEXT = frozenset({"label"})
"""Fields that stay text, even if they read as numbers."""


def owns(path: str) -> bool:
    """Returns whether a path is of this API."""
    return path.startswith("/api/")


@dataclass(frozen=True, slots=True)
class NativeRest:
    """The handlers of the typed API.

    Attributes:
        engine: Notes models on calls.
        models: Those that there are.
        bounds: Checked before a body is parsed.
        classifier: Answers classify.
        forecaster: Answers forecast.
        labels: Puts labels on versions.
        rollouts: Those that are declared.
        shadows: Likewise.
    """

    engine: Engine
    models: Models
    bounds: InputBounds
    classifier: Classifier
    forecaster: SeriesForecaster
    labels: ModelLabels
    rollouts: Rollouts
    shadows: Shadows

    def api(self) -> RestApi:
        """Returns this side of the typed API."""
        routes = [
            Route("POST", PREFIX + "/{model}/classify", self.classify, access=Access.INFER),
            Route("POST", PREFIX + "/{model}/forecast", self.forecast, access=Access.INFER),
            Route("GET", PREFIX, self.list_models, access=Access.READ),
            Route("GET", PREFIX + "/{model}", self.get_model, access=Access.READ),
            Route("GET", PREFIX + "/{model}/drift", self.get_drift, access=Access.READ),
            Route("GET", PREFIX + "/{model}/rollout", self.get_rollout, access=Access.READ),
            Route("GET", PREFIX + "/{model}/shadow", self.get_shadow, access=Access.READ),
            Route("GET", PREFIX + "/{model}/card", self.get_card, access=Access.READ),
            Route("GET", PREFIX + "/{model}/card/{plot}", self.get_plot, access=Access.READ),
            Route("PUT", LABEL, self.set_label, access=Access.CONTROL),
            Route("DELETE", LABEL, self.delete_label, access=Access.CONTROL),
        ]
        return RestApi(owns, problem_response, routes)

    async def list_models(self, request: HttpRequest, call: Call) -> HttpResponse:
        """Answers ``GET /api/v1/models``."""
        _refuse_fields(_query(request))
        return _response(list_models(self.engine, self.models, call), call)

    async def get_model(self, request: HttpRequest, call: Call) -> HttpResponse:
        """Answers ``GET /api/v1/models/{model}``."""
        wanted = validated(GetModelRequest, _merged(request.params, _query(request)))
        return _response(get_model(self.engine, self.models, wanted, call), call)

    async def get_drift(self, request: HttpRequest, call: Call) -> HttpResponse:
        """Answers ``GET /api/v1/models/{model}/drift``."""
        wanted = validated(GetDriftRequest, _merged(request.params, _query(request)))
        return _response(get_drift(self.engine, wanted, call), call)

    async def get_rollout(self, request: HttpRequest, call: Call) -> HttpResponse:
        """Answers ``GET /api/v1/models/{model}/rollout``."""
        wanted = validated(GetRolloutRequest, _merged(request.params, _query(request)))
        return _response(get_rollout(self.engine, self.models, self.rollouts, wanted, call), call)

    async def get_shadow(self, request: HttpRequest, call: Call) -> HttpResponse:
        """Answers ``GET /api/v1/models/{model}/shadow``."""
        wanted = validated(GetShadowRequest, _merged(request.params, _query(request)))
        return _response(get_shadow(self.engine, self.models, self.shadows, wanted, call), call)

    async def get_card(self, request: HttpRequest, call: Call) -> HttpResponse:
        """Answers ``GET /api/v1/models/{model}/card``."""
        wanted = validated(GetCardRequest, _merged(request.params, _query(request)))
        return _response(await get_card(self.engine, wanted, call), call)

    async def get_plot(self, request: HttpRequest, call: Call) -> HttpResponse:
        """Answers ``GET /api/v1/models/{model}/card/{plot}``: a picture, in which nothing runs."""
        wanted = validated(GetPlotRequest, _merged(request.params, _query(request)))
        data, media_type = await get_plot(self.engine, wanted, call)
        return HttpResponse(data, media_type=media_type, headers=_PICTURE)

    async def classify(self, request: HttpRequest, call: Call) -> HttpResponse:
        """Answers ``POST /api/v1/models/{model}/classify``: JSON, an image file, or a form with image files."""
        self.engine.attribute(request.params["model"], call)
        media_type = _media_type(request, (JSON, *IMAGES, FORM))
        data = request.body
        with call.phase("decode"):
            if media_type == FORM:
                body = await self._form_fields(request)
            elif media_type == JSON:
                body = await offloaded(len(data), lambda: json_object(data, bounds=self.bounds, hold=call.hold))
            else:
                body = {"images": [{"encoded": data}]}
            self.bounds.check_rows(length(body.get("images")), where="images")
            fields = _merged(request.params, _query(request), body)
            wanted = await offloaded(len(data), lambda: message_of(ClassifyRequest, fields))
        return _response(await self.classifier.classify(wanted, call), call)

    async def forecast(self, request: HttpRequest, call: Call) -> HttpResponse:
        """Answers ``POST /api/v1/models/{model}/forecast``: JSON."""
        self.engine.attribute(request.params["model"], call)
        _media_type(request, (JSON,))
        data = request.body
        with call.phase("decode"):
            body = await offloaded(len(data), lambda: json_object(data, bounds=self.bounds, hold=call.hold))
            self.bounds.check_rows(length(body.get("series")), where="series")
            fields = _merged(request.params, _query(request), body)
            self.bounds.check_count(length(fields.get("quantiles")), where="quantiles")
            wanted = await offloaded(len(data), lambda: message_of(ForecastRequest, fields))
        return _response(await self.forecaster.forecast(wanted, call), call)

    async def set_label(self, request: HttpRequest, call: Call) -> HttpResponse:
        """Answers ``PUT /api/v1/models/{model}/labels/{label}``: JSON."""
        self.engine.attribute(request.params["model"], call)
        _media_type(request, (JSON,))
        data = request.body
        with call.phase("decode"):
            body = await offloaded(len(data), lambda: json_object(data, bounds=self.bounds, hold=call.hold))
            wanted = message_of(SetLabelRequest, _merged(request.params, _query(request), body))
        return _response(await self.labels.set_label(wanted, call), call)

    async def delete_label(self, request: HttpRequest, call: Call) -> HttpResponse:
        """Answers ``DELETE /api/v1/models/{model}/labels/{label}``."""
        wanted = validated(DeleteLabelRequest, _merged(request.params, _query(request)))
        return _response(await self.labels.delete_label(wanted, call), call)

    async def _form_fields(self, request: HttpRequest) -> Fields:
        """Returns the files of a form as images, in their order, and its other fields as they read."""
        _, options = parse_options_header(request.header(b"content-type"))
        if b"--" + options.get(b"boundary", b"") + b"--" not in request.body[-_FORM_TAIL:]:
            # The parser would leave out the last file, silently.
            raise _malformed("a form with its closing boundary", "one that is cut off")

        async def body() -> AsyncGenerator[bytes, None]:
            yield request.body

        parser = MultiPartParser(
            Headers(raw=list(request.headers)), body(), max_files=MAX_FORM_PARTS, max_fields=MAX_FORM_PARTS
        )
        try:
            form = await parser.parse()
        except UnicodeError:
            raise _malformed("a form in UTF-8", "one in another character set") from None
        except MultiPartException as error:
            if "maximum" in error.message.lower():  # of its parts, or of the size of one
                raise GatewayError(ErrorKind.TOO_LARGE, f"the form is too large: {error.message}") from None
            raise GatewayError(ErrorKind.MALFORMED, f"the body could not be parsed: {error.message}") from None
        try:
            files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
            self.bounds.check_rows(len(files), where="images")
            images = [{"encoded": await file.read()} for file in files]
            texts = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
        finally:
            await form.close()
        return _merged({"images": images}, _texts(texts))


def _malformed(expected: str, got: str) -> GatewayError:
    return invalid_input(Violation("body", expected, got), kind=ErrorKind.MALFORMED)


def _media_type(request: HttpRequest, accepted: Sequence[str]) -> str:
    """Returns the body's media type.

    Raises:
        GatewayError: UNSUPPORTED_FORMAT.
    """
    given = request.header(b"content-type") or ""
    media_type = given.partition(";")[0].strip().lower()
    if media_type not in accepted:
        raise invalid_input(
            Violation("Content-Type", " or ".join(accepted), shown(given) if given else "nothing"),
            kind=ErrorKind.UNSUPPORTED_FORMAT,
        )
    encoding = request.header(b"content-encoding")
    if encoding not in (None, "identity"):
        raise invalid_input(
            Violation("Content-Encoding", "a body that is not compressed", shown(encoding)),
            kind=ErrorKind.UNSUPPORTED_FORMAT,
        )
    return media_type


def _query(request: HttpRequest) -> Fields:
    """Returns the query's parameters as fields of the message."""
    return _texts(request.query.multi_items())


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


def _response(message: BaseModel, call: Call) -> HttpResponse:
    with call.phase("encode"):
        return HttpResponse(message.model_dump_json(exclude_none=True).encode())
