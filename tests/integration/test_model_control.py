"""Models loaded, unloaded and moved while the server runs, with real TensorFlow."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path

import pytest

from service.core.model_version import ModelRef
from service.core.tasks import Forecaster, ImageClassifier
from service.errors import ErrorKind, GatewayError
from tests import savedmodels
from tests.conftest import until
from tests.models_folder import Models


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models to copy."""
    folder = tmp_path_factory.mktemp("saved")
    savedmodels.save_steps(folder / "steps")
    savedmodels.save_shades(folder / "shades")
    return folder


@pytest.fixture
def models(tmp_path: Path, saved: Path) -> Models:
    made = Models(tmp_path, saved)
    made.publish("steps", "steps", "1")
    made.publish("shades", "shades", "4")
    return made


async def refused(doing: Awaitable[None]) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        await doing
    return caught.value


async def test_an_unloaded_model_stays_away_until_it_is_loaded_and_keeps_nobody_from_being_ready(
    models: Models,
) -> None:
    async with models.served(poll_seconds=0.02) as control:
        await control.unload("steps")
        assert models.states("steps") == {1: "END"}
        assert (models.catalog.readiness(), models.catalog.ready()) == ({"shades": True}, True)
        models.publish("shades", "shades", "5")
        await until(lambda: models.states("shades") == {5: "AVAILABLE"})  # looked at several times since
        assert models.states("steps") == {1: "END"}
        with pytest.raises(GatewayError, match="unloaded"):
            models.catalog.resolve(ModelRef("steps"))
        await control.load("steps")
        assert models.states("steps") == {1: "AVAILABLE"}
        assert models.catalog.readiness() == {"shades": True, "steps": True}


async def test_loading_takes_up_what_is_new(models: Models) -> None:
    async with models.served() as control:
        models.publish("steps", "steps", "2")
        models.publish("steps", "new", "1")
        assert models.states("steps") == {1: "AVAILABLE"}
        await control.load("steps")
        await control.load("new")
        assert (models.states("steps"), models.states("new")) == ({2: "AVAILABLE"}, {1: "AVAILABLE"})
        for doing in (control.load("nope"), control.unload("nope")):
            error = await refused(doing)
            assert (error.kind, error.violations[0].where) == (ErrorKind.MODEL_NOT_FOUND, "model")


async def test_loading_tries_again_what_failed_and_forgets_what_is_gone(models: Models) -> None:
    models.spoil("steps", "2")
    models.spoil("bad", "1")
    async with models.served() as control:
        assert models.states("steps") == {2: "END", 1: "AVAILABLE"}
        error = await refused(control.load("bad"))
        assert (error.kind, "Cannot parse file" in error.message) == (ErrorKind.LOAD_FAILED, True)
        await control.load("steps")
        assert models.states("steps") == {2: "END", 1: "AVAILABLE"}
        models.remove("steps", "2")
        await control.load("steps")
        assert models.states("steps") == {1: "AVAILABLE"}


@pytest.mark.parametrize("is_gone", [False, True])
async def test_a_model_with_a_failed_version_is_unloaded_and_loaded(models: Models, is_gone: bool) -> None:
    models.spoil("steps", "2")
    async with models.served() as control:
        await control.unload("steps")
        assert models.states("steps") == {2: "END", 1: "END"}
        if is_gone:
            models.remove("steps", "2")
        await control.load("steps")
        assert models.states("steps") == ({1: "AVAILABLE"} if is_gone else {2: "END", 1: "AVAILABLE"})


async def test_a_model_is_unloaded_while_its_folder_cannot_be_read(models: Models) -> None:
    async with models.served() as control:
        models.folder.rename(models.folder.with_name("away"))
        await control.unload("steps")
        assert models.states("steps") == {1: "END"}
        models.folder.with_name("away").rename(models.folder)
        await control.load("steps")
        assert models.states("steps") == {1: "AVAILABLE"}


