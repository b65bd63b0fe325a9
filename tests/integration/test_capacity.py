"""What `make capacity` measures, in short: a real gateway before the stand-in for a replica."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import load
from benchmarks.questions import TFS_RPC
from capacity import costs, trying
from capacity.__main__ import main
from capacity.measured import PUBLISHED, TFSERVING, Idle, Measured
from capacity.model import INPUT, MODEL, examples
from capacity.servers import gateway, replica
from capacity.system import Cell, Runs
from reliability.servers import starter
from tests.processes import ROOT, ServerProcess

_RUNS = Runs(fixed=0.01, each=0.001, most=8)


async def test_gateways_that_share_a_replica_answer_and_merge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trying, "CELLS", (Cell(2, 1, places=1),))
    monkeypatch.setattr(trying, "LOADS", (0.5,))
    monkeypatch.setattr(trying, "RUNS", _RUNS)
    monkeypatch.setattr(trying, "_SETTLING", 0.2)
    async with starter(tmp_path, tmp_path) as start:
        [tried] = await trying.latencies(start, seconds=0.5)
    assert tried.failed == 0
    assert tried.count > 0
    assert 1 < tried.merged <= _RUNS.most
    # It was run after all, on the one replica.
    assert _RUNS.seconds(1) <= tried.mean <= tried.p99


@pytest.mark.skipif(
    shutil.which("cc") is None or not Path("/usr/include/nghttp2/nghttp2.h").exists(),
    reason="needs a C compiler and libnghttp2-dev",
)
async def test_a_request_costs_the_event_loop_and_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load.build()
    monkeypatch.setattr(load, "_WARM_UP_SECONDS", 0.0)
    async with starter(tmp_path, tmp_path) as start:
        behind = await replica(start, "behind", Runs(0.001, 0, 128))
        before = await gateway(start, "before", [behind])
        case = costs.Case(TFSERVING, before, MODEL, TFS_RPC.to(MODEL, INPUT, (1, 64)), examples(64))
        cost = costs.cost_of(case, seconds=0.3)
    assert (cost.backend, cost.model, cost.protocol) == (TFSERVING, MODEL, "TFS gRPC")
    assert cost.loop > 0
    assert cost.others > 0
    assert cost.size > 4 * 64


def test_parts_that_are_not_measured_stay_and_say_when_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def found(_: object) -> Idle:
        return Idle(1.0, 2.0, 3.0, 4, 5)

    published = Measured.load(PUBLISHED)
    published.save(tmp_path / "last.json")
    monkeypatch.setattr("capacity.__main__.LAST", tmp_path / "last.json")
    monkeypatch.setattr("capacity.report._REQUESTS", 50)
    monkeypatch.setattr("capacity.idle.measure", found)
    for slow in ("benchmarks.load.build", "benchmarks.exporting.export", "capacity.model.export"):
        monkeypatch.setattr(slow, lambda *_: None)
    assert main(["measure", "--only", "idle"]) == 0
    assert "date (idle)" in capsys.readouterr().out
    last = Measured.load(tmp_path / "last.json")
    assert last.idle == Idle(1.0, 2.0, 3.0, 4, 5)
    assert last.about.pop("idle") != published.about.pop("idle")
    assert (last.about, last.costs) == (published.about, published.costs)


def test_the_command_names_what_it_can_do() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "capacity", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert {"measure", "plan", "runs"} <= set(done.stdout.split())


async def test_what_a_run_takes_on_a_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--rows", "16", "--calls", "3"]
    async with starter(tmp_path, tmp_path) as start:
        behind = await replica(start, "behind", Runs(0.02, 0.005, 16))
        before = await gateway(start, "before", [behind])
        assert main(["runs", before.grpc, MODEL, *asked]) == 1
        assert "input 'x' is float32 [?, ?]: expected known sizes" in capsys.readouterr().out
        too_many = ["--rows", "8193", "--calls", "1", "--unknown", "1"]
        assert main(["runs", before.grpc, MODEL, *too_many]) == 1
        assert "max_request_rows" in capsys.readouterr().out
        assert main(["runs", before.grpc, MODEL, *asked, "--unknown", "64"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines[:2]] == ["1 rows", "16 rows"]
    assert main(["plan", "--rate", "100", "--p99-ms", "1000", *lines[2].split()]) == 0
    assert "gateways" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nobody"], "nobody"),
        (["digits", "--signature", "none"], "digits has no signature 'none', but "),
        (["digits", "--signature", "classify_bytes"], "input 'image_bytes' is string [?]: expected numbers"),
    ],
)
def test_what_cannot_be_measured_is_said(
    capsys: pytest.CaptureFixture[str], others: ServerProcess, arguments: list[str], expected: str
) -> None:
    assert main(["runs", others.grpc, *arguments]) == 1
    assert expected in capsys.readouterr().out
