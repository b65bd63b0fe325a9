"""From a URL to a server that can be asked: by which protocol, given or found out."""

import http.client
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

import grpc

from service.replay.credentials import Credentials, headers_of, showing
from service.replay.http import HttpConnections
from service.replay.rest import OpenInferenceOverRest, RestTarget, TfServingOverRest
from service.replay.rpc import INFERENCE_SERVICE, OpenInferenceOverRpc, RpcTarget, TfServingOverRpc
from service.replay.target import Aim, Target, TargetError
from service.replay.tls import ClientTls
from service.wire import open_inference_pb2 as v2
from service.wire import tensorflow_serving_pb2 as pb

AUTO, TFSERVING, OPEN_INFERENCE = "auto", "tfserving", "open-inference"
_MODEL_SERVICE = "/tensorflow.serving.ModelService/"
_OK = 200
_REFUSED = frozenset({401, 403})
_NONE = Credentials()
_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def connect(
    url: str, protocol: str, aim: Aim, *, timeout: float, model: str, credentials: Credentials = _NONE
) -> tuple[Target, str]:
    """Returns the server at a URL, and the protocol by which it is asked.

    Args:
        url: ``http://``, ``https://``, ``grpc://`` or ``grpcs://`` with host and port.
        protocol: `TFSERVING` or `OPEN_INFERENCE`; with `AUTO` the server is asked, for TensorFlow Serving's first.
        aim: Which model is asked.
        timeout: Seconds for each answer.
        model: One that it should have, for `AUTO`.
        credentials: What is shown to it, and who is trusted with ``https`` and ``grpcs``.

    Raises:
        TargetError: When the URL is none, when a file of TLS cannot be used, when no server answers or it speaks
            neither, or when the protocol has no labels.
    """
    try:
        parts = urlsplit(url)
        address, port = parts.hostname, parts.port
    except ValueError as error:
        raise TargetError(f"{url}: {error}") from None
    if parts.scheme not in {"http", "https", "grpc", "grpcs"} or not address:
        raise TargetError(f"expected http://host:port or grpc://host:port, got {url}")
    if parts.scheme.startswith("http"):
        tls = credentials.tls.context() if parts.scheme == "https" else None
        connections = HttpConnections(url, timeout, tls, headers_of(credentials.key))
        chosen = _found_out(protocol, connections, lambda: _spoken_over_rest(connections, model, url))
        over_rest = TfServingOverRest() if chosen == TFSERVING else OpenInferenceOverRest()
        target: Target = RestTarget(connections, over_rest, aim)
    else:
        if port is None:
            raise TargetError(f"expected a port, as in grpc://host:8001, got {url}")
        channel = showing(credentials.key, _channel(parts.netloc, credentials.tls if parts.scheme == "grpcs" else None))
        chosen = _found_out(protocol, channel, lambda: _spoken_over_rpc(channel, model, url, timeout))
        over_rpc = TfServingOverRpc() if chosen == TFSERVING else OpenInferenceOverRpc()
        target = RpcTarget(channel, over_rpc, aim, timeout)
    if aim.label is not None and chosen == OPEN_INFERENCE:
        target.close()
        raise TargetError("the Open Inference Protocol has no labels: give --model-version, or --protocol tfserving")
    return target, chosen


def _found_out(protocol: str, connected: HttpConnections | grpc.Channel, find: Callable[[], str]) -> str:
    """Returns the protocol, which is found out where none is given; ends the connection where it is none."""
    if protocol != AUTO:
        return protocol
    try:
        return find()
    except TargetError:
        connected.close()
        raise


def _channel(address: str, tls: ClientTls | None) -> grpc.Channel:
    if tls is not None:
        return grpc.secure_channel(address, tls.credentials(), options=_OPTIONS)
    return grpc.insecure_channel(address, options=_OPTIONS)


def _spoken_over_rest(connections: HttpConnections, model: str, url: str) -> str:
    try:
        status = connections.get(f"/v1/models/{quote(model, safe='')}")
        if status.status == _OK:
            return TFSERVING
        if status.status in _REFUSED:
            raise TargetError(f"{url} refuses to be asked: {status.text}")
        if connections.get("/v2/health/live").status == _OK:
            return OPEN_INFERENCE
    except (OSError, http.client.HTTPException) as error:
        raise TargetError(f"no server answers at {url}: {error or type(error).__name__}") from None
    if _is_error_of_tensorflow_serving(status.body):
        return TFSERVING
    raise TargetError(f"{url} speaks neither TensorFlow Serving's REST API nor the Open Inference Protocol")


def _is_error_of_tensorflow_serving(body: bytes) -> bool:
    try:
        document = json.loads(body)
    except ValueError:
        return False
    return isinstance(document, dict) and document.keys() == {"error"}


def _spoken_over_rpc(channel: grpc.Channel, model: str, url: str, timeout: float) -> str:
    status = pb.GetModelStatusRequest(model_spec=pb.ModelSpec(name=model))
    methods: list[tuple[str, str, Any, Any]] = [
        (TFSERVING, f"{_MODEL_SERVICE}GetModelStatus", status, pb.GetModelStatusResponse),
        (OPEN_INFERENCE, f"{INFERENCE_SERVICE}ServerLive", v2.ServerLiveRequest(), v2.ServerLiveResponse),
    ]
    for protocol, path, request, response in methods:
        ask = channel.unary_unary(
            path, request_serializer=type(request).SerializeToString, response_deserializer=response.FromString
        )
        try:
            ask(request, timeout=timeout)
        except grpc.RpcError as error:
            failed: Any = error
            if failed.code() is grpc.StatusCode.UNAVAILABLE:
                raise TargetError(f"no server answers at {url}: {failed.details()}") from None
            if failed.code() is grpc.StatusCode.UNIMPLEMENTED:
                continue
        return protocol
    raise TargetError(f"{url} speaks neither TensorFlow Serving's gRPC API nor the Open Inference Protocol")
