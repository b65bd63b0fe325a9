"""Servers that are asked over REST: TensorFlow Serving's ``:predict``, and the Open Inference Protocol's ``infer``."""

import http.client
from collections.abc import Mapping
from time import perf_counter
from typing import Any, Protocol
from urllib.parse import quote

import numpy as np

from service.codecs.json_arrays import NumericArray
from service.codecs.json_document import JsonError, parse_json
from service.codecs.json_tensor import decode_base64, dump_json, encode_base64, is_base64, jsonable
from service.codecs.recorded_json import decode_tensors, encode_tensors
from service.core.bounds import InputBounds
from service.core.record import Record
from service.core.tasks import PREDICT
from service.core.tensors import Tensor
from service.errors import OK, GatewayError
from service.replay.http import HttpConnections
from service.replay.target import TIMED_OUT, UNNAMED, UNREACHABLE, Aim, Answer

_OK = 200
_MOST = 2**31 - 1
_BOUNDS = InputBounds(
    max_request_bytes=_MOST, max_tensor_elements=_MOST, max_json_values=_MOST, max_json_depth=64, max_request_rows=_MOST
)


class RestProtocol(Protocol):
    """How a protocol asks over REST."""

    def path(self, name: str, aim: Aim) -> str:
        """Returns where a model is asked."""

    def body(self, record: Record) -> bytes:
        """Returns the request.

        Raises:
            GatewayError: NOT_SUPPORTED when a tensor has no form in it.
        """

    def outputs(self, document: Any, record: Record) -> Mapping[str, Tensor]:
        """Returns the outputs of an answer.

        Raises:
            GatewayError, LookupError, TypeError, ValueError: When it is none.
        """


class RestTarget:
    """A server that is asked over REST.

    Args:
        connections: To the server.
        protocol: That it speaks.
        aim: Which model is asked.
    """

    def __init__(self, connections: HttpConnections, protocol: RestProtocol, aim: Aim) -> None:
        self._connections = connections
        self._protocol = protocol
        self._aim = aim

    def ask(self, record: Record) -> Answer:
        """Asks what was recorded.

        Raises:
            GatewayError: NOT_SUPPORTED when a tensor has no form in JSON.
        """
        path, body = self._protocol.path(self._aim.name(record), self._aim), self._protocol.body(record)
        begun = perf_counter()
        try:
            reply = self._connections.post(path, body)
        except TimeoutError:
            return Answer(TIMED_OUT, {}, "no answer in time", perf_counter() - begun)
        except (OSError, http.client.HTTPException) as error:
            return Answer(UNREACHABLE, {}, str(error) or type(error).__name__, perf_counter() - begun)
        seconds = perf_counter() - begun
        if reply.status != _OK:
            return Answer(f"HTTP {reply.status}", {}, reply.text, seconds)
        try:
            document = parse_json(reply.body, bounds=_BOUNDS, arrays=True)
            return Answer(OK, self._protocol.outputs(document, record), "", seconds)
        except (GatewayError, JsonError, LookupError, TypeError, ValueError) as error:
            return Answer("not understood", {}, str(error), seconds)

    def close(self) -> None:
        """Ends the connections."""
        self._connections.close()


class TfServingOverRest:
    """TensorFlow Serving's REST API, in column format, which any signature's tensors fit into."""

    def path(self, name: str, aim: Aim) -> str:
        """Returns where a model is asked."""
        place = "" if aim.version is None else f"/versions/{aim.version}"
        if aim.label is not None:
            place = f"/labels/{quote(aim.label, safe='')}"
        return f"/v1/models/{quote(name, safe='')}{place}:predict"

    def body(self, record: Record) -> bytes:
        """Returns the request."""
        inputs = {
            name: _texts(tensor) if tensor.dtype.kind == "O" else jsonable(tensor)
            for name, tensor in record.inputs.items()
        }
        return dump_json({"signature_name": record.signature, "inputs": inputs})

    def outputs(self, document: Any, record: Record) -> Mapping[str, Tensor]:
        """Returns the outputs; the API has no way to want some of them, and does not name one that is alone."""
        value = document["outputs"]
        if not isinstance(value, dict) or is_base64(value):
            return {UNNAMED: _natural(value)}
        return {name: _natural(each) for name, each in value.items() if not record.wanted or name in record.wanted}


class OpenInferenceOverRest:
    """The Open Inference Protocol, all of it in JSON."""

    def path(self, name: str, aim: Aim) -> str:
        """Returns where a model is asked."""
        place = "" if aim.version is None else f"/versions/{aim.version}"
        return f"/v2/models/{quote(name, safe='')}{place}/infer"

    def body(self, record: Record) -> bytes:
        """Returns the request; a signature is named where it is not the default, as that is an addition of ours."""
        document: dict[str, Any] = {"inputs": encode_tensors(record.inputs, where="inputs")}
        if record.wanted:
            document["outputs"] = [{"name": name} for name in record.wanted]
        if record.signature != PREDICT:
            document["parameters"] = {"signature_name": record.signature}
        return dump_json(document)

    def outputs(self, document: Any, record: Record) -> Mapping[str, Tensor]:
        """Returns the outputs."""
        return decode_tensors(document["outputs"], bounds=_BOUNDS, where="outputs")


def _texts(tensor: Tensor) -> Any:
    """Returns strings as JSON has them: as text, or as base64 what is none."""
    texts = np.empty(tensor.size, object)
    texts[:] = [_text(value) for value in tensor.ravel()]
    return texts.reshape(tensor.shape).tolist()


def _text(value: bytes) -> Any:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return encode_base64(value)


def _natural(value: Any) -> Tensor:
    """Returns a tensor of a JSON value that says no dtype: numbers, booleans, or strings."""
    if isinstance(value, NumericArray):
        return value.values
    leaves: list[Any] = [value]
    shape: list[int] = []
    while leaves and isinstance(leaves[0], list | NumericArray):
        if isinstance(leaves[0], NumericArray):
            inner = np.stack([leaf.values for leaf in leaves])
            return inner.reshape(*shape, *inner.shape[1:])
        shape.append(len(leaves[0]))
        leaves = [element for leaf in leaves for element in leaf]
    if leaves and isinstance(leaves[0], str | dict):
        strings = np.empty(len(leaves), object)
        strings[:] = [
            leaf.encode() if isinstance(leaf, str) else decode_base64(leaf["b64"], where="") for leaf in leaves
        ]
        return strings.reshape(shape)
    return np.array(leaves).reshape(shape)