async def test_a_list_replaces_the_folder_and_another_list_replaces_it(models: Models) -> None:
    models.spoil("shades", "5")
    models.publish("steps", "steps", "2")
    async with models.served() as control:
        await control.unload("shades")
        held = models.catalog.resolve(ModelRef("steps")).handle
        await control.reload([models.config("steps", policy="all", old=1, new=2)])
        assert (models.catalog.names(), models.states("steps")) == (["steps"], {2: "AVAILABLE", 1: "AVAILABLE"})
        assert models.catalog.resolve(ModelRef("steps", label="old")).version == 1
        assert models.catalog.resolve(ModelRef("steps")).handle is held  # it was there, and is not loaded again
        assert all(entry.load_seconds > 0 for entry in models.catalog.versions("steps"))
        await control.reload([models.config("shades"), models.config("tones", "shades", policy="specific:4")])
        assert models.catalog.names() == ["shades", "tones"]
        assert models.states("shades") == {5: "END", 4: "AVAILABLE"}
        await control.reload([models.config("shades"), models.config("steps", policy="specific:1")])
        assert (models.catalog.names(), models.states("steps")) == (["shades", "steps"], {1: "AVAILABLE"})


async def test_a_base_path_is_moved_and_at_every_moment_some_version_answers(models: Models) -> None:
    models.publish("shades", "moved", "1")
    async with models.served() as control:
        answers = []
        models.catalog.subscribe(lambda _: answers.append(models.catalog.resolve(ModelRef("steps")).task))
        await control.reload([models.config("steps", "moved"), models.config("shades")])
        assert models.states("steps") == {1: "AVAILABLE"}
        assert isinstance(models.catalog.resolve(ModelRef("steps")).task, ImageClassifier)
        await control.reload([models.config("steps"), models.config("shades")])
        assert isinstance(models.catalog.resolve(ModelRef("steps")).task, Forecaster)
        assert {type(task) for task in answers} == {Forecaster, ImageClassifier}


@pytest.mark.parametrize("is_there", [False, True])
async def test_a_base_path_with_nothing_that_can_be_loaded_changes_nothing_unless_the_operator_says_so(
    models: Models, is_there: bool
) -> None:
    if is_there:
        models.spoil("moved", "1")
    async with models.served(poll_seconds=0.02) as control:
        notified: list[object] = []
        held = models.catalog.resolve(ModelRef("steps")).handle
        models.catalog.subscribe(notified.append)
        wanted = [models.config("steps", "moved"), models.config("new", "shades")]
        error = await refused(control.reload(wanted))
        assert error.kind is ErrorKind.LOAD_FAILED
        assert models.catalog.resolve(ModelRef("steps")).handle is held
        assert models.catalog.readiness() == {"shades": True, "steps": True, **({"moved": False} if is_there else {})}
        assert not notified
        models.publish("steps", "steps", "2")
        await until(lambda: models.states("steps") == {2: "AVAILABLE"})  # the folder is followed as before
        await control.follow(wanted)
        assert models.states("steps") == ({1: "END"} if is_there else {})
        assert models.states("new") == {4: "AVAILABLE"}
        models.publish("steps", "moved", "2")
        await until(lambda: models.states("steps").get(2) == "AVAILABLE")


async def test_a_label_moves_with_its_version_and_always_finds_one(models: Models) -> None:
    models.publish("steps", "steps", "2")
    async with models.served() as control:
        await control.reload([models.config("steps", policy="specific:1", stable=1)])
        found = []
        models.catalog.subscribe(
            lambda _: found.append(models.catalog.resolve(ModelRef("steps", label="stable")).version)
        )
        changing = asyncio.create_task(control.reload([models.config("steps", policy="specific:2", stable=2)]))
        while not changing.done():
            found.append(models.catalog.resolve(ModelRef("steps", label="stable")).version)
            await asyncio.sleep(0)
        await changing
        assert (set(found), found[-1]) == ({1, 2}, 2)


async def test_a_reload_that_fails_leaves_labels_lists_and_what_was_unloaded(models: Models) -> None:
    models.publish("steps", "steps", "2")
    async with models.served() as control:
        await control.reload([models.config("steps", policy="all", stable=1), models.config("shades")])
        await control.unload("shades")
        for wrong in (models.config("nope"), models.config("shades", "shades", stable=9)):
            await refused(control.reload([models.config("steps", policy="specific:2", stable=2), wrong]))
            assert models.catalog.names() == ["shades", "steps"]
            assert models.states("steps") == {2: "AVAILABLE", 1: "AVAILABLE"}
            assert models.catalog.labels("steps") == {"stable": 1}
            assert models.states("shades") == {4: "END"}
        await control.load("shades")
        assert models.states("shades") == {4: "AVAILABLE"}
