"""How rounds are put together, and what becomes of them in tables."""

from benchmarks import ratios, table
from benchmarks.load import Measured
from benchmarks.open_loop import OpenLoop
from benchmarks.profile_summary import summary
from benchmarks.questions import OIP_RPC
from benchmarks.results import Burst, Compared, Row, Spread
from benchmarks.servers import PEERS, TENSORGATE


def _burst(rate: float, p50: float) -> Burst:
    return Burst(Measured(rate, p50, 2 * p50, 55), cpu=0.5)


def _compared() -> Compared:
    results = Compared()
    ours, theirs = Row(TENSORGATE, OIP_RPC), Row(PEERS["triton"], OIP_RPC)
    results.bursts[ours, 64] = [_burst(4000, 15), _burst(4400, 14), _burst(4100, 16)]
    results.bursts[ours, 1] = [_burst(700, 1.4)]
    results.bursts[theirs, 64] = [_burst(2050, 30)]
    results.bursts[theirs, 1] = [_burst(350, 2.8)]
    results.reasons[Row("MLServer", OIP_RPC)] = "no environment | .venv-peers/mlserver"
    return results


def test_the_middle_round_counts() -> None:
    assert _compared().rate(Row(TENSORGATE, OIP_RPC), 64) == Spread(4100, 4000, 4400)
    assert _compared().rate(Row(TENSORGATE, OIP_RPC), 8) is None


def test_a_table_has_every_row_and_the_reasons_of_those_without_figures() -> None:
    cells = table.throughput(_compared(), (1, 64))
    assert list(cells[1]) == [TENSORGATE, OIP_RPC, "700", "4,100 (4,000 to 4,400)"]
    assert list(cells[-1]) == ["MLServer", OIP_RPC, "no environment / .venv-peers/mlserver", ""]
    markdown = table.as_markdown(cells).splitlines()
    assert {line.count("|") for line in markdown} == {5}
    assert "no environment" in table.as_text(cells)


def test_ratios_are_of_figures_that_both_have() -> None:
    cells = dict(list(row) for row in ratios.table(_compared(), Compared(), {"session": {64: [8200.0]}}, {}))
    assert cells[f"OIP gRPC, 64 at a time: answers a second against {PEERS['triton']}"] == "2.00"
    assert any(value == "0.50" and "1 at a time" in what for what, value in cells.items())
    assert any(value == "0.50" and "bare loop" in what for what, value in cells.items())
    assert not any("MLServer" in what for what in cells)


def test_latencies_at_a_fixed_rate_are_the_middle_of_the_rounds() -> None:
    results = Compared()
    results.open_loop[Row("a", "b")] = [OpenLoop(10, p50, 2 * p50, 0.1) for p50 in (3.0, 1.0, 2.0)]
    assert list(table.open_loop(results)[1]) == ["a", "b", "10", "2.00", "4.00", "0.10"]


def test_a_profile_tells_functions_from_what_is_below_them() -> None:
    text = summary(["main;serve;run 3", "main;serve 1", "main;main;run 4"])
    own, below = text.split("\n\n")
    assert own.splitlines()[1:] == [" 87.5 %  run", " 12.5 %  serve"]
    assert below.splitlines()[1:3] == ["100.0 %  main", " 87.5 %  run"]
