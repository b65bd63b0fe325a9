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
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_LETTERS = {"I": "info", "W": "warning", "E": "error", "F": "critical"}
_PREFIX = re.compile(r"([IWEF])\d{4} |\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: ([IWEF]) ")
"""Of a line by absl's logging, and of one by TensorFlow's older one."""
_GIVES_UP = re.compile(r"Fatal Python error|terminate called|double free|free\(\)|malloc\(\)|corrupted ")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

_PIECE = 900
"""Characters of an entry: less than 4096 bytes that are written at once stay together, whoever else writes there."""
_MAX_PIECES = 16
"""Of one line; the rest of it is left out."""
_LONGEST = 1 << 16
"""Bytes without an end of a line that are kept."""
_AT_ONCE = 4096
"""Bytes that are read as they were written, all of them or none: as many as the pipe has room for."""
_MAX_ENTRIES = 200
"""A second; the others are counted. Whoever sends what native code complains of is not to fill the log."""
_DYING_SECONDS = 5.0
"""Who still writes after that has not died; a client may have had the line written that says so."""
_OWN_FIELDS = ("detail",)
"""Of h2corn's lines, what is passed on beside the message."""


class Relay:
    """Makes entries of lines.

    Args:
        style: ``json`` or ``text``.
        level: Name of the lowest level to write.
        secret: Begins the marks, which are not to be made by whoever can have a line written.
        clock: Returns seconds.
    """

    def __init__(self, style: str, level: str, secret: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._style = style
        self._lowest = _LEVELS[level]
        self._secret = secret
        self._clock = clock
        self._quiet = False
        self._dying_until = 0.0
        self._last = "warning"
        self._second = 0
        self._written = 0
        self._left_out = 0

    def read(self, lines: list[bytes], begins: bool) -> list[bytes]:
        """Returns the entries of lines that were read together.

        What h2corn writes is a line by itself. Behind other text it is none of its own: a client's words, quoted.

        Args:
            lines: Without their ends.
            begins: Whether the first of them is known to begin what was written at once.
        """
        made: list[bytes] = []
        for line in lines:
            fields = _fields(line) if begins else {}
            begins = bool(fields) or line.startswith(b"\0")
            made += self._few(self.entries(line, fields))
        return made

    def entries(self, line: bytes, fields: Mapping[str, Any] = MappingProxyType({})) -> list[bytes]:
        """Returns the entries of one line, or of the mark that it is.

        Args:
            line: Without its end.
            fields: Of a line that h2corn has written.
        """
        text, mark, marked = line.decode("utf-8", "replace").partition("\0")
        if mark and marked.startswith(self._secret):
            self._quiet = marked == self._secret + "quiet"
            if marked == self._secret + "end":
                self._dying_until = 0.0
        level = self._level(text, fields)
        if not text.strip() or _LEVELS[level] < self._lowest:
            return []
        if fields:
            words = (str(fields[name]) for name in ("subject", "event") if name in fields)
            kept = {name: str(fields[name])[:_PIECE] for name in _OWN_FIELDS if name in fields}
            return [self._entry(level, "h2corn", " ".join(words)[:_PIECE], kept)]
        pieces = [text[begin : begin + _PIECE] for begin in range(0, min(len(text), _PIECE * _MAX_PIECES), _PIECE)]
        return [self._entry(level, "native", piece, {}) for piece in pieces]

    def left_out(self) -> list[bytes]:
        """Returns the entry that says how many were left out, where some were."""
        count, self._left_out = self._left_out, 0
        return [self._entry("warning", "native", f"{count} more lines, left out", {})] if count else []

    def _few(self, entries: list[bytes]) -> list[bytes]:
        """Returns as many of the entries as there may be in this second."""
        if not entries:
            return []
        told: list[bytes] = []
        if (second := int(self._clock())) != self._second:
            self._second, self._written = second, 0
            told = self.left_out()
        most = 2 * _MAX_ENTRIES if self._clock() <= self._dying_until else _MAX_ENTRIES
        room = max(0, most - self._written)
        self._written += len(entries)
        self._left_out += max(0, len(entries) - room)
        return told + entries[:room]

    def _level(self, text: str, fields: Mapping[str, Any]) -> str:
        found = _PREFIX.match(text)
        if fields:
            level = fields["level"] if fields.get("level") in _LEVELS else "warning"
        elif found:
            level = _LETTERS[found[1] or found[2]]
        else:
            level = self._last if text.startswith((" ", "\t")) else "warning"
        now = self._clock()
        if now > self._dying_until and (level == "critical" or _GIVES_UP.match(text) is not None):
            self._dying_until = now + _DYING_SECONDS
        is_dying = now <= self._dying_until
        if is_dying:  # whatever comes now says why
            level = "critical"
        self._last = level
        return "debug" if self._quiet and not is_dying else level

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


def _fields(line: bytes) -> dict[str, Any]:
    """Returns the members of a line that is a JSON object with an event, as h2corn writes them."""
    if not line.startswith(b"{"):
        return {}
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) and "event" in found else {}


def run(style: str, level: str, secret: str, source: int = 0, target: int = 1) -> None:
    """Passes on all that comes, until all who could write have gone."""
    # A terminal, or who stops all processes of a service, sends these to everybody; the server decides when it is over.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    relay = Relay(style, level, secret)
    left, begins = b"", True
    while read := os.read(source, _LONGEST):
        *lines, left = (left + read).split(b"\n")
        if len(left) >= _LONGEST:
            lines, left = [*lines, left], b""
        _write(target, relay.read(lines, begins))
        begins = not left and len(read) < _AT_ONCE
    _write(target, relay.entries(left) + relay.left_out())


def _write(target: int, entries: list[bytes]) -> None:
    for entry in entries:
        # Where nobody reads the log any more, those who write are not to be held up.
        with contextlib.suppress(OSError):
            os.write(target, entry)


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2], sys.argv[3])
