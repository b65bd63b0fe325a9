"""What is run on a cluster of one's own (deploy/kubernetes/kind): its load tells what was right, lost and wrong."""

import subprocess
import sys

from tests.processes import ROOT, ServerProcess

FOLDER = ROOT / "deploy" / "kubernetes" / "kind"


def load(address: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FOLDER / "load.py"), address, "1", "20"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)


def test_answers_that_are_right_are_told(server: ServerProcess) -> None:
    done = load(server.grpc)
    assert done.returncode == 0, done.stderr
    assert "'right': " in done.stdout


def test_the_script_is_one() -> None:
    assert subprocess.run(["sh", "-n", str(FOLDER / "run.sh")], check=False).returncode == 0
