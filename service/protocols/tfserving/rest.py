"""TensorFlow Serving's REST API: its paths, bodies to requests, answers to JSON."""

import re
from functools import partial
from typing import Any
from urllib.parse import unquote

import orjson
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from service.codecs.content_encoding import decompressed
from service.codecs.json_document import JsonError, parse_json
from service.codecs.json_tensor import TEXT_BYTES
from service.core.bounds import InputBounds
from service.core.call import Call
from service.core.engine import Engine
from service.core.model_version import ModelRef, ModelVersion
from service.core.offload import INLINE_BYTES, offloaded
from service.core.rights import Access
from service.core.tensors import Tensor, byte_size
from service.core.visibility import Models
from service.errors import ErrorKind, GatewayError, Violation, invalid_input, shown
from service.protocols.tfserving import wording
from service.protocols.tfserving.answers import classifications_json, columns_json, regressions_json, rows_json
from service.protocols.tfserving.errors import error_response
from service.protocols.tfserving.examples import input_from_json, serialized_examples
from service.protocols.tfserving.instances import (
    check_complete,
    check_examples,
    document_of,
    predict_body,
    signature_name_of,
)
from service.protocols.tfserving.labelled import classify, classify_signature, regress, regress_signature
from service.protocols.tfserving.models import SIGNATURE_DEF, model_spec, model_status, signature_map
from service.protocols.tfserving.predict import predict, resolve, signature_named
from service.seam.http import Found, HttpRequest, HttpResponse, RestApi, Route

PREFIX = "/v1/"

_MODEL = r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
_POST = re.compile(_MODEL + r":(?P<verb>classify|regress|predict)", re.IGNORECASE)
_GET = re.compile(_MODEL + r"(?:/(?P<what>metadata))?", re.IGNORECASE)
_MAX_VERSION = 2**63 - 1
_NO_SIGNATURE = 'Serving signature name: "{name}" not found in signature def'


def owns(path: str) -> bool:
    """Returns whether a path is one of this API's, in whatever case it is written."""
    return path[: len(PREFIX)].lower() == PREFIX


_PATHS = (
    "GET /v1/models/{model} or .../metadata, or POST /v1/models/{model}:predict, :classify or :regress; "
    "/versions/{version} or /labels/{label} may follow {model}"
)


