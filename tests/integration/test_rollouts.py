"""Rollouts of real models under load, on both backends: a bad version never has more than its share, and goes."""

import asyncio
import itertools
import math
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from service.app.model_config_file import ModelConfigFile
from service.app.rollout_follower import write_rollout
from service.commands.main import main
from service.core.rollout import Reason, Rollout
from service.core.rollout_watch import Phase, RolloutWatch
from tests import rollout_models
from tests.conftest import until
from tests.real_server import RealServer, gateway_to, serving_config
from tests.rollout_models import FAILING, GOOD, RENAMED, SLOW, STABLE, WRONG

SECONDS = 60
SETTINGS: dict[str, Any] = {"poll_seconds": 0.1, "drift_share": 1.0, "access_log": "none"}
SHARE = 0.25
REASONS = {
    SLOW: {Reason.LATENCY},
    FAILING: {Reason.ERROR_RATE},
    WRONG: {Reason.DRIFT},
    RENAMED: {Reason.SIGNATURE},
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    rollout_models.save_rollout_models(folder)
    return folder


def write_config(file: Path, saved: Path, **models: int) -> Path:
    """Writes the file: each of these models is the same folder, with the stable version and one more."""
    configs = [
        f'config {{ name: "{name}" base_path: "{saved}" model_version_policy {{ specific {{ versions: [{STABLE}, '
        f'{version}] }} }} version_labels {{ key: "stable" value: {STABLE} }} }}'
        for name, version in models.items()
    ]
    file.write_text(f"# Written by a test.\nmodel_config_list {{ {' '.join(configs)} }}\n")
    return file


def start(file: Path, model: str, canary: int, *options: object) -> None:
    command = ["rollout", "start", model, "--file", file, "--stable", STABLE, "--canary", canary]
    command += ["--steps", f"{100 * SHARE:.0f},100", "--step-seconds", 1, "--min-requests", 20, "--max-p99-ratio"]
    command.append(1.5 if canary == SLOW else 100)  # a busy machine makes any of them slow at times
    assert main([str(part) for part in (*command, *options)]) == 0


def declared(file: Path, model: str) -> Rollout:
    rollout = next(config for config in ModelConfigFile(file).read() if config.name == model).traffic.rollout
    assert rollout is not None
    return rollout


def watch_of(server: RealServer, model: str) -> RolloutWatch:
    watch = server.runtime._parts.rollouts.watch(model)
    assert watch is not None
    return watch


@asynccontextmanager
async def replica_of(file: Path) -> AsyncIterator[str]:
    """Serves the models of the file from behind, by a list without rollouts; yields the address."""
    own = Path(shutil.copy(file, file.with_name("replica.config")))
    async with serving_config("savedmodel", own, **SETTINGS) as replica:
        yield f"127.0.0.1:{replica.runtime.grpc_port}"


@dataclass(slots=True)
class Asked:
    """What came back of one model.

    Attributes:
        versions: How many answers, well or not, each version gave; of those while the canary had its first share.
        failed: How many of all answers were errors, by version.
        after: Versions of the answers to what was asked after the rollout was taken back.
    """

    versions: Counter[int] = field(default_factory=Counter)
    failed: Counter[int] = field(default_factory=Counter)
    after: Counter[int] = field(default_factory=Counter)


async def ask(server: RealServer, model: str, *, label: str = "", **headers: str) -> tuple[int, int]:
    """Asks for some rows; returns the status and the version that answered."""
    rows = rollout_models.rows(8, seed=next(_NUMBERS))
    path = f"/v1/models/{model}" + (f"/labels/{label}" if label else "")
    answer = await server.rest.post(f"{path}:predict", json={"instances": rows.tolist()}, headers=headers)
    return answer.status_code, int(answer.headers["x-tensorgate-model-version"])


_NUMBERS = itertools.count(100)


@asynccontextmanager
async def load(server: RealServer, models: list[str], *, label: str = "") -> AsyncIterator[dict[str, Asked]]:
    """Asks for all models over and over while the body runs."""
    over = asyncio.Event()
    asked = {model: Asked() for model in models}

    async def ask_on(model: str) -> None:
        while not over.is_set():
            watch = watch_of(server, model)
            before = (watch.percent, watch.rolled_back)
            status, version = await ask(server, model, label=label)
            seen = asked[model]
            if before[1] is not None:
                seen.after[version] += 1
            elif before[0] == 100 * SHARE == watch.percent:
                seen.versions[version] += 1
            seen.failed[version] += status != 200

    asking = [asyncio.create_task(ask_on(model)) for model in models for _ in range(3)]
    try:
        yield asked
    finally:
        over.set()
        await asyncio.gather(*asking)


@pytest.mark.parametrize("backend", ["savedmodel", "tfserving"])
async def test_bad_versions_are_taken_back_and_good_ones_come_to_all_requests(
    saved: Path, tmp_path: Path, backend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = {"slow": SLOW, "failing": FAILING, "wrong": WRONG, "renamed": RENAMED}
    file = write_config(tmp_path / "models.config", saved, **bad, good=GOOD)
    async with AsyncExitStack() as stack:
        if backend == "tfserving":
            address = await stack.enter_async_context(replica_of(file))
            serving = gateway_to(address, model_config_file=file, **SETTINGS)
        else:
            serving = serving_config(backend, file, **SETTINGS)
        for model, version in {**bad, "good": GOOD}.items():
            start(file, model, version)
        server = await stack.enter_async_context(serving)
        asked = await stack.enter_async_context(load(server, [*bad, "good"]))
        await until(
            lambda: (
                all(watch_of(server, model).rolled_back for model in bad)
                and watch_of(server, "good").phase is Phase.COMPLETE
            ),
            seconds=SECONDS,
        )
        await until(lambda: all(asked[model].after.total() >= 30 for model in bad), seconds=SECONDS)
        for model in bad:
            await until(lambda: declared(file, model).rolled_back is not None)  # noqa: B023
        page = (await server.rest.get("/metrics")).text
        for model, version in bad.items():
            seen, back = asked[model], watch_of(server, model).rolled_back
            assert back is not None
            assert back.reason in REASONS[version], back
            assert watch_of(server, model).step == 0
            assert declared(file, model).rolled_back == back
            total = seen.versions.total()
            assert seen.versions[version] <= SHARE * total + 5 * math.sqrt(SHARE * total) + 1, model
            assert set(seen.after) == {STABLE}, model
            assert set(seen.failed) - {STABLE, version} == set()
            assert seen.failed[STABLE] == 0, model
            assert f'rolled_back_total{{model_name="{model}",reason="{back.reason}"}} 1.0' in page
            assert f'traffic_share{{label="",model_name="{model}",model_version="{version}"}} 0.0' in page
        assert asked["slow"].failed.total() == asked["wrong"].failed.total() == asked["good"].failed.total() == 0
        assert 'tensorgate_rollout_phase{label="",model_name="good",phase="complete"} 1.0' in page
        assert 'tensorgate_rollout_unwritten{label="",model_name="slow"} 0.0' in page
        answer = (await server.rest.get("/api/v1/models/slow/rollout")).json()
        assert (answer["phase"], answer["reason"], answer["written"]) == ("rolled_back", "p99", True)
    assert file.read_text().startswith("# Written by a test.\n")


async def test_a_restart_in_the_middle_changes_nothing_for_anybody(saved: Path, tmp_path: Path) -> None:
    file = write_config(tmp_path / "models.config", saved, good=GOOD)
    start(file, "good", GOOD, "--steps", "10,50,100", "--label", "stable", "--step-seconds", 3600)
    sessions = [f"somebody {number}" for number in range(40)]

    async def versions(server: RealServer) -> list[int]:
        asked = [ask(server, "good", label="stable", **{"x-tensorgate-session": session}) for session in sessions]
        return [version for _, version in await asyncio.gather(*asked)]

    async with serving_config("savedmodel", file, **SETTINGS) as server:
        few = await versions(server)
        write_rollout(file, "good", replace(declared(file, "good"), step=1, step_time=time.time()))
        await until(lambda: watch_of(server, "good").percent == 50)
        half = await versions(server)
    async with serving_config("savedmodel", file, **SETTINGS) as server:
        watch = watch_of(server, "good")
        assert (watch.step, watch.percent) == (1, 50)
        assert await versions(server) == half
        assert set(half) == {STABLE, GOOD}
        # Nobody went back.
        assert all(after == GOOD for before, after in zip(few, half, strict=True) if before == GOOD)


async def test_what_one_gateway_finds_all_of_them_follow(saved: Path, tmp_path: Path) -> None:
    file = write_config(tmp_path / "models.config", saved, failing=FAILING, good=GOOD)
    async with replica_of(file) as address:
        settings = SETTINGS | {"model_config_file": file}
        async with gateway_to(address, **settings) as asked, gateway_to(address, **settings) as idle:
            for model, version in (("failing", FAILING), ("good", GOOD)):
                start(file, model, version)
                for server in (asked, idle):
                    await until(lambda: server.runtime._parts.rollouts.watch(model) is not None)  # noqa: B023
            async with load(asked, ["failing", "good"]):
                await until(lambda: watch_of(idle, "failing").rolled_back is not None, seconds=SECONDS)
                await until(lambda: watch_of(idle, "good").percent == 100, seconds=SECONDS)
            assert watch_of(idle, "failing").rolled_back == watch_of(asked, "failing").rolled_back
            assert {(await ask(idle, "failing"))[1] for _ in range(20)} == {STABLE}
            assert {(await ask(idle, "good"))[1] for _ in range(20)} == {GOOD}
            page = (await idle.rest.get("/metrics")).text
            assert 'rolled_back_total{model_name="failing",reason="error_rate"} 0.0' in page  # it was the other one


async def test_a_gateway_that_cannot_write_the_file_takes_it_back_alone_and_says_so(
    saved: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = write_config(tmp_path / "models.config", saved, failing=FAILING)
    start(file, "failing", FAILING)
    lock = file.with_name(".models.config.lock")
    lock.unlink()
    lock.mkdir()  # as if all of the folder were read-only, which is no matter to root
    async with serving_config("savedmodel", file, **SETTINGS) as server:
        async with load(server, ["failing"]):
            await until(lambda: watch_of(server, "failing").rolled_back is not None, seconds=SECONDS)
        await until(lambda: "other servers are not told" in caplog.text)
        assert {(await ask(server, "failing"))[1] for _ in range(20)} == {STABLE}
        assert declared(file, "failing").rolled_back is None
        page = (await server.rest.get("/metrics")).text
        assert 'tensorgate_rollout_unwritten{label="",model_name="failing"} 1.0' in page
        lock.rmdir()
        await until(lambda: declared(file, "failing").rolled_back is not None)


async def test_it_is_shown_aborted_and_finished_by_the_command_line(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_config(tmp_path / "models.config", saved, good=GOOD)
    async with serving_config("savedmodel", file, **SETTINGS) as server:

        async def said(*words: object) -> str:
            await asyncio.to_thread(main, [str(word) for word in ("rollout", *words)])
            out, err = capsys.readouterr()
            return out + err

        address = ("--address", f"127.0.0.1:{server.runtime.grpc_port}")
        assert "there is no rollout of good" in await said("status", "good", *address)
        start(file, "good", GOOD, "--label", "stable")
        await until(lambda: server.runtime._parts.rollouts.watch("good") is not None)
        status = await said("status", "good", *address)
        assert "step 1 of 2: [25 %] > 100 %" in status
        assert f"{GOOD} (canary)" in status
        label = "/api/v1/models/good/labels/stable"
        refused = await server.rest.put(label, json={"version": GOOD})
        assert (refused.status_code, "under a rollout" in refused.text) == (409, True)
        assert (await server.rest.delete(label)).status_code == 409
        assert "is not ended" in await said("start", "good", "--file", file, "--stable", 1, "--canary", GOOD)
        assert "at step 1 of 2" in await said("finish", "good", "--file", file)
        assert f"version {STABLE} of good answers all" in await said("abort", "good", "--file", file, "--message", "no")
        await until(lambda: watch_of(server, "good").phase is Phase.ROLLED_BACK)
        assert "taken back (aborted): no" in await said("status", "good", *address, "--watch")
        assert {(await ask(server, "good", label="stable"))[1] for _ in range(20)} == {STABLE}
        assert f"the label stable of good is on version {STABLE}" in await said("finish", "good", "--file", file)
        await until(lambda: server.runtime._parts.rollouts.watch("good") is None)
        assert (await server.rest.put(label, json={"version": GOOD})).is_success
        assert "one of the models there: good" in await said("abort", "nope", "--file", file)
        assert "there is no rollout" in await said("abort", "good", "--file", file)
        nine = await said("start", "good", "--file", file, "--stable", 1, "--canary", 9)
        assert f"--canary: expected one of the versions in {saved}: 1, 2, 3, 4, 5, 6; got 9" in nine
