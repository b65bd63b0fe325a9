"""What native code writes is an entry of the log like any other, also when it ends the process."""

import json
import signal
import subprocess
import sys
from typing import Any

import pytest

from service.core.native_output import END, LOUD, QUIET
from service.telemetry.native_relay import Relay
from tests.processes import ROOT

PROGRAM = """
import ctypes, logging, os, sys, warnings
from service.core import native_output
from service.telemetry import logs
from service.telemetry.native import NativeOutput
logs.configure(level="info", style={style!r})
output = NativeOutput(level="info", style={style!r})
logging.info("ours")
libc = ctypes.CDLL(None)
{body}
output.close()
print("the descriptors are what they were")
"""


def run(body: str, style: str = "json") -> subprocess.CompletedProcess[str]:
    program = PROGRAM.format(body=body, style=style)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)


def entries(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [json.loads(line) for line in done.stderr.splitlines()]
    assert all({"time", "level", "logger", "message"} <= set(entry) for entry in found)
    return found


def test_whatever_is_written_past_the_log_becomes_entries_of_it() -> None:
    done = run(
        """
libc.perror(b"W0000 00:00:1.2 1 local_rendezvous.cc:412] by C")
os.write(1, b"to the other one\\n")
sys.stderr.write("by Python\\n")
os.write(2, b"half a line \\xff")
"""
    )
    assert done.returncode == 0
    assert done.stdout == "the descriptors are what they were\n"
    native = {(entry["level"], entry["message"][:24]) for entry in entries(done) if entry["logger"] == "native"}
    assert native >= {("warning", "W0000 00:00:1.2 1 local_"), ("warning", "to the other one")}
    assert any("by Python" in entry["message"] for entry in entries(done))
    assert any("half a line \ufffd" in entry["message"] for entry in entries(done))
    assert any(entry["message"] == "ours" for entry in entries(done))


@pytest.mark.parametrize("during", ["pass", "native_output.quiet().__enter__()"])
@pytest.mark.parametrize("end", ["libc.abort()", "libc.raise_(11)", "os.abort()"])
def test_the_last_line_before_an_abort_comes_out(during: str, end: str) -> None:
    end = end.replace("libc.raise_(11)", "os.kill(os.getpid(), 11)")
    for _ in range(5):
        done = run(f"{during}\nos.write(2, b'F0000 00:00:1.2 1 tensor.cc:7] Check failed: no such rank\\n')\n{end}")
        assert done.returncode in {-signal.SIGABRT, -signal.SIGSEGV}
        [fatal] = [entry for entry in entries(done) if "Check failed" in entry["message"]]
        assert (fatal["level"], fatal["logger"]) == ("critical", "native")
        # And where Python was.
        assert any("Fatal Python error" in entry["message"] for entry in entries(done))


def test_text_is_like_the_log() -> None:
    done = run("os.write(2, b'E0000 00:00:1.2 1 x.cc:7] it\\x1b[2J broke\\n')", "text")
    [line] = [line for line in done.stderr.splitlines() if "broke" in line]
    assert line.endswith(r"ERROR   native: E0000 00:00:1.2 1 x.cc:7] it\x1b[2J broke")


def levels(*lines: bytes, lowest: str = "debug") -> list[str]:
    relay = Relay("json", lowest)
    return [json.loads(entry)["level"] for entry in relay.read(list(lines), begins=True)]


def test_levels_are_those_of_the_lines() -> None:
    old = b"2026-01-02 03:04:05.678901: %s tensorflow/core/x.cc:1] text"
    assert levels(b"I0102 03:04:05.6 1 x.cc:1] text", old % b"W", b"E0000 x", b"\t of the line before", b"text") == [
        "info",
        "warning",
        "error",
        "error",
        "warning",
    ]
    assert levels(old % b"I", old % b"E", lowest="warning") == ["error"]


def test_what_is_no_news_is_for_debugging_until_it_is_over() -> None:
    quiet, loud = b"\0" + QUIET.encode(), b"\0" + LOUD.encode()
    assert levels(quiet, b"E0000 factory", loud, b"E0000 other") == ["debug", "error"]
    assert levels(b"W0000 begun" + quiet, b"text", b"F0000 end", b"text") == ["debug", "debug", "critical", "critical"]


def test_the_last_words_of_a_process_that_has_ended_are_no_other_process_s() -> None:
    end = b"\0" + END.encode()
    assert levels(b"F0000 end", b"text", end, b"text") == ["critical", "critical", "warning"]
    assert levels(b"\0" + QUIET.encode(), b"text", end, b"text") == ["debug", "warning"]


H2CORN = b'{"level":"error","event":"failed","subject":"request","detail":"a\\nb","model":"x","time":"now"}'


def test_entries_of_h2corn_keep_their_fields() -> None:
    [entry] = Relay("json", "info").read([H2CORN], begins=True)
    found = json.loads(entry)
    assert (found["level"], found["logger"], found["message"]) == ("error", "h2corn", "request failed")
    assert found["detail"] == "a\nb"
    assert "model" not in found
    [entry] = Relay("text", "info").read([H2CORN], begins=True)
    assert entry.endswith(b"ERROR   h2corn: request failed detail=a\\nb\n")


@pytest.mark.parametrize("line", [b"{", b'{"event"', b"[1]", b'{"level": 3}', b"x" * 10_000, b"\xff", b"\0other"])
def test_every_line_makes_short_lines_that_are_json(line: bytes) -> None:
    made = Relay("json", "debug").entries(line)
    assert all(len(entry) < 4096 and entry.count(b"\n") == 1 for entry in made)
    assert "".join(json.loads(entry)["message"] for entry in made) == line.decode("utf-8", "replace").partition("\0")[0]


def test_what_a_client_has_native_code_quote_is_no_entry_of_anybody_elses() -> None:
    relay = Relay("json", "info", "abc")
    made = [
        json.loads(entry) for entry in relay.read([b"W0000 quoted: 'x", H2CORN, b"\0quiet", b"E0000 y"], begins=True)
    ]
    assert [entry["logger"] for entry in made] == ["native"] * 3
    assert made[1]["message"] == H2CORN.decode()
    assert [json.loads(entry)["logger"] for entry in relay.read([H2CORN], begins=False)] == ["native"]
    assert not relay.read([b"\0abcquiet", b"text"], begins=True)


def test_forged_lines_stay_lines_of_native_code() -> None:
    forged = b'W0000 x\\n{"level":"critical","event":"breach","subject":"you"}\\n\\0quiet\\n'
    done = run(f"os.write(2, b'{forged.decode()}' + b'y' * 5000 + b'\\n')\nos.write(2, b'after\\n')")
    assert {entry["logger"] for entry in entries(done) if entry["message"] != "ours"} == {"native"}
    assert [entry["level"] for entry in entries(done) if "after" in entry["message"]] == ["warning"]


def test_many_lines_do_not_fill_the_log() -> None:
    seconds = 100.0
    relay = Relay("json", "info", clock=lambda: seconds)
    assert len(relay.read([b"text"] * 10_000, begins=True)) == 200
    assert len(relay.read([b"x" * 1_000_000], begins=True)) == 0
    seconds = 101.0
    told, last = (json.loads(entry)["message"] for entry in relay.read([b"later"], begins=True))
    assert (told, last) == ("9816 more lines, left out", "later")


def test_who_still_writes_long_after_it_gave_up_has_not() -> None:
    seconds = 100.0
    relay = Relay("json", "info", clock=lambda: seconds)
    assert [json.loads(entry)["level"] for entry in relay.read([b"F0000 x", b"W0000 y"], begins=True)] == [
        "critical"
    ] * 2
    seconds = 200.0
    assert [json.loads(entry)["level"] for entry in relay.read([b"W0000 y"], begins=True)] == ["warning"]
