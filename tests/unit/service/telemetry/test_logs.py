"""What a log entry looks like, in both formats."""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.processes import ROOT

PROGRAM = """
import logging, sys
from service.core import call as calls
from service.core.call import Call
from service.core.deadline import Deadline
from service.telemetry import logs
logs.configure(level={level!r}, style={style!r})
logger = logging.getLogger("some.module")
logger.info("before any call")
call = Call("rest", "GET /x", "id-1", Deadline.after(1), model="m", version=3, rows=2)
calls.enter(call)
logger.warning('quotes " and\\nlines')
with call.phase("decode"):
    pass
logs.log_access(call, "ok")
try:
    1 / 0
except ZeroDivisionError:
    logger.exception("it broke")
"""


def lines(level: str, style: str) -> list[str]:
    program = PROGRAM.format(level=level, style=style)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    return done.stderr.splitlines()


def test_json_has_an_object_a_line_with_the_request_that_it_is_about() -> None:
    entries: list[dict[str, Any]] = [json.loads(line) for line in lines("info", "json")]
    before, warning, access, error = entries
    assert (before["level"], before["logger"], before["message"]) == ("info", "some.module", "before any call")
    assert "request_id" not in before
    assert (warning["message"], warning["request_id"]) == ('quotes " and\nlines', "id-1")
    assert {access[name] for name in ("model", "method", "code")} == {"m", "GET /x", "ok"}
    assert (access["version"], access["rows"]) == (3, 2)
    assert access["decode_ms"] >= 0
    assert "ZeroDivisionError" in error["exception"]
    assert all(entry["time"].endswith("+00:00") for entry in entries)


def test_text_says_the_same_for_people() -> None:
    text = "\n".join(lines("info", "text"))
    assert "INFO    some.module: before any call" in text
    assert "request_id=id-1 protocol=rest method=GET /x model=m version=3 code=ok" in text
    assert "ZeroDivisionError" in text


def test_what_clients_sent_begins_no_line_of_text() -> None:
    forged = "2030-01-01 ERROR   forged"
    program = f"""
import logging
from service.telemetry import logs
logs.configure(level="info", style="text")
text = "x\\r\\n{forged}\\x1b[2J\\x85\\u2028"
logging.info("model %s", text, extra={{"fields": {{"model": text}}}})
try:
    raise ValueError(text)
except ValueError:
    logging.exception("it broke")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, cwd=ROOT, check=True)
    written = done.stderr.decode()
    info, broke, *traceback = written.split("\n")
    escaped = rf"x\r\n{forged}\x1b[2J\x85\u2028"
    assert info.endswith(f"model {escaped} model={escaped}")
    assert broke.endswith("it broke")
    assert all(line.startswith("  ") for line in traceback if line)
    assert not set(written) & set("\r\x1b\x85\u2028")


@pytest.mark.parametrize(("level", "count"), [("warning", 2), ("error", 1)])
def test_lower_levels_are_left_out(level: str, count: int) -> None:
    assert len(lines(level, "json")) == count
