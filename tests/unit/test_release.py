"""What a release states in several places agrees."""

import re
import tomllib
from pathlib import Path

from service import __version__

ROOT = Path(__file__).resolve().parents[2]


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert project["version"] == __version__ == headings[0]


def test_requirement_files_are_pinned_and_name_no_address() -> None:
    for file in (ROOT / "requirements").glob("*.txt"):
        for line in file.read_text().splitlines():
            if not line.startswith("#"):
                assert re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][^ ]*( ; .+)?", line), f"{file.name}: {line}"


def test_the_wheel_in_the_images_is_built_as_the_project_says() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["build-system"]["requires"] == (ROOT / "requirements/build.in").read_text().split()


def test_the_images_bear_the_version() -> None:
    assert f"\nARG VERSION={__version__}\n" in (ROOT / "Dockerfile").read_text()
