"""Logs: one JSON object a line, on standard error, each with the id of the request that it is about."""

import logging
import os
import re
import sys
from datetime import UTC, datetime
from textwrap import indent
from typing import Any

import orjson

from service.core import call as calls
from service.core.call import Call
from service.core.identity import PeerCertificate
from service.errors import OK
from service.telemetry.conventions import GRPC_CODES

FORMATS = ("json", "text")
_ACCESS = logging.getLogger("tensorgate.access")
_DETAIL_CHARACTERS = 500
_ID = re.compile(rb"[!-~]{1,128}")


class _JsonFormatter(logging.Formatter):
    """Formats a record, and the fields that it was given under ``extra={"fields": ...}``, as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(entry, default=str).decode()


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CONTROL_BUT_NEWLINE = re.compile(f"(?!\n){_CONTROL.pattern}")


def _escaped(text: str, what: re.Pattern[str] = _CONTROL) -> str:
    return what.sub(lambda found: ascii(found[0])[1:-1], text)


class _TextFormatter(logging.Formatter):
    """Formats the same for people.

    What clients sent may be in it, and begins no line: control characters are escaped, and the lines of an exception,
    which may have some in its text, are indented.
    """

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        fields = " ".join(f"{name}={value}" for name, value in _fields(record).items())
        return _escaped(f"{super().formatMessage(record)} {fields}").rstrip()

    def formatException(self, ei: Any) -> str:  # noqa: N802
        return indent(_escaped(super().formatException(ei), _CONTROL_BUT_NEWLINE), "  ")


def as_json(text: str) -> str:
    """Returns the text as an entry of the log, for what goes to standard output."""
    record = logging.LogRecord("tensorgate", logging.INFO, "", 0, text, (), None)
    return _JsonFormatter().format(record)


def configure(*, level: str, style: str) -> None:
    """Sends all logs of this process to standard error.

    Args:
        level: Name of the lowest level to write.
        style: One of `FORMATS`.
    """
    # A descriptor of our own: what others write to standard error takes another way (`service.telemetry.native`).
    handler = logging.StreamHandler(os.fdopen(os.dup(sys.stderr.fileno()), "w", buffering=1))
    handler.setFormatter(_JsonFormatter() if style == "json" else _TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # The servers' own access logs would say the same again.
    logging.getLogger("uvicorn.access").disabled = True
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)


def log_access(call: Call, code: str, *, message: str = "request") -> None:
    """Writes the one line of a finished request: what is known of it."""
    if not _ACCESS.isEnabledFor(logging.INFO):
        return
    fields: dict[str, Any] = {
        "request_id": call.request_id,
        "protocol": call.protocol,
        "method": call.method,
        "model": model_of(call),
        "version": call.version,
        "code": code,
        **_status(call, code),
        **({"detail": call.detail[:_DETAIL_CHARACTERS]} if call.detail else {}),
        **({"identity": _writable(call.identity.name)} if call.identity.name else {}),
        "peer": peer_of(call),
        **({"certificate": _shown(call.certificate)} if call.certificate is not None else {}),
        "rows": call.rows,
        **({"messages": call.messages} if call.messages else {}),
        **_ids_of_trace(call),
        **_ids_of_client(call),
        "request_bytes": call.size,
        "response_bytes": call.answered,
        "duration_ms": round(call.elapsed() * 1000, 3),
        **{f"{phase}_ms": round(seconds * 1000, 3) for phase, seconds in call.phases.items()},
    }
    _ACCESS.info(message, extra={"fields": fields})


def model_of(call: Call) -> str | None:
    """Returns the name of the model, or else of the one that was asked for; for the log."""
    return _writable(call.asked) if call.model is None and call.asked is not None else call.model


def peer_of(call: Call) -> str | None:
    """Returns host and port of who sent a call, as text."""
    match call.peer:
        case (host, port):
            return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        case None:
            return None
        case tell:
            return tell()


def _shown(certificate: PeerCertificate) -> str:
    """Returns whose it is: its subject, or its names where it has none."""
    return certificate.subject or ",".join(certificate.names)


def _status(call: Call, code: str) -> dict[str, str | int]:
    """Returns the status of the answer, if there was one, as the protocol has it."""
    if call.protocol == "grpc":
        return {"grpc_code": GRPC_CODES[call.status]} if call.status or code == OK else {}
    return {"http_status": int(call.status)} if call.status else {}


def _writable(text: str) -> str:
    """Returns the text as JSON in UTF-8 can have it."""
    return text.encode("utf-8", "backslashreplace").decode()


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    given: dict[str, Any] = getattr(record, "fields", {})
    call = calls.current_or_none()
    if call is None or "request_id" in given:
        return given
    return {"request_id": call.request_id, **_ids_of_trace(call), **given}


def _ids_of_trace(call: Call) -> dict[str, str]:
    trace = call.trace
    return {} if trace is None else {"trace_id": trace.trace_id, "span_id": trace.span_id}


def _ids_of_client(call: Call) -> dict[str, str]:
    """Returns what a client calls the request in its own logs and traces, where it is what these ids are."""
    found = {"correlation_id": call.metadata.get(b"x-correlation-id", b"")}
    if call.trace is None:
        found["traceparent"] = call.metadata.get(b"traceparent", b"")
    return {name: value.decode() for name, value in found.items() if _ID.fullmatch(value)}
