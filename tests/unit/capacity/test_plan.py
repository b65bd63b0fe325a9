"""Plans: enough for what is asked, not more than that, and said plainly where there is none."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from capacity.__main__ import main
from capacity.measured import EMBEDDED, PARTS, PUBLISHED, TFSERVING, Cost, Costs, Measured
from capacity.model import MODEL, PROTOCOLS
from capacity.plan import Demand, UnreachableError, plan
from capacity.system import Runs
from tests.processes import ROOT

GPU = Runs(fixed=0.003, each=0.0000625, most=32)
SMALL = Costs(size=300, loop=0.00015, others=0.00005, embedded=False)


def _demand(rate: float, p99: float = 0.05, costs: Costs = SMALL, runs: Runs = GPU) -> Demand:
    return Demand(rate, p99, runs, costs)


@pytest.mark.parametrize("rate", [1, 1_000, 10_000, 100_000, 1_000_000])
def test_nothing_is_fuller_than_it_may_be(rate: float) -> None:
    found = plan(_demand(rate))
    assert found.gateways >= 2
    assert found.replicas >= 2
    assert found.loop <= 0.7
    assert found.system.load <= 0.7
    assert found.latency.p99 <= 0.05
    cell = found.system.cell
    assert found.gateways == found.cells * cell.gateways
    assert found.replicas == found.cells * cell.replicas
    assert found.system.rate * found.cells == pytest.approx(rate)


def test_ten_times_as_much_takes_ten_times_as_many() -> None:
    some, many = plan(_demand(100_000)), plan(_demand(1_000_000))
    assert many.gateways == pytest.approx(10 * some.gateways, rel=0.05)
    assert many.cores == pytest.approx(10 * some.cores)
    assert many.cores == pytest.approx(1_000_000 * 0.0002 / 0.7)
    assert many.bits == pytest.approx(8 * 300 * 1_000_000)


def test_gateways_that_all_ask_all_replicas_are_slower_than_cells() -> None:
    found = plan(_demand(100_000))
    assert found.together is not None
    assert found.together.p99 > 10 * found.latency.p99


def test_less_time_takes_more_replicas() -> None:
    patient, hasty = plan(_demand(10_000, p99=0.05)), plan(_demand(10_000, p99=0.013))
    assert hasty.replicas > patient.replicas
    assert hasty.latency.p99 <= 0.013


def test_an_event_loop_that_takes_most_of_the_time_takes_more_gateways() -> None:
    costs = Costs(size=150_573, loop=0.000971, others=0.000322, embedded=False)
    found = plan(_demand(10_000, p99=0.008, costs=costs, runs=Runs(0.001, 0, 128)))
    assert found.latency.p99 <= 0.008
    # By the formulas, 80 of each are enough.
    assert found.gateways + found.replicas <= 160


@pytest.mark.parametrize("runs", [GPU, Runs(0.0045, 0, 128), Runs(0.02, 0.001, 1)])
@pytest.mark.parametrize("rate", [1, 10_000])
def test_unreachable_is_only_what_is_less_than_one_request_alone_takes(rate: float, runs: Runs) -> None:
    alone = runs.seconds(1) + SMALL.loop * math.log(100)
    assert plan(_demand(rate, p99=1.02 * alone, runs=runs)).latency.p99 <= 1.02 * alone
    with pytest.raises(UnreachableError, match=f"{1000 * runs.seconds(1):.2f} ms for a run of one request"):
        plan(_demand(rate, p99=0.99 * alone, runs=runs))


def test_a_gateway_that_runs_the_model_itself_is_a_replica_too() -> None:
    costs = Costs(size=3000, loop=0.00012, others=0.00015, embedded=True)
    found = plan(_demand(50_000, costs=costs, runs=Runs(0.0004, 0.00012, 128)))
    assert (found.replicas, found.together) == (0, None)
    # Its runs are full before its event loop is.
    assert found.system.load > found.loop
    assert found.system.load <= 0.7


def test_load_is_what_waits_by_littles_law() -> None:
    found = plan(_demand(10_000))
    assert found.waiting * found.gateways == pytest.approx(10_000 * found.latency.in_runs)


def test_costs_between_sizes_and_beyond() -> None:
    small, large = (Cost(TFSERVING, "m", "p", size, size / 10, size / 100) for size in (100, 1000))
    measured = Measured(costs=[large, small])
    assert measured.costs_of(TFSERVING, "m", "p").size == 100
    for size, loop in ((50, 10), (100, 10), (550, 55), (1000, 100), (3000, 300)):
        found = measured.costs_of(TFSERVING, "m", "p", size)
        assert found.loop == pytest.approx(loop / 1e6)
        assert found.others == pytest.approx(loop / 1e7)
        assert not found.embedded
    with pytest.raises(LookupError, match="not measured: embedded, m, p"):
        measured.costs_of(EMBEDDED, "m", "p")


def test_what_was_measured_is_kept(tmp_path: Path) -> None:
    published = Measured.load(PUBLISHED)
    assert set(published.about) == set(PARTS)
    published.save(tmp_path / "build" / "same.json")
    assert Measured.load(tmp_path / "build" / "same.json") == published
    for protocol in PROTOCOLS:
        assert published.costs_of(TFSERVING, MODEL, protocol).loop > 0


def test_a_file_that_says_once_for_all_parts_how_they_were_measured_is_read(tmp_path: Path) -> None:
    file = tmp_path / "old.json"
    about = {"machine": "old", "date": "then"}
    file.write_text(json.dumps({**json.loads(PUBLISHED.read_text()), "about": about}))
    assert Measured.load(file).about == dict.fromkeys(PARTS, about)


ASKED = ["plan", "--rate", "10000", "--p99-ms", "50", "--fixed-ms", "3", "--each-ms", "0.0625", "--batch", "32"]


def test_the_command_says_what_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ASKED, "--simulate"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["asked"].startswith("10,000 requests a second")
    assert {"gateways", "replicas", "cells", "cores", "network", "p99", "load", "simulated"} <= set(lines)


def test_the_command_plans_for_gateways_that_run_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ASKED, "--embedded"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["model"].startswith("in the gateways")
    assert not {"replicas", "cells", "no"} & set(lines)


def test_the_command_says_when_the_costs_were_measured_and_not_what_was_measured_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = Measured.load(PUBLISHED)
    measured.about |= {"costs": {"machine": "A", "date": "then"}, "idle": {"machine": "B", "date": "now"}}
    measured.save(tmp_path / "last.json")
    monkeypatch.setattr("capacity.__main__.LAST", tmp_path / "last.json")
    assert main(ASKED) == 0
    assert "measured on A, then\n" in capsys.readouterr().out


def test_planning_takes_the_server_s_packages_alone() -> None:
    others = ("httpx", "pytest", "simpy", "tensorflow")
    program = f"import sys; sys.modules.update(dict.fromkeys({others})); from capacity.__main__ import main; "
    program += f"sys.exit(main({ASKED}))"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True)
    program = program.replace("'32'", "'32', '--simulate'")
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("--simulate: expected the package simpy")
    assert "pip install --constraint requirements/dev.txt simpy" in done.stdout


def test_what_was_not_measured_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("capacity.__main__.LAST", tmp_path / "none.json")
    assert main(["measure", "--again", "--write"]) == 1
    assert "nothing has been measured here yet" in capsys.readouterr().err
    Measured(about={"costs": {"machine": "A"}, "full": {"machine": "A"}}).save(tmp_path / "some.json")
    monkeypatch.setattr("capacity.__main__.LAST", tmp_path / "some.json")
    monkeypatch.setattr("capacity.report.as_text", lambda _: "")
    assert main(["measure", "--again", "--write"]) == 1
    assert "expected all parts, not yet measured here: latencies, idle" in capsys.readouterr().err


def test_the_command_says_why_there_is_no_plan(capsys: pytest.CaptureFixture[str]) -> None:
    asked = [*ASKED]
    asked[asked.index("50")] = "2"
    assert main(asked) == 1
    assert capsys.readouterr().out.startswith("no number of processes answers 99 of 100 requests in 2 ms")


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--rate", "0", "expected more than 0, not '0'"),
        ("--rate", "many", "expected a number, not 'many'"),
        ("--p99-ms", "nan", "expected more than 0, not 'nan'"),
        ("--each-ms", "-1", "expected 0 or more, not '-1'"),
        ("--batch", "0", "expected a whole number above 0, not '0'"),
        ("--utilisation", "1", "expected more than 0 and less than 1, not '1'"),
        ("--protocol", "SOAP", "invalid choice: 'SOAP'"),
    ],
)
def test_wrong_options(option: str, value: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([*ASKED, f"{option}={value}"])
    assert expected in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["measure", "--only", "everything"])
    assert "there is no everything; there are costs, latencies, full, idle" in capsys.readouterr().err
