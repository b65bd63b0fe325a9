"""What h2load 1.52 prints, and what is read from it."""

import pytest

from benchmarks.h2load import parse
from benchmarks.load import LoadError, Measured

_PRINTED = """\
starting benchmark...
spawning thread #0: 1 total client(s). Timing-based test with 0s of warm-up time and 1s of main duration
Application protocol: h2c

finished in 1.00s, 500.00 req/s, 62.83KB/s
requests: 500 total, 508 started, 500 done, 500 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 500 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 60.01KB (61034) total, 6.1KB (6187) headers (space savings 84.72%), 27.00KB (27500) data
                     min         max         mean         sd        +/- sd
time for request:     1.51ms      5.87ms      3.42ms      1.82ms    62.50%
req/s           :     500.00      500.00      500.00        0.00   100.00%
"""


def test_reads_calls_as_messages() -> None:
    assert parse(_PRINTED, 1, (50, 50)) == Measured(500, None, None, 500)
    assert parse(_PRINTED.replace("(27500) data", "(55000) data"), 2, (50, 50)) == Measured(1000, None, None, 1000)


@pytest.mark.parametrize(
    ("printed", "reason"),
    [
        (_PRINTED.replace("0 failed", "3 failed"), "3 calls failed"),
        (_PRINTED.replace("500 succeeded", "0 succeeded"), "0 calls failed"),
        ("Could not resolve host\n", "h2load failed: Could not resolve host"),
    ],
)
def test_a_burst_with_failures_is_none(printed: str, reason: str) -> None:
    with pytest.raises(LoadError, match=reason):
        parse(printed, 1, (50, 50))


@pytest.mark.parametrize("size", [48, 53])
def test_a_refused_call_is_seen_by_its_size(size: int) -> None:
    with pytest.raises(LoadError, match=r"50\.0 bytes"):
        parse(_PRINTED, 1, (size, size))
