"""A change of what is to be served takes nothing away that it cannot replace, and says so."""

import logging
from pathlib import Path

import pytest

from service.errors import ErrorKind, GatewayError
from tests import savedmodels
from tests.conftest import until
from tests.models_folder import Models


@pytest.fixture
def models(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Models:
    saved = tmp_path_factory.mktemp("saved")
    savedmodels.save_steps(saved / "steps")
    made = Models(tmp_path, saved)
    for version in ("1", "2"):
        made.publish("steps", "steps", version)
    return made


async def test_a_version_that_is_wanted_and_not_there_takes_away_none_that_serves(
    models: Models, caplog: pytest.LogCaptureFixture
) -> None:
    async with models.served(poll_seconds=0.02) as control:
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            await control.follow([models.config("steps", policy="specific:9")])
            await control.follow([models.config("steps", policy="specific:9")])
        assert models.states("steps") == {2: "AVAILABLE"}
        told = [record.message for record in caplog.records if "not there" in record.message]
        assert told == ["version 9 of model steps is to be served and not there; on disk: 1, 2; served: 2"]
        models.publish("steps", "steps", "9")
        await until(lambda: models.states("steps") == {9: "AVAILABLE"})


async def test_a_client_that_wants_what_is_not_there_is_told_what_is(models: Models) -> None:
    async with models.served() as control:
        with pytest.raises(GatewayError, match="none of the versions 9 can be served; on disk are 1, 2") as refused:
            await control.reload([models.config("steps", policy="specific:9")])
        assert refused.value.kind is ErrorKind.LOAD_FAILED
        assert models.states("steps") == {2: "AVAILABLE"}


async def test_what_stayed_goes_with_its_files(models: Models) -> None:
    async with models.served(poll_seconds=0.02) as control:
        await control.follow([models.config("steps", policy="specific:9")])
        models.remove("steps", "2")
        await until(lambda: models.states("steps") == {})


async def test_a_server_starts_without_what_is_wanted_and_says_so(
    models: Models, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        async with models.served() as control:
            await control.follow([models.config("steps", policy="specific:1")])
            assert models.states("steps") == {1: "AVAILABLE"}
            await control.follow([models.config("steps", policy="specific:1,7")])
    assert models.states("steps") == {1: "AVAILABLE"}
    assert "version 7 of model steps is to be served and not there; on disk: 1, 2; served: 1" in caplog.messages


async def test_a_version_that_comes_for_an_unloaded_model_is_told(
    models: Models, caplog: pytest.LogCaptureFixture
) -> None:
    async with models.served(poll_seconds=0.02) as control:
        await control.unload("steps")
        models.publish("steps", "steps", "3")
        text = "version 3 of model steps has come; a client unloaded the model: load it to serve it"
        await until(lambda: text in caplog.messages)
        assert models.states("steps") == {2: "END"}
        await control.load("steps")
        assert models.states("steps") == {3: "AVAILABLE"}


async def test_a_label_on_a_version_that_the_policy_does_not_choose_says_how_to_go_back(models: Models) -> None:
    async with models.served(poll_seconds=0.02) as control:
        with pytest.raises(GatewayError, match="it is on disk, and the version policy does not choose it") as refused:
            await control.set_label("steps", "stable", 1)
        assert refused.value.kind is ErrorKind.FAILED_PRECONDITION
        with pytest.raises(GatewayError) as unknown:
            await control.set_label("steps", "stable", 5)
        assert "on disk" not in unknown.value.message
        models.folder.joinpath("steps", "2").rename(models.folder / "steps" / "bad-2")  # back in one step
        await until(lambda: models.states("steps") == {1: "AVAILABLE"})
        await control.set_label("steps", "stable", 1)


async def test_a_wrong_layout_is_told_in_the_log_and_in_the_answer_to_a_load(
    models: Models, caplog: pytest.LogCaptureFixture
) -> None:
    models.publish("steps", "sales")
    with caplog.at_level(logging.WARNING):
        async with models.served(poll_seconds=0.02) as control:
            cure = "sales is a version, not a model: move what is in it to sales/1"
            assert caplog.messages.count(f"nothing of sales is served: {cure}") == 1
            with pytest.raises(GatewayError, match=cure) as refused:
                await control.load("sales")
            assert refused.value.kind is ErrorKind.MODEL_NOT_FOUND
            models.publish("steps", "late", "v1")
            text = "nothing of late is served: late/v1 has no number for a name: rename it, such as late/1"
            await until(lambda: text in caplog.messages)
            assert models.catalog.unserved.keys() == {"sales", "late"}
            models.folder.joinpath("late", "v1").rename(models.folder / "late" / "1")
            await until(lambda: models.states("late") == {1: "AVAILABLE"})
            assert models.catalog.unserved.keys() == {"sales"}
    assert caplog.messages.count(text) == 1
