"""The Open Inference Protocol over REST: paths and bodies to messages, answers to JSON."""

from collections.abc import Mapping
from typing import Any

from service.codecs.content_encoding import decompressed
from service.codecs.json_tensor import TEXT_BYTES, dump_json
from service.core.bounds import InputBounds
from service.core.call import Call
from service.core.offload import INLINE_BYTES, offloaded
from service.core.residence import StandbyError
from service.core.rights import Access
from service.core.tensors import byte_size
from service.protocols.open_inference.errors import error_response
from service.protocols.open_inference.inference import Inference
from service.protocols.open_inference.json_fields import optional
from service.protocols.open_inference.messages import apply_timeout
from service.protocols.open_inference.models import ServedModels
from service.protocols.open_inference.rest_answer import encode_answer
from service.protocols.open_inference.rest_request import (
    HEADER_LENGTH,
    decode_body,
    decode_raw_body,
    json_length,
    parse_object,
)
from service.seam.http import HttpRequest, HttpResponse, RestApi, Route

PREFIX = "/v2"

MODELS = PREFIX + "/models"
MODEL = MODELS + "/{model}"
VERSION = MODEL + "/versions/{version}"
REPOSITORY = PREFIX + "/repository"
_OK, _UNAVAILABLE = 200, 503
_HEADER_LENGTH = HEADER_LENGTH.lower().encode()


def owns(path: str) -> bool:
    """Returns whether a path is of this protocol."""
    return path == PREFIX or path.startswith(PREFIX + "/")


