import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import pytest

from service.core.bounds import InputBounds
from service.core.catalog import Catalog
from service.core.control import ModelControl
from service.core.model_config import ModelConfig
from service.core.model_version import ModelRef, State
from service.core.versions import VersionPolicy
from service.errors import ErrorKind, GatewayError
from tests.conftest import until
from tests.fakes import ControllableFake, FakeBackend

ROOT = Path("/nonexistent/models")
ALL = VersionPolicy(newest=None)


def config(
    name: str = "shades",
    policy: VersionPolicy = ALL,
    labels: Mapping[str, int] | None = None,
    base_path: Path = ROOT / "shades",
) -> ModelConfig:
    return ModelConfig(name, base_path, policy, labels or {})


def only(*versions: int) -> VersionPolicy:
    return VersionPolicy(newest=None, only=frozenset(versions))


async def started(
    *configs: ModelConfig, backend: FakeBackend | None = None, allowed: bool = True, root: Path = ROOT
) -> tuple[ModelControl, Catalog, Any]:
    catalog, backend = Catalog(), backend or ControllableFake()
    await backend.start(catalog)
    bounds = InputBounds(max_name_length=16)
    control = ModelControl(catalog=catalog, backend=backend, allowed=allowed, root=root, bounds=bounds)
    if configs:
        await control.follow(configs)
    return control, catalog, backend


async def refused(doing: Coroutine[Any, Any, None]) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        await doing
    return caught.value