class TfServingRest:
    """All paths below ``/v1/``, matched here, as upstream's patterns are not those of a router.

    Args:
        engine: Has the models and runs them.
        models: Those that there are.
        bounds: Of bodies.
    """

    def __init__(self, *, engine: Engine, models: Models, bounds: InputBounds) -> None:
        self._engine = engine
        self._models = models
        self._bounds = bounds
        named = "/v1/models/{model}"
        verbs = {verb: partial(self.infer, verb) for verb in ("predict", "classify", "regress")}
        self._routes: dict[tuple[str, str, str], Route] = {}
        for place in ("", "/versions/{version}", "/labels/{label}"):
            self._routes["GET", place, ""] = Route("GET", named + place, self.status, access=Access.READ)
            metadata = Route("GET", f"{named}{place}/metadata", self.metadata, access=Access.READ)
            self._routes["GET", place, "/metadata"] = metadata
            for verb, handle in verbs.items():
                route = Route("POST", f"{named}{place}:{verb}", handle, access=Access.INFER)
                self._routes["POST", place, verb] = route

    def api(self) -> RestApi:
        """Returns this side of the protocol."""
        return RestApi(owns, error_response, tuple(self._routes.values()), self.find)

    def find(self, verb: str, path: str) -> Found:
        """Finds the route of a path; upstream reads the path before it decodes it.

        Raises:
            GatewayError: NOT_FOUND in upstream's words.
        """
        if verb == "POST" and (match := _POST.fullmatch(path)) and match["verb"].islower():
            return self._routes["POST", _place(match), match["verb"]], _params(match)
        if verb == "GET" and (match := _GET.fullmatch(path)):
            # Upstream compares the word as it is written, and takes any other writing for the path without it.
            suffix = "/metadata" if match["what"] == "metadata" else ""
            return self._routes["GET", _place(match), suffix], _params(match)
        if verb == "GET" and path.lower() == "/v1/models":
            violation = Violation("path", "/v1/models/{model}; GET /api/v1/models lists them", "no model")
            raise GatewayError(ErrorKind.NOT_FOUND, "Missing model name in request.", [violation])
        violation = Violation("request", _PATHS, f"{verb} {shown(path)}")
        raise GatewayError(ErrorKind.NOT_FOUND, f"Malformed request: {verb} {path[:1024]}", [violation])

    async def infer(self, verb: str, request: HttpRequest, call: Call) -> HttpResponse:
        """Answers predict, classify and regress."""
        wanted = _reference(request)
        self._engine.attribute(wanted.name, call)
        found = self._found(wanted, call)
        data = await self._body(request, call)
        with call.phase("decode"):
            document = await offloaded(len(data), lambda: self._document(data, call, arrays=verb == "predict"))
            signature_name = signature_name_of(document)
        if verb == "predict":
            return HttpResponse(await self._predict(found, signature_name, document, len(data), call))
        return HttpResponse(await self._labelled(verb, found, signature_name, (document, len(data)), call))

    async def status(self, request: HttpRequest, call: Call) -> HttpResponse:
        """Answers with the states of a model's versions."""
        return HttpResponse(orjson.dumps(_dict(model_status(self._models, _reference(request), call))))

    async def metadata(self, request: HttpRequest, call: Call) -> HttpResponse:
        """Answers with the signatures of a version."""
        version = resolve(self._engine, _reference(request), call)
        metadata = {SIGNATURE_DEF: _dict(signature_map(version))}
        return HttpResponse(orjson.dumps({"model_spec": _dict(model_spec(version)), "metadata": metadata}))

    def _found(self, wanted: ModelRef, call: Call) -> ModelVersion | GatewayError:
        """Returns the version that is to answer, or why there is none: upstream says so after it has read the body.

        Raises:
            StandbyError: It is not in memory, and nothing is unpacked before it is.
        """
        try:
            return resolve(self._engine, wanted, call)
        except GatewayError as error:
            return error.with_traceback(None)

    async def _body(self, request: HttpRequest, call: Call) -> bytes:
        """Returns the body; upstream knows gzip, ignores other encodings, and takes what is damaged for nothing."""
        data = request.body
        if (request.header(b"content-encoding") or "").strip().lower() != "gzip":
            return data
        try:
            return await decompressed(data, "gzip", limit=self._bounds.max_request_bytes, hold=call.hold)
        except GatewayError as error:
            if error.kind is ErrorKind.MALFORMED:
                return b""
            raise

    def _document(self, data: bytes, call: Call, *, arrays: bool) -> dict[str, Any]:
        try:
            document = parse_json(data, bounds=self._bounds, hold=call.hold, rubbish_after=True, arrays=arrays)
            return document_of(document)
        except JsonError as error:
            violation = Violation("body", "JSON", f"{len(data)} other bytes" if data else "nothing")
            raise invalid_input(violation, kind=ErrorKind.MALFORMED).reworded(f"JSON Parse error: {error}") from None

    async def _predict(
        self,
        version: ModelVersion | GatewayError,
        signature_name: str,
        document: dict[str, Any],
        size: int,
        call: Call,
    ) -> bytes:
        if isinstance(version, GatewayError):
            raise version
        signature = signature_named(self._engine, version, signature_name, _NO_SIGNATURE)
        with call.phase("decode"):
            body = await offloaded(size, lambda: predict_body(document, signature, bounds=self._bounds))
        try:
            outputs = await predict(self._engine, version, signature, body.inputs, call=call)
        except GatewayError as error:
            only_one = len(signature.inputs) - len(body.inputs) == 1
            if only_one and wording.says_input_is_missing(error):  # which only the backend could know
                await offloaded(size, lambda: check_complete(document, signature, bounds=self._bounds))
            raise
        with call.phase("encode"):
            write = rows_json if body.rows else columns_json
            size = byte_size(outputs.values())
            if size > INLINE_BYTES:
                call.hold(TEXT_BYTES * size)
            return await offloaded(size, lambda: write(outputs))

    async def _labelled(
        self,
        verb: str,
        version: ModelVersion | GatewayError,
        signature_name: str,
        body: tuple[dict[str, Any], int],
        call: Call,
    ) -> bytes:
        document, size = body
        with call.phase("decode"):
            check_examples(document)
            examples = await offloaded(size, lambda: self._examples(document, call))
        if isinstance(version, GatewayError):
            raise version
        if verb == "classify":
            signature = classify_signature(self._engine, version, signature_name)
            return classifications_json(await classify(self._engine, version, signature, examples, call))
        signature = regress_signature(self._engine, version, signature_name)
        return regressions_json(await regress(self._engine, version, signature, examples, call))

    def _examples(self, document: dict[str, Any], call: Call) -> Tensor:
        bounds = self._bounds
        return serialized_examples(input_from_json(document, bounds=bounds), bounds=bounds, hold=call.hold)


def _place(match: re.Match[str]) -> str:
    if match["version"] is not None:
        return "/versions/{version}"
    return "/labels/{label}" if match["label"] is not None else ""


def _params(match: re.Match[str]) -> dict[str, str]:
    """Returns the parameters of the path, decoded after it was split."""
    return {name: unquote(text) for name in ("name", "version", "label") if (text := match[name]) is not None}


def _reference(request: HttpRequest) -> ModelRef:
    """Returns which model a path names.

    Raises:
        GatewayError: INVALID_INPUT for a version that is beyond 64 bits.
    """
    params = request.params
    if "version" not in params:
        return ModelRef(params["name"], label=params.get("label"))
    digits = params["version"].lstrip("0") or "0"
    if len(digits) > len(str(_MAX_VERSION)) or int(digits) > _MAX_VERSION:
        error = invalid_input(Violation("version", "a number of 64 bits", shown(digits)))
        raise error.reworded(f"Failed to convert version: {shown(digits)} to numeric.")
    return ModelRef(params["name"], version=int(digits))


def _dict(message: Message) -> dict[str, Any]:
    """Returns a message as upstream writes it: the proto's field names, and values that are the default too."""
    made: dict[str, Any] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return made
