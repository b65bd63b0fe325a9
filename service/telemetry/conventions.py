"""The names and attributes of spans: the only module that knows them.

They are those of OpenTelemetry's semantic conventions 1.44 (https://opentelemetry.io/docs/specs/semconv/http/http-spans/
and ``.../rpc/grpc/``), and ``tensorgate.*``, which are ours.
"""

import grpc

from service.core.call import Call
from service.core.model_version import ModelVersion
from service.core.tracing import HttpFacts
from service.errors import OK, ErrorKind

Attributes = dict[str, str | int]

_LONGEST_VALUE = 512
"""Characters of what a client wrote."""
_HTTP_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})
GRPC_CODES = {code.value[0]: code.name for code in grpc.StatusCode}
_GRPC_FAULTS = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})
"""The codes that are errors of a server; the others are its client's."""


def _of_client(text: str) -> str:
    """Returns what a client wrote, cut, and as it can be sent: one character that is none would keep others' spans."""
    return text[:_LONGEST_VALUE].encode(errors="replace").decode()


def name_of(call: Call, http: HttpFacts | None) -> str:
    """Returns the name of a call's span."""
    if http is None or call.method.partition(" ")[2]:
        return call.method
    return http.method if http.method in _HTTP_METHODS else "HTTP"  # there is no such route


def of_call(call: Call, code: str, user_agent: str) -> Attributes:
    """Returns what there is to say of a call, whatever it came by."""
    attributes: Attributes = {"tensorgate.request_id": call.request_id, "tensorgate.code": code}
    if call.model is not None:
        attributes["tensorgate.model.name"] = call.model
    if call.version is not None:
        attributes["tensorgate.model.version"] = call.version
    if call.rows:
        attributes["tensorgate.rows"] = call.rows
    if call.messages:
        attributes["tensorgate.messages"] = call.messages
    if user_agent:
        attributes["user_agent.original"] = _of_client(user_agent)
    return attributes


def add_http(attributes: Attributes, http: HttpFacts, call: Call) -> bool:
    """Adds what is of HTTP; returns whether it failed by the server's fault."""
    known = http.method in _HTTP_METHODS
    attributes["http.request.method"] = http.method if known else "_OTHER"
    if not known:
        attributes["http.request.method_original"] = _of_client(http.method)
    attributes["url.path"] = _of_client(http.path)
    attributes["url.scheme"] = http.scheme
    attributes["network.protocol.version"] = http.version
    if route := call.method.partition(" ")[2]:
        attributes["http.route"] = route
    if call.status:
        attributes["http.response.status_code"] = call.status
    return call.status >= 500


def add_grpc(attributes: Attributes, call: Call, code: str) -> bool:
    """Adds what is of gRPC; returns whether it failed by the server's fault."""
    status = GRPC_CODES[call.status]
    if code != OK and not call.status:  # the client went away, or gave up, before it was answered
        status = "DEADLINE_EXCEEDED" if code == ErrorKind.TIMEOUT else "CANCELLED"
    attributes["rpc.system.name"] = "grpc"
    attributes["rpc.method"] = "_OTHER" if "/" not in call.method else call.method
    attributes["rpc.response.status_code"] = status
    return status in _GRPC_FAULTS


def of_run(version: ModelVersion, rows: int, requests: int) -> Attributes:
    """Returns what there is to say of a run."""
    return {
        "tensorgate.model.name": version.name,
        "tensorgate.model.version": version.version,
        "tensorgate.rows": rows,
        "tensorgate.requests": requests,
    }


def of_attempt(method: str, replica: str) -> Attributes:
    """Returns what there is to say of a call to a replica, ``ipv4:host:port``, ``host:port`` or ``unix:path``."""
    attributes: Attributes = {"rpc.system.name": "grpc", "rpc.method": method}
    host, _, port = replica.rpartition(":")
    if not port.isdigit():
        return attributes | {"server.address": replica}
    return attributes | {"server.address": host.strip("[]"), "server.port": int(port)}
