import asyncio
import logging
import re
from pathlib import Path

import pytest

from service.app.followed_file import FollowedFile
from service.app.limits_file import parse_limits
from service.core.limit_rules import InFlight, LimitRule, Rate
from service.errors import ErrorKind, GatewayError
from tests.conftest import until
from tests.processes import ROOT

WHOLE = """
[[limits]]
name = "gold"
clients = ["gold-*", "address:10.*"]
models = "digits*"
requests = ["1000/s", "5000000/day"]
rows = "20000/min"
requests_in_flight = 64
bytes_in_flight = 67_108_864

[[limits]]
name = "others"
requests = "10/h"
"""


def test_a_file_is_read() -> None:
    assert parse_limits(WHOLE) == [
        LimitRule(
            clients=("gold-*", "address:10.*"),
            models=("digits*",),
            rates=(
                Rate("gold-requests-per-second", "requests", 1000, 1),
                Rate("gold-requests-per-day", "requests", 5_000_000, 86_400),
                Rate("gold-rows-per-minute", "rows", 20_000, 60),
            ),
            requests=InFlight("gold-requests-in-flight", 64),
            size=InFlight("gold-bytes-in-flight", 67_108_864),
        ),
        LimitRule(("*",), ("*",), (Rate("others-requests-per-hour", "requests", 10, 3600),)),
    ]
    assert parse_limits("") == []


def test_the_file_in_the_docs_is_one() -> None:
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    [example] = re.findall(r"```toml\n(\[\[limits\]\].*?)```", text, re.DOTALL)
    jobs, others = parse_limits(example)
    assert jobs.holds_for("nightly-1", "digits")
    assert not jobs.holds_for("", "digits")
    assert others.holds_for("", "any")
    assert others.holds_for("address:192.0.2.1", "any")
    assert f'"{jobs.rates[0].name}";q=50;w=1' in text


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("[[limits]", "body", "TOML"),
        ("limit = 1", "limit", "no such field"),
        ("[[limits]]", "limits[0].name", "a value"),
        ("[[limits]]\nname = 'a b'", "limits[0].name", "pattern"),
        ("[[limits]]\nname = 'a'\nrequests = '10 / s'", "limits[0].requests[0]", "such as '100/s'"),
        ("[[limits]]\nname = 'a'\nrequests = '0/s'", "limits[0].requests[0]", "such as '100/s'"),
        ("[[limits]]\nname = 'a'\nrequests = 10", "limits[0].requests", "list"),
        ("[[limits]]\nname = 'a'\nrows = ['1/s', '2/s']", "limits[0].rows", "one rate for each unit of time"),
        ("[[limits]]\nname = 'a'\nrequests_in_flight = '5'", "limits[0].requests_in_flight", "integer"),
        ("[[limits]]\nname = 'a'\nbytes_in_flight = 0", "limits[0].bytes_in_flight", "greater than or equal to 1"),
        ("[[limits]]\nname = 'a'\nclients = []", "limits[0].clients", "at least 1"),
        ("[[limits]]\nname = 'a'\n[[limits]]\nname = 'a'", "limits[1].name", "a name of its own"),
        ("[[limits]]\nname = 'a'\nrequest = '1/s'", "limits[0].request", "no such field"),
        ("a = " + "[" * 10_000, "body", "TOML"),
    ],
)
def test_what_makes_no_sense_is_told(text: str, where: str, words: str) -> None:
    with pytest.raises(GatewayError) as caught:
        parse_limits(text)
    assert caught.value.kind in {ErrorKind.MALFORMED, ErrorKind.INVALID_INPUT}
    [violation] = caught.value.violations
    assert violation.where == where
    assert words in violation.expected


async def test_a_file_is_followed_and_what_makes_no_sense_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    path, taken = tmp_path / "limits.toml", list[str]()

    def apply(text: str) -> None:
        if text == "nonsense":
            raise GatewayError(ErrorKind.INVALID_INPUT, "it makes no sense")
        taken.append(text)

    file = FollowedFile("limits_file", path, apply)
    with pytest.raises(GatewayError, match=r"limits_file .*limits\.toml: No such file"):
        file.read()
    path.write_text("one")
    file.read()
    following = asyncio.create_task(file.follow(0.01))
    path.write_text("nonsense")
    await until(lambda: "it makes no sense; what it said before stays in force" in caplog.text)
    path.write_text("two")
    await until(lambda: taken == ["one", "two"])
    path.unlink()
    await until(lambda: "No such file" in caplog.text)
    path.write_bytes(b"\xff")
    await until(lambda: "it is not UTF-8" in caplog.text)
    assert taken == ["one", "two"]
    assert caplog.text.count("it makes no sense") == 1
    following.cancel()
    path.write_text("three")
    await file.look()
    assert taken == ["one", "two", "three"]
