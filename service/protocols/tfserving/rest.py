"""TensorFlow Serving's REST API: its paths, bodies to requests, answers to JSON."""

import re
from typing import Any
from urllib.parse import unquote

import orjson
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from service.codecs.content_encoding import decompressed
from service.codecs.json_document import JsonError, parse_json
from service.core import call as calls
from service.core.call import Call
from service.core.catalog import ModelRef, ModelVersion
from service.core.engine import Engine
from service.core.offload import offloaded
from service.core.tensors import Tensor, byte_size
from service.errors import ErrorKind, GatewayError, Violation, invalid_input, shown
from service.protocols.tfserving.answers import classifications_json, columns_json, regressions_json, rows_json
from service.protocols.tfserving.examples import input_from_json, serialized_examples
from service.protocols.tfserving.instances import check_examples, document_of, predict_body, signature_name_of
from service.protocols.tfserving.labelled import classify, classify_signature, regress, regress_signature
from service.protocols.tfserving.models import SIGNATURE_DEF, model_spec, model_status, signature_map
from service.protocols.tfserving.predict import predict, resolve, signature_named

PREFIX = "/v1/"

_MODEL = r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
_POST = re.compile(_MODEL + r":(?P<verb>classify|regress|predict)", re.IGNORECASE)
_GET = re.compile(_MODEL + r"(?:/(?P<what>metadata))?", re.IGNORECASE)
_MAX_VERSION = 2**63 - 1
_NO_SIGNATURE = 'Serving signature name: "{name}" not found in signature def'


def owns(path: str) -> bool:
    """Tells whether a path is one of this API's, in whatever case it is written."""
    return path[: len(PREFIX)].lower() == PREFIX


