"""Reads what native code wrote, and writes each line as an entry of the log: a process of its own.

It outlives the server by the moment that it takes to pass on what an ``abort()`` left in the pipe, which no thread of
the server could do. It runs without the server's packages, and imports next to nothing: it is to be small.
"""

import contextlib
import json
import os
import re
import signal
import sys
import time
from datetime import UTC, datetime
from typing import Any

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_LETTERS = {"I": "info", "W": "warning", "E": "error", "F": "critical"}
_PREFIX = re.compile(r"([IWEF])\d{4} |\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: ([IWEF]) ")
"""Of a line by absl's logging, and of one by TensorFlow's older one."""
_GIVES_UP = re.compile(r"Fatal Python error|terminate called|double free|free\(\)|malloc\(\)|corrupted ")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

_PIECE = 900
"""Characters of an entry: less than 4096 bytes that are written at once stay together, whoever else writes there."""
_LONGEST = 1 << 16
"""Bytes without an end of a line that are kept."""


class Relay:
    """Makes entries of lines.

    Args:
        style: ``json`` or ``text``.
        level: Name of the lowest level to write.
    """

    def __init__(self, style: str, level: str) -> None:
        self._style = style
        self._lowest = _LEVELS[level]
        self._quiet = False
        self._dying = False
        self._last = "warning"

    def entries(self, line: bytes) -> list[bytes]:
        """Returns the entries of one line, or of the mark that it is."""
        text, mark, marked = line.decode("utf-8", "replace").partition("\0")
        if mark:
            self._quiet = marked == "quiet"
        fields = _fields(text)
        level = self._level(text, fields)
        if not text.strip() or _LEVELS[level] < self._lowest:
            return []
        if fields:
            words = (str(fields[name]) for name in ("subject", "event") if name in fields)
            return [self._entry(level, "h2corn", " ".join(words), fields)]
        pieces = (text[begin : begin + _PIECE] for begin in range(0, len(text), _PIECE))
        return [self._entry(level, "native", piece, {}) for piece in pieces]

    def _level(self, text: str, fields: dict[str, Any]) -> str:
        found = _PREFIX.match(text)
        if fields:
            level = fields["level"] if fields.get("level") in _LEVELS else "warning"
        elif found:
            level = _LETTERS[found[1] or found[2]]
        else:
            level = self._last if text.startswith((" ", "\t")) else "warning"
        self._dying = self._dying or level == "critical" or _GIVES_UP.match(text) is not None
        if self._dying:  # whatever comes now says why
            level = "critical"
        self._last = level
        return "debug" if self._quiet and not self._dying else level

    def _entry(self, level: str, logger: str, message: str, fields: dict[str, Any]) -> bytes:
        now = time.time()
        if self._style == "json":
            at = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")
            entry: dict[str, Any] = {"time": at, "level": level, "logger": logger, "message": message}
            entry |= {name: value for name, value in fields.items() if name not in entry}
            text = json.dumps(entry, ensure_ascii=False, separators=(",", ":"))
        else:
            at = datetime.fromtimestamp(now).strftime("%Y-%m-%d %H:%M:%S")  # as `logging` has it
            said = " ".join([message, *(f"{name}={value}" for name, value in fields.items() if name == "detail")])
            said = _CONTROL.sub(lambda control: ascii(control[0])[1:-1], said)
            text = f"{at},{int(now % 1 * 1000):03} {level.upper():<7} {logger}: {said}"
        return (text + "\n").encode("utf-8", "backslashreplace")


def _fields(text: str) -> dict[str, Any]:
    """Returns the members of a line that is a JSON object with an event, as h2corn writes them."""
    if not text.startswith("{"):
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) and "event" in found else {}


def run(style: str, level: str, source: int = 0, target: int = 1) -> None:
    """Passes on all that comes, until all who could write have gone."""
    # A terminal, or who stops all processes of a service, sends these to everybody; the server decides when it is over.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    relay = Relay(style, level)
    left = b""
    while read := os.read(source, _LONGEST):
        *lines, left = (left + read).split(b"\n")
        if len(left) >= _LONGEST:
            lines, left = [*lines, left], b""
        for line in lines:
            _write(target, relay.entries(line))
    _write(target, relay.entries(left))


def _write(target: int, entries: list[bytes]) -> None:
    for entry in entries:
        # Where nobody reads the log any more, those who write are not to be held up.
        with contextlib.suppress(OSError):
            os.write(target, entry)


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2])