async def begun(backend: ControllableFake, change: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Returns a change that loads until ``backend.loading`` is set."""
    backend.loading.clear()
    loads = backend.loads
    task = asyncio.create_task(change)
    await until(lambda: backend.loads > loads)
    return task


def states(catalog: Catalog, name: str) -> dict[int, str]:
    return {entry.version: entry.state.value for entry in catalog.versions(name)} if name in catalog else {}


async def test_a_reload_serves_these_models_and_no_others() -> None:
    control, catalog, _ = await started()
    await control.set_label("steps", "old", 7)
    await control.reload([config(labels={"stable": 1}), config("other", only(2))])
    assert catalog.names() == ["other", "shades"]
    assert states(catalog, "shades") == {2: "AVAILABLE", 1: "AVAILABLE"}
    assert states(catalog, "other") == {2: "AVAILABLE"}
    assert catalog.resolve(ModelRef("shades", label="stable")).version == 1
    await control.reload([config(labels={"canary": 2})])
    assert (catalog.names(), catalog.labels("shades")) == (["shades"], {"canary": 2})


@pytest.mark.parametrize(
    ("wrong", "kind", "where"),
    [
        (config(base_path=Path("models/shades")), ErrorKind.INVALID_INPUT, "config[1].base_path"),
        (config(base_path=Path("/nonexistent/models/a\0b")), ErrorKind.INVALID_INPUT, "config[1].base_path"),
        (config(base_path=Path("/elsewhere")), ErrorKind.FORBIDDEN, None),
        (config(base_path=ROOT / ".." / "elsewhere"), ErrorKind.FORBIDDEN, None),
        (config("x" * 17), ErrorKind.TOO_LARGE, "config[1].name"),
        (config(labels={"1": 1}), ErrorKind.INVALID_INPUT, "config[1].version_labels"),
        (config(labels={"a/b": 1}), ErrorKind.INVALID_INPUT, "config[1].version_labels"),
        (config(labels={"x" * 17: 1}), ErrorKind.TOO_LARGE, "config[1].version_labels"),
    ],
)
async def test_a_reload_that_makes_no_sense_changes_nothing(
    wrong: ModelConfig, kind: ErrorKind, where: str | None
) -> None:
    control, catalog, _ = await started(config(labels={"stable": 1}))
    error = await refused(control.reload([config("other"), wrong]))
    assert (error.kind, [violation.where for violation in error.violations]) == (kind, [where] if where else [])
    assert (catalog.names(), catalog.labels("shades")) == (["shades"], {"stable": 1})


async def test_links_do_not_lead_out_of_the_models_folder(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "out").symlink_to(tmp_path)
    (tmp_path / "models" / "circle").symlink_to(tmp_path / "models" / "circle")
    control, _, _ = await started(root=tmp_path / "models")
    error = await refused(control.reload([config(base_path=tmp_path / "models" / "out" / "shades")]))
    assert error.kind is ErrorKind.FORBIDDEN
    error = await refused(control.reload([config(base_path=tmp_path / "models" / "circle" / "shades")]))
    assert error.kind is ErrorKind.INVALID_INPUT


async def test_a_model_that_cannot_be_loaded_is_reported_with_its_reason_and_moves_no_label() -> None:
    control, catalog, backend = await started(config(policy=only(1), labels={"stable": 1}))
    backend.damaged = {("other", 1), ("other", 2)}
    error = await refused(control.reload([config(labels={"stable": 2}), config("other")]))
    assert error.kind is ErrorKind.LOAD_FAILED
    assert "other due to error: it is damaged" in error.message
    assert catalog.labels("shades") == {"stable": 1}


async def test_a_label_on_a_version_that_is_not_available_fails_a_reload() -> None:
    control, catalog, _ = await started(config(labels={"stable": 1}))
    error = await refused(control.reload([config(labels={"stable": 2, "canary": 9})]))
    assert error.kind is ErrorKind.FAILED_PRECONDITION
    assert "'canary'" in error.message
    assert catalog.labels("shades") == {"stable": 1}


async def test_the_operators_labels_may_wait_for_their_versions() -> None:
    control, catalog, _ = await started(config(policy=only(1), labels={"stable": 2}))
    with pytest.raises(GatewayError) as caught:
        catalog.resolve(ModelRef("shades", label="stable"))
    assert caught.value.kind is ErrorKind.MODEL_NOT_FOUND
    await control.follow([config(policy=only(2), labels={"stable": 2})])
    assert catalog.resolve(ModelRef("shades", label="stable")).version == 2


@pytest.mark.parametrize("change", [ModelControl.reload, ModelControl.follow])
async def test_a_label_finds_a_version_at_every_moment_of_a_change(change: Callable[..., Any]) -> None:
    control, catalog, _ = await started(config(policy=only(1), labels={"stable": 1}))
    found: list[int] = []

    def look(_: object = None) -> None:
        found.append(catalog.resolve(ModelRef("shades", label="stable")).version)

    catalog.subscribe(look)
    for version in (2, 1, 2):
        changing = asyncio.create_task(change(control, [config(policy=only(version), labels={"stable": version})]))
        while not changing.done():
            look()
            await asyncio.sleep(0)
        await changing
        assert found[-1] == version
    assert set(found) == {1, 2}


async def test_only_an_available_version_gets_a_label() -> None:
    control, catalog, _ = await started()
    await control.set_label("shades", "stable", 1)
    for name, version, kind in (
        ("shades", 3, ErrorKind.FAILED_PRECONDITION),
        ("shades", 9, ErrorKind.FAILED_PRECONDITION),
        ("nope", 1, ErrorKind.MODEL_NOT_FOUND),
    ):
        assert (await refused(control.set_label(name, "stable", version))).kind is kind
    assert catalog.labels("shades") == {"stable": 1}


@pytest.mark.parametrize("label", ["", "1", "a/b", "a:b", "a\tb", "stable\n", "\x7f"])
async def test_what_is_no_label_is_refused(label: str) -> None:
    control, _, _ = await started()
    error = await refused(control.set_label("shades", label, 1))
    assert (error.kind, error.violations[0].where) == (ErrorKind.INVALID_INPUT, "label")


@pytest.mark.parametrize("label", ["stable", "1.5", "v1", "-", "ä ö", "x" * 16])
async def test_labels_are_put_on_and_taken_away(label: str) -> None:
    control, catalog, _ = await started()
    await control.set_label("shades", label, 1)
    assert catalog.labels("shades") == {label: 1}
    await control.remove_label("shades", label)
    assert catalog.labels("shades") == {}
    assert (await refused(control.remove_label("shades", label))).kind is ErrorKind.LABEL_NOT_FOUND
    assert (await refused(control.remove_label("nope", label))).kind is ErrorKind.MODEL_NOT_FOUND


async def test_a_label_is_taken_away_from_a_version_that_is_gone() -> None:
    control, catalog, _ = await started(config(policy=only(2), labels={"stable": 1}))
    await control.remove_label("shades", "stable")
    assert catalog.labels("shades") == {}


async def test_a_model_is_unloaded_and_loaded_again() -> None:
    control, catalog, backend = await started(config(), config("other"))
    await control.unload("shades")
    assert states(catalog, "shades") == {2: "END", 1: "END"}
    assert catalog.readiness() == {"other": True}
    await control.load("shades")
    assert catalog.resolve(ModelRef("shades")).version == 2
    await control.unload("shades")
    backend.damaged = {("shades", 1), ("shades", 2)}
    error = await refused(control.load("shades"))
    assert (error.kind, "it is damaged" in error.message) == (ErrorKind.LOAD_FAILED, True)
    for doing in (control.load("nope"), control.unload("nope")):
        assert (await refused(doing)).kind is ErrorKind.MODEL_NOT_FOUND


async def test_where_it_is_not_allowed_clients_change_nothing_and_the_operator_does() -> None:
    control, catalog, _ = await started(config(labels={"stable": 1}), allowed=False)
    for doing in (
        control.reload([]),
        control.load("shades"),
        control.unload("shades"),
        control.set_label("shades", "stable", 2),
        control.remove_label("shades", "stable"),
    ):
        error = await refused(doing)
        assert (error.kind, "allow_model_control" in error.message) == (ErrorKind.FORBIDDEN, True)
    assert catalog.labels("shades") == {"stable": 1}


async def test_a_backend_without_control_still_has_labels() -> None:
    control, catalog, _ = await started(backend=FakeBackend())
    for doing in (control.reload([]), control.follow([]), control.load("shades"), control.unload("shades")):
        assert (await refused(doing)).kind is ErrorKind.NOT_SUPPORTED
    await control.set_label("shades", "stable", 1)
    assert catalog.labels("shades") == {"stable": 1}


async def test_a_change_that_began_goes_on_when_nobody_waits_for_it_and_the_next_waits_for_its_end() -> None:
    control, catalog, backend = await started(config())
    waiting = await begun(backend, control.follow([config("other", labels={"stable": 1})]))
    waiting.cancel()
    next_one = asyncio.create_task(control.set_label("other", "canary", 2))
    await asyncio.sleep(0)
    assert waiting.cancelled()
    assert catalog.names() == ["shades"]
    backend.loading.set()
    await next_one
    assert catalog.labels("other") == {"stable": 1, "canary": 2}
    assert all(entry.state is State.AVAILABLE for entry in catalog.versions("other"))


async def test_who_gives_up_before_the_turn_leaves_nothing_behind() -> None:
    control, catalog, backend = await started(config())
    first = await begun(backend, control.reload([config("other")]))
    tasks = len(asyncio.all_tasks())
    loads = backend.loads
    waiting = [asyncio.create_task(control.reload([config(f"m{number}")])) for number in range(20)]
    for _ in range(5):
        await asyncio.sleep(0.01)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert len(asyncio.all_tasks()) == tasks
    backend.loading.set()
    await first
    await control.set_label("other", "stable", 1)  # its turn comes after all that wait
    assert catalog.names() == ["other"]
    assert backend.loads == loads + 1


async def test_listeners_are_notified_of_a_reload_only_once_it_is_accepted() -> None:
    control, catalog, backend = await started(config(policy=only(1), labels={"stable": 1}))
    notified: list[str] = []
    catalog.subscribe(lambda entry: notified.append(f"{entry.name} {entry.version} {entry.state}"))
    backend.damaged = {("bad", 1), ("bad", 2)}
    await refused(control.reload([config(policy=only(2)), config("other"), config("bad")]))
    await refused(control.reload([config("other", labels={"stable": 9})]))
    assert not notified
    assert states(catalog, "shades") == {1: "AVAILABLE"}
    await control.reload([config("other", only(2))])
    assert notified == ["other 2 AVAILABLE", "shades 1 END"]


async def test_labels_of_models_that_are_gone_are_not_kept() -> None:
    control, catalog, _ = await started(config(labels={"stable": 1}))
    await control.reload([config("other", labels={"stable": 2})])
    await control.reload([config()])
    assert not catalog.labels("other")
    assert not catalog.labels("shades")


async def test_folders_are_followed_on_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    control, _, _ = await started()
    threads = []
    resolve = Path.resolve

    def noted(path: Path) -> Path:
        threads.append(threading.current_thread())
        return resolve(path)

    monkeypatch.setattr(Path, "resolve", noted)
    await control.reload([config()])
    assert threads
    assert threading.main_thread() not in threads
