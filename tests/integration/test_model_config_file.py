"""The operator's file of models: served with its labels, followed, and left aside while it makes no sense."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from service.app.lifecycle import Server
from service.app.settings import load
from service.errors import ErrorKind, GatewayError
from tests.clients import Grpc, Rest
from tests.conftest import Served, serving, until

BLACK = {"pixels": [[0] * 4] * 4}


def listing(*versions: int, **labels: int) -> str:
    chosen = " ".join(f"versions: {version}" for version in versions)
    named = " ".join(f'version_labels {{ key: "{label}" value: {version} }}' for label, version in labels.items())
    policy = f"model_version_policy {{ specific {{ {chosen} }} }}"
    return f'model_config_list {{ config {{ name: "tones" base_path: "shades" {policy} {named} }} }}'


def write(file: Path, content: str | bytes | None) -> None:
    """Replaces the file as a whole, as deployments do; or removes it."""
    if content is None:
        file.unlink(missing_ok=True)
        return
    partial = file.with_suffix(".partial")
    partial.write_bytes(content.encode() if isinstance(content, str) else content)
    partial.rename(file)


@asynccontextmanager
async def configured(file: Path, text: str, **settings: Any) -> AsyncIterator[Served]:
    write(file, text)
    fake = {"backend": "tests.fakes:ControllableFake", "model_config_file": file, "poll_seconds": 0.02}
    async with serving(**fake | settings) as served:
        yield served


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "models.config"


async def in_effect(served: Served) -> bool:
    page = (await served.rest.get("/metrics")).text
    return "\ntensorgate_model_config_in_effect 1.0\n" in page


async def version_of(served: Served, **fields: Any) -> Any:
    outcome = await Rest(served).classify("tones", images=[BLACK], **fields)
    return outcome.answer.get("version", outcome.code)


async def test_its_models_are_served_with_their_labels(file: Path) -> None:
    async with configured(file, listing(1, 2, stable=1, canary=2)) as served:
        assert [model["name"] for model in (await Rest(served).models()).answer["models"]] == ["tones"]
        assert await version_of(served) == 2
        assert await version_of(served, label="stable") == 1
        described = (await Grpc(served).model("tones")).answer["model"]
        assert described["labels"] == {"stable": 1, "canary": 2}


async def test_it_is_looked_at_when_it_is_asked_for(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with configured(file, listing(1), poll_seconds=0) as served:
        write(file, listing(2))
        with caplog.at_level(logging.INFO):
            await served.runtime.look()
            assert await version_of(served) == 2
            write(file, "model_config_list {")
            await served.runtime.look()
            await served.runtime.look()
        assert await version_of(served) == 2
    messages = [record.getMessage() for record in caplog.records]
    assert sum(message == "what is served has changed" for message in messages) == 1
    # Reported each time that somebody asks.
    assert sum(record.levelno == logging.ERROR and str(file) in record.getMessage() for record in caplog.records) == 2


async def test_its_changes_are_followed_and_fail_no_request(file: Path) -> None:
    async with configured(file, listing(1, stable=1)) as served:
        assert await version_of(served, label="stable") == 1
        write(file, listing(2, stable=2))
        answered = set()
        while 2 not in answered:
            answered.add(await version_of(served, label="stable"))
        assert answered <= {1, 2}
        await until(lambda: [entry.version for entry in served.runtime.catalog.versions("tones")] == [2])


async def test_clients_may_not_change_it_where_the_operator_says_so_and_its_file_is_still_followed(file: Path) -> None:
    async with configured(file, listing(1, 2, stable=1), allow_model_control=False) as served:
        for transport in (Rest, Grpc):
            assert (await transport(served).set_label("tones", "stable", version=2)).code == "forbidden"
        write(file, listing(1, 2, stable=2))
        await until(lambda: served.runtime.catalog.labels("tones") == {"stable": 2})


@pytest.mark.parametrize("bad", ["model_config_list {", "", listing(), None, b"\xff"])
async def test_a_file_that_turns_bad_changes_nothing_and_is_reported_once(
    file: Path, bad: str | bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    def complaints() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.name == "service.app.model_config_file"]

    async with configured(file, listing(1, stable=1)) as served:
        with caplog.at_level(logging.WARNING):
            write(file, bad)
            await until(lambda: bool(complaints()))
            assert not await in_effect(served)
            for _ in range(10):
                assert await version_of(served, label="stable") == 1
                await asyncio.sleep(0.02)  # as long as between two looks at the file
            write(file, listing(1, 2, stable=2))
            await until(lambda: served.runtime.catalog.labels("tones") == {"stable": 2})
            assert await version_of(served) == 2
            assert await in_effect(served)
        assert len(complaints()) == 1
        assert complaints()[0].startswith(f"model_config_file {file}: ")


async def test_a_server_does_not_start_with_a_bad_one(file: Path) -> None:
    settings: dict[str, Any] = {"backend": "tests.fakes:ControllableFake", "model_config_file": file}
    for text, kind in ((None, ErrorKind.MALFORMED), ("rubbish", ErrorKind.MALFORMED), ("", ErrorKind.INVALID_INPUT)):
        write(file, text)
        with pytest.raises(GatewayError, match="model_config_file") as caught:
            Server(load(settings))
        assert caught.value.kind is kind
