"""What h2load 1.52 prints, and what is read from it."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.load import LoadError, Measured, parse, require_size
from benchmarks.questions import Question

SUMMARY = """\
starting benchmark...
spawning thread #0: 1 total client(s). 8 total requests
Application protocol: h2c
progress: 50% done
progress: 100% done

finished in 16.07ms, 497.82 req/s, 62.83KB/s
requests: 8 total, 8 started, 8 done, 8 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 8 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 1.01KB (1034) total, 99B (99) headers (space savings 84.72%), 440B (440) data
                     min         max         mean         sd        +/- sd
time for request:     1.51ms      5.87ms      3.42ms      1.82ms    62.50%
time for connect:      656us       656us       656us         0us   100.00%
time to 1st byte:     4.88ms      4.88ms      4.88ms         0us   100.00%
req/s           :     943.78      943.78      943.78        0.00   100.00%
"""
LOG = """\
1795632315012822\t200\t4150
1795632315012824\t200\t4832
1795632315012825\t200\t5365
1795632315012826\t200\t5867
1795632315017020\t200\t2132
1795632315017677\t200\t1830
1795632315018209\t200\t1650
1795632315018710\t200\t1512
"""


def test_reads_rate_percentiles_and_size() -> None:
    measured = parse(SUMMARY, LOG, 8)
    assert measured.rate == 497.82
    assert measured.bytes_each == 55
    assert measured.p50 == pytest.approx((2.132 + 4.150) / 2)
    assert 5.365 < measured.p99 <= 5.867


@pytest.mark.parametrize(
    ("summary", "log", "reason"),
    [
        (SUMMARY.replace("8 succeeded, 0 failed", "5 succeeded, 3 failed"), LOG, "3 of 8 requests failed"),
        ("Could not resolve host\n", "", "h2load failed: Could not resolve host"),
        (SUMMARY, LOG.splitlines()[0], "h2load logged 1 of 8 requests"),
    ],
)
def test_a_burst_with_failures_is_none(summary: str, log: str, reason: str) -> None:
    with pytest.raises(LoadError, match=reason):
        parse(summary, log, 8)


def _question(*, is_grpc: bool) -> Question:
    return Question("q", "/", Path(), is_grpc, lambda _: np.empty(0, np.float32), None)


def test_a_refused_grpc_call_is_seen_by_its_size() -> None:
    with pytest.raises(LoadError, match=r"54\.9 bytes, where a right one has 55"):
        require_size(_question(is_grpc=True), Measured(1, 1, 1, 54.9), 55)


def test_last_digits_in_json_may_differ_and_other_answers_may_not() -> None:
    require_size(_question(is_grpc=False), Measured(1, 1, 1, 203.4), 210)
    with pytest.raises(LoadError):
        require_size(_question(is_grpc=False), Measured(1, 1, 1, 21), 210)
