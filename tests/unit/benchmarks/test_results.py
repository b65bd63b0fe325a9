"""How rounds are put together, and what becomes of them in tables and in the document."""

from pathlib import Path

import pytest

from benchmarks import report, tables
from benchmarks.figures import figures
from benchmarks.options import parse
from benchmarks.profile_summary import summary
from benchmarks.questions import OIP_RPC, TFS_RPC
from benchmarks.results import Figure, Results, Spread, difference, ratio
from benchmarks.rounds import JSON, LOOP
from benchmarks.servers import BACKEND, GATEWAY, PEERS, TENSORGATE


def _results() -> Results:
    results = Results(about={"machine": "small", "seconds": "2", "peers call": "function"})
    for number, (ours, theirs) in enumerate([(4000, 2000), (4400, 1100), (4100, 1640)]):
        results.add(number, Figure(TENSORGATE, "rate", OIP_RPC.name, 64), ours)
        results.add(number, Figure(TENSORGATE, "p50", OIP_RPC.name, 1), 1.5)
        results.add(number, Figure(PEERS["triton"], "rate", OIP_RPC.name, 64), theirs)
        results.add(number, Figure(LOOP, "images", "function", 64), 2 * ours)
        results.add(number, Figure(LOOP, "images", "session", 64), 4 * ours)
        results.add(number, Figure(LOOP, "images", "function", 1), 1000)
        results.add(number, Figure(LOOP, "images", "session", 1), 2000)
        results.add(number, Figure(GATEWAY, "rate", TFS_RPC.name, 64), 3000)
    results.add(1, Figure(BACKEND, "rate", TFS_RPC.name, 64), 2000)
    results.reasons["MLServer", OIP_RPC.name] = "no environment | .venv-peers/mlserver"
    return results


def test_the_middle_round_counts() -> None:
    assert Spread.of(_results().of(TENSORGATE, "rate", OIP_RPC.name, 64)) == Spread(4100, 4000, 4400)
    assert Spread.of(_results().of(TENSORGATE, "rate", OIP_RPC.name, 8)) is None


def test_figures_are_of_one_round_and_then_put_together() -> None:
    assert ratio({0: 4.0, 1: 9.0}, {1: 3.0, 2: 5.0}) == {1: 3.0}
    assert difference({0: 4.0, 1: 9.0}, {1: 3.0}) == {1: 6.0}
    found = {what: rounds for what, _, rounds in figures(_results())}
    assert found[f"OIP gRPC, concurrency 64: requests/s against {PEERS['triton']}"] == {0: 2.0, 1: 4.0, 2: 2.5}
    assert found["OIP gRPC, concurrency 64: requests/s against images of the bare loop at batch 64"] == {
        0: 0.25,
        1: 0.25,
        2: 0.25,
    }
    assert found["OIP gRPC, concurrency 1: p50, added to the bare call of the model"] == {0: 1.0, 1: 1.0, 2: 1.0}
    assert found["a gateway, concurrency 64: requests/s against its backend called directly"] == {1: 1.5}
    assert not any(rounds for what, rounds in found.items() if "MLServer" in what or "baseline" in what)


def test_figures_without_rounds_are_left_out_of_the_table() -> None:
    cells = tables.in_short(_results())
    (row,) = [row for row in cells if "Triton" in row[0]]
    assert list(row[1:]) == ["2.50", "2.00 to 4.00"]
    assert not any("MLServer" in row[0] for row in cells)


def test_a_table_has_every_row_and_the_reasons_of_those_without_figures() -> None:
    cells = tables.throughput(_results())
    assert list(cells[1]) == [TENSORGATE, OIP_RPC.name, "-", "4,100 (4,000 to 4,400)", "-"]
    assert list(cells[-1]) == ["MLServer", OIP_RPC.name, "no environment / .venv-peers/mlserver", "", ""]
    assert {line.count("|") for line in tables.as_markdown(cells).splitlines()} == {6}
    assert "no environment" in tables.as_text(cells)


def test_a_document_has_all_tables_and_says_what_is_not_measured() -> None:
    results = _results()
    results.add(0, Figure(JSON, "ours", "28x28x1, flat"), 0.02)
    results.add(0, Figure(TENSORGATE, "soak", concurrency=1000), 500)
    results.add(0, Figure(TENSORGATE, "soak", concurrency=2000), 505)
    for when, worst in (("usual", 2), ("while it loads", 5)):
        for what, value in (("p50", 1), ("p99", 2), ("worst", worst)):
            results.add(0, Figure(TENSORGATE, f"{when}: {what}", OIP_RPC.name, 8), value)
    text = report.as_markdown(results)
    assert "| Tensorgate | 8 | 1.00 / 2.00 / 2.00 | 1.00 / 2.00 / 5.00 |" in text
    assert "the worst latency against the usual p99 (below 1 is faster) | 2.50 |" in text
    assert "| 2,000 | 505.0 | +1.0 % |" in text
    assert "lasts 2 s" in text
    assert "| machine | small |" in text
    assert "Not measured." not in text
    assert "Not measured." in report.as_markdown(Results())


def test_what_was_saved_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "of" / "results.json"
    _results().save(file)
    assert Results.load(file) == _results()


def test_a_report_takes_three_rounds(capsys: pytest.CaptureFixture[str]) -> None:
    assert parse(["--write"]).write
    with pytest.raises(SystemExit):
        parse(["--write", "--rounds", "2"])
    with pytest.raises(SystemExit):
        parse(["--baseline", "/nowhere"])
    assert "at least 3 rounds" in capsys.readouterr().err


def test_a_profile_distinguishes_functions_from_their_callees() -> None:
    text = summary(["main;serve;run 3", "main;serve 1", "main;main;run 4"])
    own, below = text.split("\n\n")
    assert own.splitlines()[1:] == [" 87.5 %  run", " 12.5 %  serve"]
    assert below.splitlines()[1:3] == ["100.0 %  main", " 87.5 %  run"]