class OpenInferenceRest:
    """The handlers of the Open Inference Protocol.

    Args:
        models: Answers all requests but inference.
        inference: Answers inference.
        bounds: Of bodies.
    """

    def __init__(self, *, models: ServedModels, inference: Inference, bounds: InputBounds) -> None:
        self._models = models
        self._inference = inference
        self._bounds = bounds

    def api(self) -> RestApi:
        """Returns this side of the protocol."""
        return RestApi(owns, error_response, self._routes())

    def _routes(self) -> list[Route]:
        return [
            Route("POST", MODEL + "/infer", self.infer, access=Access.INFER),
            Route("POST", VERSION + "/infer", self.infer, place=MODEL + "/infer", access=Access.INFER),
            Route("GET", PREFIX, self.server_metadata, access=Access.AUTHENTICATED),
            Route("GET", PREFIX + "/health/live", self.live, is_probe=True, access=Access.PUBLIC),
            Route("GET", PREFIX + "/health/ready", self.ready, is_probe=True, access=Access.PUBLIC),
            Route("GET", MODELS, self.list_models, access=Access.READ),
            Route("GET", MODEL, self.model_metadata, access=Access.READ),
            Route("GET", VERSION, self.model_metadata, place=MODEL, access=Access.READ),
            Route("GET", MODEL + "/ready", self.model_ready, access=Access.AUTHENTICATED),
            Route("GET", VERSION + "/ready", self.model_ready, place=MODEL + "/ready", access=Access.AUTHENTICATED),
            Route("POST", REPOSITORY + "/index", self.index, access=Access.READ),
            Route("POST", REPOSITORY + "/models/{model}/load", self.load, access=Access.CONTROL),
            Route("POST", REPOSITORY + "/models/{model}/unload", self.unload, access=Access.CONTROL),
        ]

    async def live(self, request: HttpRequest, call: Call) -> HttpResponse:
        """Answers ``GET /v2/health/live``."""
        return _response({"live": True})

    async def ready(self, request: HttpRequest, call: Call) -> HttpResponse:
        """Answers ``GET /v2/health/ready``."""
        ready = self._models.ready()
        return _response({"ready": ready}, _OK if ready else _UNAVAILABLE)

    async def server_metadata(self, request: HttpRequest, call: Call) -> HttpResponse:
        """Answers ``GET /v2``."""
        return _response(self._models.server_metadata())

    async def list_models(self, request: HttpRequest, call: Call) -> HttpResponse:
        """Answers ``GET /v2/models`` as KServe does."""
        return _response({"models": self._models.names(call)})

    async def model_metadata(self, request: HttpRequest, call: Call) -> HttpResponse:
        """Answers ``GET /v2/models/{model}``."""
        return _response(self._models.model_metadata(*_addressed(request), call))

    async def model_ready(self, request: HttpRequest, call: Call) -> HttpResponse:
        """Answers ``GET /v2/models/{model}/ready``."""
        name, version = _addressed(request)
        ready = self._models.model_ready(name, version, call)
        return _response({"name": name, "ready": ready}, _OK if ready else _UNAVAILABLE)

    async def infer(self, request: HttpRequest, call: Call) -> HttpResponse:
        """Answers ``POST /v2/models/{model}/infer``: JSON, JSON and raw tensors, or one raw tensor."""
        try:
            version = self._models.resolve(*_addressed(request), call)
        except StandbyError:
            await self._apply_timeout(request, call)  # loading is part of it
            raise
        body = await self._body(request, call)
        with call.phase("decode"):
            length = json_length(_header(request, _HEADER_LENGTH), body)
            if length or not body:
                message = await offloaded(
                    len(body), lambda: decode_body(body, length, bounds=self._bounds, hold=call.hold)
                )
            else:
                signature = self._models.signature(version, None)
                message = await offloaded(len(body), lambda: decode_raw_body(body, signature, bounds=self._bounds))
        outputs = await self._inference.run(version, message, call)
        with call.phase("encode"):
            size = byte_size(outputs.values())
            if size > INLINE_BYTES and not message.raw:
                call.hold(TEXT_BYTES * size)
            return await offloaded(size, lambda: encode_answer(version, message, outputs))

    async def index(self, request: HttpRequest, call: Call) -> HttpResponse:
        """Answers ``POST /v2/repository/index``."""
        members = await self._members(request, call)
        return _response(self._models.index(call, only_ready=optional(members, "ready", bool, False)))

    async def load(self, request: HttpRequest, call: Call) -> HttpResponse:
        """Answers ``POST /v2/repository/models/{model}/load``."""
        parameters = optional(await self._members(request, call), "parameters", dict, {})
        await self._models.load(request.params["model"], parameters, call)
        return _response({})

    async def unload(self, request: HttpRequest, call: Call) -> HttpResponse:
        """Answers ``POST /v2/repository/models/{model}/unload``."""
        parameters = optional(await self._members(request, call), "parameters", dict, {})
        await self._models.unload(request.params["model"], parameters, call)
        return _response({})

    async def _apply_timeout(self, request: HttpRequest, call: Call) -> None:
        body = await self._body(request, call)
        if length := json_length(_header(request, _HEADER_LENGTH), body):
            document = await offloaded(
                length, lambda: parse_object(body[:length], bounds=self._bounds, hold=call.hold, arrays=True)
            )
            apply_timeout(optional(document, "parameters", dict, {}), call)

    async def _body(self, request: HttpRequest, call: Call) -> bytes:
        with call.phase("decode"):
            encoding = _header(request, b"content-encoding") or ""
            return await decompressed(request.body, encoding, limit=self._bounds.max_request_bytes, hold=call.hold)

    async def _members(self, request: HttpRequest, call: Call) -> Mapping[str, Any]:
        """Returns the members of a body that may be left out."""
        data = await self._body(request, call)
        return (
            await offloaded(len(data), lambda: parse_object(data, bounds=self._bounds, hold=call.hold)) if data else {}
        )


def _addressed(request: HttpRequest) -> tuple[str, str]:
    return request.params["model"], request.params.get("version", "")


def _header(request: HttpRequest, name: bytes) -> str | None:
    """Returns the value of a header; all of them, as one list, where it stands there several times and they differ."""
    values = dict.fromkeys(value.strip(" \t") for value in request.header_values(name))
    return ", ".join(values) if values else None


def _response(document: object, status: int = _OK) -> HttpResponse:
    return HttpResponse(dump_json(document), status)
