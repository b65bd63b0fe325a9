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

FORMATS = ("json", "text")
_ACCESS = logging.getLogger("tensorgate.access")


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


def configure(*, level: str, style: str) -> None:
    """Sends all logs of this process to standard error.

    Args:
        level: Name of the lowest level to write.
        style: One of `FORMATS`.
    """
    # A descriptor of our own: what others write to standard error can then be distinguished.
    handler = logging.StreamHandler(os.fdopen(os.dup(sys.stderr.fileno()), "w", buffering=1))
    handler.setFormatter(_JsonFormatter() if style == "json" else _TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # The servers' own access logs would say the same again.
    logging.getLogger("uvicorn.access").disabled = True
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)


def log_access(call: Call, code: str) -> None:
    """Writes the one line of a finished request."""
    if not _ACCESS.isEnabledFor(logging.INFO):
        return
    fields = {
        "request_id": call.request_id,
        "protocol": call.protocol,
        "method": call.method,
        "model": call.model,
        "version": call.version,
        "code": code,
        "rows": call.rows,
        **({"messages": call.messages} if call.messages else {}),
        **_ids_of_trace(call),
        "duration_ms": round(call.elapsed() * 1000, 3),
        **{f"{phase}_ms": round(seconds * 1000, 3) for phase, seconds in call.phases.items()},
    }
    _ACCESS.info("request", extra={"fields": fields})


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    given: dict[str, Any] = getattr(record, "fields", {})
    call = calls.current_or_none()
    if call is None or "request_id" in given:
        return given
    return {"request_id": call.request_id, **_ids_of_trace(call), **given}


def _ids_of_trace(call: Call) -> dict[str, str]:
    trace = call.trace
    return {} if trace is None else {"trace_id": trace.trace_id, "span_id": trace.span_id}