class TfServingRest(BaseRoute):
    """All paths below ``/v1/``: it tells them apart itself, as upstream's do not read like a router's.

    Args:
        engine: Has the models and runs them.
        max_request_bytes: How many bytes a compressed body may unpack to.
    """

    def __init__(self, engine: Engine, *, max_request_bytes: int) -> None:
        self._engine = engine
        self._max_request_bytes = max_request_bytes

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Takes every path that is of this API."""
        return (Match.FULL if scope["type"] == "http" and owns(scope["path"]) else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path = request.scope["raw_path"].decode("latin-1").partition("?")[0]
        if request.method == "POST" and (match := _POST.fullmatch(path)) and match["verb"].islower():
            request.scope["tensorgate.method"] = f"POST {_template(match)}:{match['verb']}"
            return _json(await self._post(match, request))
        if request.method == "GET" and (match := _GET.fullmatch(path)):
            # Upstream compares the word as it is written, and takes any other writing for the path without it.
            suffix = "/metadata" if match["what"] == "metadata" else ""
            request.scope["tensorgate.method"] = f"GET {_template(match)}{suffix}"
            wanted = _reference(match)
            return _json(self._metadata(wanted) if suffix else self._status(wanted))
        if request.method == "GET" and path.lower() == "/v1/models":
            raise GatewayError(ErrorKind.NOT_FOUND, "Missing model name in request.")
        raise GatewayError(ErrorKind.NOT_FOUND, f"Malformed request: {request.method} {path[:1024]}")

    async def _post(self, match: re.Match[str], request: Request) -> bytes:
        call = calls.current()
        wanted = _reference(match)
        self._engine.attribute(wanted.name, call)
        data = await self._body(request, call)
        with call.phase("decode"):
            arrays = match["verb"] == "predict"
            document = await offloaded(len(data), lambda: self._document(data, arrays=arrays))
            signature_name = signature_name_of(document)
        if match["verb"] == "predict":
            return await self._predict(wanted, signature_name, document, len(data), call)
        return await self._labelled(match["verb"], wanted, signature_name, (document, len(data)), call)

    async def _body(self, request: Request, call: Call) -> bytes:
        """Returns the body; upstream knows gzip, ignores other encodings, and takes what is damaged for nothing."""
        data = await request.body()
        if request.headers.get("content-encoding", "").strip().lower() != "gzip":
            return data
        try:
            return await decompressed(data, "gzip", limit=self._max_request_bytes, hold=call.hold)
        except GatewayError as error:
            if error.kind is ErrorKind.MALFORMED:
                return b""
            raise

    def _document(self, data: bytes, *, arrays: bool) -> dict[str, Any]:
        try:
            return document_of(parse_json(data, bounds=self._engine.bounds, rubbish_after=True, arrays=arrays))
        except JsonError as error:
            violation = Violation("body", "JSON", f"{len(data)} other bytes" if data else "nothing")
            raise invalid_input(violation, kind=ErrorKind.MALFORMED).reworded(f"JSON Parse error: {error}") from None

    async def _predict(
        self, wanted: ModelRef, signature_name: str, document: dict[str, Any], size: int, call: Call
    ) -> bytes:
        version = resolve(self._engine, wanted, call)
        signature = signature_named(self._engine, version, signature_name, _NO_SIGNATURE)
        with call.phase("decode"):
            body = await offloaded(size, lambda: predict_body(document, signature, bounds=self._engine.bounds))
        outputs = await predict(self._engine, version, signature, body.inputs, call=call)
        with call.phase("encode"):
            write = rows_json if body.rows else columns_json
            return await offloaded(byte_size(outputs.values()), lambda: write(outputs))

    async def _labelled(
        self, verb: str, wanted: ModelRef, signature_name: str, body: tuple[dict[str, Any], int], call: Call
    ) -> bytes:
        document, size = body
        with call.phase("decode"):
            check_examples(document)
            examples = await offloaded(size, lambda: self._examples(document, call))
        version = resolve(self._engine, wanted, call)
        if verb == "classify":
            signature = classify_signature(self._engine, version, signature_name)
            return classifications_json(await classify(self._engine, version, signature, examples, call))
        signature = regress_signature(self._engine, version, signature_name)
        return regressions_json(await regress(self._engine, version, signature, examples, call))

    def _examples(self, document: dict[str, Any], call: Call) -> Tensor:
        bounds = self._engine.bounds
        return serialized_examples(input_from_json(document, bounds=bounds), bounds=bounds, hold=call.hold)

    def _status(self, wanted: ModelRef) -> bytes:
        return orjson.dumps(_dict(model_status(self._engine, wanted, calls.current())))

    def _metadata(self, wanted: ModelRef) -> bytes:
        version: ModelVersion = resolve(self._engine, wanted, calls.current())
        return orjson.dumps(
            {
                "model_spec": _dict(model_spec(version)),
                "metadata": {SIGNATURE_DEF: _dict(signature_map(version))},
            }
        )


def _reference(match: re.Match[str]) -> ModelRef:
    """Returns which model a path names; its parts are decoded after they were told apart.

    Raises:
        GatewayError: INVALID_INPUT for a version that is beyond 64 bits.
    """
    label = match["label"]
    if match["version"] is None:
        return ModelRef(unquote(match["name"]), label=None if label is None else unquote(label))
    digits = match["version"].lstrip("0") or "0"
    if len(digits) > len(str(_MAX_VERSION)) or int(digits) > _MAX_VERSION:
        error = invalid_input(Violation("version", "a number of 64 bits", shown(digits)))
        raise error.reworded(f"Failed to convert version: {shown(digits)} to numeric.")
    return ModelRef(unquote(match["name"]), version=int(digits))


def _template(match: re.Match[str]) -> str:
    if match["version"] is not None:
        return "/v1/models/{model}/versions/{version}"
    return "/v1/models/{model}/labels/{label}" if match["label"] is not None else "/v1/models/{model}"


def _dict(message: Message) -> dict[str, Any]:
    """Returns a message as upstream writes it: the proto's field names, and values that are the default too."""
    made: dict[str, Any] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return made


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")
