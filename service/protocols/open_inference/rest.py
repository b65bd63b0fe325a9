"""The Open Inference Protocol over REST: paths and bodies to messages, answers to JSON."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.codecs.content_encoding import decompressed
from service.codecs.json_tensor import dump_json
from service.core import call as calls
from service.core.bounds import InputBounds
from service.core.offload import offloaded
from service.core.tensors import byte_size
from service.protocols.open_inference.errors import error_response
from service.protocols.open_inference.inference import Inference
from service.protocols.open_inference.json_fields import optional
from service.protocols.open_inference.models import ServedModels
from service.protocols.open_inference.rest_answer import JSON, encode_answer
from service.protocols.open_inference.rest_request import (
    HEADER_LENGTH,
    decode_body,
    decode_raw_body,
    json_length,
    parse_object,
)

PREFIX = "/v2"

MODEL = PREFIX + "/models/{model}"
VERSION = MODEL + "/versions/{version}"
REPOSITORY = PREFIX + "/repository"
_OK, _UNAVAILABLE = 200, 503


class OpenInferenceRest:
    """The handlers of the Open Inference Protocol.

    Args:
        models: Answers every question but inference.
        inference: Answers inference.
        bounds: Of bodies.
        max_request_bytes: How many bytes a compressed body may unpack to.

    Attributes:
        quiet: Paths for probes.
    """

    quiet = frozenset({f"{PREFIX}/health/live", f"{PREFIX}/health/ready"})
    respond = staticmethod(error_response)

    def __init__(
        self, *, models: ServedModels, inference: Inference, bounds: InputBounds, max_request_bytes: int
    ) -> None:
        self._models = models
        self._inference = inference
        self._bounds = bounds
        self._max_request_bytes = max_request_bytes

    @staticmethod
    def owns(path: str) -> bool:
        """Tells whether a path is of this protocol."""
        return path == PREFIX or path.startswith(PREFIX + "/")

    def routes(self) -> list[Route]:
        """Returns the routes; of two with one handler, metrics and logs show the last."""
        return [
            Route(PREFIX, self.server_metadata, methods=["GET"]),
            Route(PREFIX + "/health/live", self.live, methods=["GET"]),
            Route(PREFIX + "/health/ready", self.ready, methods=["GET"]),
            Route(VERSION, self.model_metadata, methods=["GET"]),
            Route(MODEL, self.model_metadata, methods=["GET"]),
            Route(VERSION + "/ready", self.model_ready, methods=["GET"]),
            Route(MODEL + "/ready", self.model_ready, methods=["GET"]),
            Route(VERSION + "/infer", self.infer, methods=["POST"]),
            Route(MODEL + "/infer", self.infer, methods=["POST"]),
            Route(REPOSITORY + "/index", self.index, methods=["POST"]),
            Route(REPOSITORY + "/models/{model}/load", self.load, methods=["POST"]),
            Route(REPOSITORY + "/models/{model}/unload", self.unload, methods=["POST"]),
        ]

    async def live(self, request: Request) -> Response:
        """Answers ``GET /v2/health/live``."""
        return _response({"live": True})

    async def ready(self, request: Request) -> Response:
        """Answers ``GET /v2/health/ready``."""
        ready = self._models.ready()
        return _response({"ready": ready}, _OK if ready else _UNAVAILABLE)

    async def server_metadata(self, request: Request) -> Response:
        """Answers ``GET /v2``."""
        return _response(self._models.server_metadata())

    async def model_metadata(self, request: Request) -> Response:
        """Answers ``GET /v2/models/{model}``."""
        return _response(self._models.model_metadata(*_addressed(request), calls.current()))

    async def model_ready(self, request: Request) -> Response:
        """Answers ``GET /v2/models/{model}/ready``."""
        name, version = _addressed(request)
        ready = self._models.model_ready(name, version, calls.current())
        return _response({"name": name, "ready": ready}, _OK if ready else _UNAVAILABLE)

    async def infer(self, request: Request) -> Response:
        """Answers ``POST /v2/models/{model}/infer``: JSON, JSON and raw tensors, or one raw tensor."""
        call = calls.current()
        version = self._models.resolve(*_addressed(request), call)
        body = await self._body(request)
        with call.phase("decode"):
            length = json_length(_header(request, HEADER_LENGTH), body)
            if length or not body:
                message = await offloaded(len(body), lambda: decode_body(body, length, bounds=self._bounds))
            else:
                signature = self._models.signature(version, None)
                message = await offloaded(len(body), lambda: decode_raw_body(body, signature, bounds=self._bounds))
        outputs = await self._inference.run(version, message, call)
        with call.phase("encode"):
            return await offloaded(byte_size(outputs.values()), lambda: encode_answer(version, message, outputs))

    async def index(self, request: Request) -> Response:
        """Answers ``POST /v2/repository/index``."""
        members = await self._members(request)
        return _response(self._models.index(only_ready=optional(members, "ready", bool, False)))

    async def load(self, request: Request) -> Response:
        """Answers ``POST /v2/repository/models/{model}/load``."""
        parameters = optional(await self._members(request), "parameters", dict, {})
        await self._models.load(request.path_params["model"], parameters, calls.current())
        return _response({})

    async def unload(self, request: Request) -> Response:
        """Answers ``POST /v2/repository/models/{model}/unload``."""
        parameters = optional(await self._members(request), "parameters", dict, {})
        await self._models.unload(request.path_params["model"], parameters, calls.current())
        return _response({})

    async def _body(self, request: Request) -> bytes:
        data, call = await request.body(), calls.current()
        with call.phase("decode"):
            encoding = _header(request, "Content-Encoding") or ""
            return await decompressed(data, encoding, limit=self._max_request_bytes, hold=call.hold)

    async def _members(self, request: Request) -> Mapping[str, Any]:
        """Returns the members of a body that may be left out."""
        data = await self._body(request)
        return await offloaded(len(data), lambda: parse_object(data, bounds=self._bounds)) if data else {}


def _addressed(request: Request) -> tuple[str, str]:
    return request.path_params["model"], request.path_params.get("version", "")


def _header(request: Request, name: str) -> str | None:
    """Returns the value of a header; all of them, as one list, where it stands there several times and they differ."""
    values = dict.fromkeys(value.strip(" \t") for value in request.headers.getlist(name))
    return ", ".join(values) if values else None


def _response(document: object, status: int = _OK) -> Response:
    return Response(dump_json(document), status, media_type=JSON)
