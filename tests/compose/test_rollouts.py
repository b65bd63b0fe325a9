"""A rollout before TensorFlow Serving, by the files and commands of docs/rollouts.md."""

import re
import shlex
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.compose.steady_load import images
from tests.compose.system import FILES, ComposeSystem, engine_missing
from tests.processes import ROOT

pytestmark = [pytest.mark.compose, pytest.mark.timeout(2700)]  # the images may be built
_SECONDS = 60
_TEXT = (ROOT / "docs" / "rollouts.md").read_text("utf-8").partition("### With Compose")[2].partition("### On ")[0]
_LISTS = "/srv/lists"
_POLICY = "model_version_policy { latest { num_versions: 2 } }"


def command(*words: str) -> list[str]:
    """Returns the one documented command with these words in it, as arguments of ``docker compose``."""
    lines = [line for line in _TEXT.splitlines() if line.startswith("docker compose ")]
    [found] = [line for line in lines if all(word in line for word in words)]
    return shlex.split(found)[2:]


def block(words: str) -> str:
    """Returns the one documented block with these words in it."""
    [found] = [block for block in re.findall(r"```\w*\n(.*?)```", _TEXT, re.DOTALL) if words in block]
    return str(found)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


class Rollout:
    """A system with version 7 of `digits`, and what the documentation does with it.

    Attributes:
        lists: The folder of the gateways' own list.
        system: With the documented override.
    """

    def __init__(self, folder: Path, trained: Path) -> None:
        self.lists = folder / "lists"
        self.lists.mkdir(mode=0o777)
        self.lists.chmod(0o777)
        override = folder / "override.yml"
        override.write_text(block("services:").replace(_LISTS, str(self.lists)))
        variables = {"TRAIN_DEFAULT_MODELS": "false", "DRAIN_DELAY": "0"}
        self._plain = ComposeSystem("tensorgate-rollout", variables)
        self.system = ComposeSystem("tensorgate-rollout", self._plain.variables, files=(*FILES, str(override)))
        self._versions = folder / "models"
        for model, version in (("digits", "7"), ("sunspots", "1")):
            shutil.copytree(trained / model / "1", self._versions / model / version)

    def start(self) -> None:
        """Starts it, and gives the gateways a list of their own."""
        self._plain.build()
        self._plain.publish(self._versions)
        self._plain.up()
        self.in_volume(f"sed -i 's|name: \"digits\"|& {_POLICY}|' /models/models.config")
        self.system.compose(*command("--entrypoint cp"))
        self.system.up()

    def in_volume(self, script: str) -> None:
        """Runs a script where the volume of models can be written to."""
        self.system.compose("run", "--rm", "--no-TTY", "--no-deps", "--entrypoint", "sh", "train", "-ec", script)

    def edit_list(self, change: Callable[[str], str]) -> None:
        """Changes the gateways' list as an editor does."""
        file = self.lists / "models.config"
        beside = self.lists / ".edited"
        beside.write_text(change(file.read_text()))
        beside.chmod(0o666)
        beside.replace(file)

    def versions(self) -> set[str]:
        """Asks as many sessions as it takes to see which versions answer those that name none."""
        instances = images()[:1].tolist()
        with httpx.Client(base_url=self.system.rest, timeout=20) as client:
            answers = [client.post("/v1/models/digits:predict", json={"instances": instances}) for _ in range(40)]
        return {answer.raise_for_status().headers.get("x-tensorgate-model-version", "") for answer in answers}


@pytest.fixture(scope="module")
def rollout(tmp_path_factory: pytest.TempPathFactory, default_models: Path) -> Iterator[Rollout]:
    if reason := engine_missing():
        pytest.skip(reason)
    made = Rollout(tmp_path_factory.mktemp("rollout"), default_models)
    try:
        made.start()
        yield made
    finally:
        made.system.down()


def test_a_new_version_waits_for_its_rollout_and_gets_all_requests_by_it(rollout: Rollout) -> None:
    system = rollout.system
    rollout.edit_list(lambda text: text.replace('name: "digits"', f'name: "digits" {block("splits").strip()}'))
    until(lambda: rollout.versions() == {"7"})
    rollout.in_volume("cp -r /models/digits/7 /models/digits/.8 && mv /models/digits/.8 /models/digits/8")
    states = f"{system.rest}/v1/models/digits"
    until(lambda: "8" in {each["version"] for each in httpx.get(states).json()["model_version_status"]})
    time.sleep(3)
    assert rollout.versions() == {"7"}
    quickly = ("--steps", "50,100", "--step-seconds", "1", "--min-requests", "10")
    # One picture again and again is not what it was trained on, and a busy machine makes any version slow at times.
    system.compose(*command("rollout start"), *quickly, "--max-drift-psi=-1", "--max-p99-ratio", "100")
    until(lambda: rollout.versions() == {"7", "8"})
    until(lambda: rollout.versions() == {"8"} and "step: 1" in (rollout.lists / "models.config").read_text())
    assert "complete" in system.compose(*command("rollout status"))
    system.compose(*command("rollout finish"))
    assert "rollout {" not in (rollout.lists / "models.config").read_text()
    until(lambda: rollout.versions() <= {"8", ""})
    rollout.in_volume("cp -r /models/sunspots /models/.more && mv /models/.more /models/more")
    assert "more" in system.compose(*command("tensorgate model-config"))
