"""Whether what is served is still what the operator asked for: known from the change itself, not from its request."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest

from service.core.bounds import InputBounds
from service.core.catalog import Catalog
from service.core.control import ModelControl
from service.core.model_config import ModelConfig
from service.core.model_version import State
from service.core.ports import Accept
from service.core.versions import VersionPolicy
from service.errors import GatewayError
from tests.conftest import until
from tests.fakes import ControllableFake, FakeBackend

ROOT = Path("/nonexistent/models")


def config(name: str = "shades", **labels: int) -> ModelConfig:
    return ModelConfig(name, ROOT / "shades", VersionPolicy(newest=None), labels)


async def started(backend: FakeBackend) -> tuple[ModelControl, Catalog]:
    catalog = Catalog()
    await backend.start(catalog)
    return ModelControl(catalog=catalog, backend=backend, allowed=True, root=ROOT, bounds=InputBounds()), catalog


async def test_a_change_that_is_refused_changes_nothing() -> None:
    backend = ControllableFake()
    control, _ = await started(backend)
    await control.follow([config(stable=1)])
    backend.damaged = {("other", 1), ("other", 2)}
    for doing in (
        control.load("nope"),
        control.unload("nope"),
        control.reload([config("other")]),
        control.reload([config(stable=9)]),
    ):
        with pytest.raises(GatewayError):
            await doing
        assert control.is_followed


async def test_nor_does_one_that_the_backend_cannot_make() -> None:
    control, _ = await started(FakeBackend())
    with pytest.raises(GatewayError):
        await control.load("shades")
    assert control.is_followed


@pytest.mark.parametrize(
    "change",
    [
        lambda control: control.load("shades"),
        lambda control: control.unload("shades"),
        lambda control: control.reload([config("other")]),
    ],
)
async def test_a_clients_change_stands_until_the_operators_next(
    change: Callable[[ModelControl], Coroutine[Any, Any, None]],
) -> None:
    control, _ = await started(ControllableFake())
    await control.follow([config()])
    await change(control)
    assert not control.is_followed
    await control.follow([config()])
    assert control.is_followed


async def test_a_reload_that_takes_effect_though_its_caller_gave_up_is_a_clients_change() -> None:
    class Slow(ControllableFake):
        async def reload(self, configs: Sequence[ModelConfig], accept: Accept) -> None:
            await super().reload(configs, accept)
            await asyncio.sleep(60)

    control, catalog = await started(Slow())
    reloading = asyncio.create_task(control.reload([config("other")]))
    await until(lambda: "other" in catalog)
    reloading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reloading
    assert not control.is_followed


async def test_a_clients_change_that_waits_for_the_operators_comes_after_it() -> None:
    backend = ControllableFake()
    control, catalog = await started(backend)
    backend.loading.clear()
    following = asyncio.create_task(control.follow([config("other")]))
    await until(lambda: backend.loads > 0)
    unloading = asyncio.create_task(control.unload("other"))
    await asyncio.sleep(0)
    backend.loading.set()
    await asyncio.gather(following, unloading)
    assert {entry.state for entry in catalog.versions("other")} == {State.END}
    assert not control.is_followed
