"""The page that is served is the one that its sources make, and a small one."""

import gzip
import json
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES, SERVED = ROOT / "page", ROOT / "service/transport/page"
MAX_BYTES = 300_000
"""Compressed, as browsers fetch it."""

needs_npm = pytest.mark.skipif(
    shutil.which("node") is None or not (SOURCES / "node_modules/esbuild").exists(),
    reason="what builds the page is not installed: make page does it",
)


@needs_npm
def test_it_is_what_its_sources_make(tmp_path: Path) -> None:
    subprocess.run(["node", "build.mjs", str(tmp_path)], cwd=SOURCES, check=True, capture_output=True)
    made = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert made == {file.name: file.read_bytes() for file in SERVED.iterdir()}, "run make page"


@needs_npm
def test_its_types_are_right() -> None:
    command = ["node", "node_modules/typescript/bin/tsc", "--noEmit"]
    done = subprocess.run(command, cwd=SOURCES, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_it_is_small() -> None:
    assert sum(len(gzip.compress(file.read_bytes())) for file in SERVED.iterdir()) < MAX_BYTES


def test_the_licences_of_all_that_is_in_it_are_there() -> None:
    notice = (SERVED / "NOTICE.txt").read_text()
    for name, version in json.loads((SOURCES / "package.json").read_text())["dependencies"].items():
        assert f"\n{name} {version}, " in notice


def test_its_packages_are_pinned_and_name_no_address() -> None:
    packages = json.loads((SOURCES / "package-lock.json").read_text())["packages"]
    assert all("resolved" not in package for package in packages.values())
    wanted = json.loads((SOURCES / "package.json").read_text())
    for version in (wanted["dependencies"] | wanted["devDependencies"]).values():
        assert version[0].isdigit()


def test_no_source_is_longer_than_a_file_may_be() -> None:
    for source in (SOURCES / "src").glob("*.ts*"):
        assert len(source.read_text().splitlines()) <= 300, source
