"""What clients may ask of the control of models is bounded, and ends with them."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from service.core.bounds import InputBounds
from service.core.catalog import Catalog
from service.core.control import ModelControl
from service.core.model_config import ModelConfig
from service.core.versions import VersionPolicy
from service.errors import ErrorKind, GatewayError
from tests.conftest import until
from tests.fakes import ControllableFake

ROOT = Path("/nonexistent/models")


def config(name: str = "shades", labels: Mapping[str, int] | None = None) -> ModelConfig:
    return ModelConfig(name, ROOT / "shades", VersionPolicy(newest=None), labels or {})


async def started(one: ModelConfig) -> tuple[ModelControl, Catalog, ControllableFake]:
    catalog, backend = Catalog(), ControllableFake()
    await backend.start(catalog)
    control = ModelControl(catalog=catalog, backend=backend, allowed=True, root=ROOT, bounds=InputBounds())
    await control.follow([one])
    return control, catalog, backend


async def test_a_reload_ends_with_who_asked_for_it() -> None:
    control, catalog, backend = await started(config(labels={"stable": 1}))
    names = [f"m{number}" for number in range(50)]
    backend.loading.clear()
    loads = backend.loads + 1
    reload = asyncio.create_task(control.reload([config(name) for name in names]))
    await until(lambda: backend.loads == loads)
    reload.cancel()
    await asyncio.wait([reload])
    await control.set_label("shades", "canary", 2)  # its turn comes, although nothing else has been loaded
    assert backend.loads == loads
    assert (catalog.names(), catalog.labels("shades")) == (["shades"], {"stable": 1, "canary": 2})
    backend.loading.set()
    await control.reload([config("other")])
    assert catalog.names() == ["other"]


async def test_labels_of_a_model_are_bounded() -> None:
    control, catalog, _ = await started(config())
    for number in range(100):
        await control.set_label("shades", f"l{number}", 1)
    with pytest.raises(GatewayError) as caught:
        await control.set_label("shades", "another", 1)
    assert (caught.value.kind, caught.value.violations[0].where) == (ErrorKind.TOO_LARGE, "label")
    await control.set_label("shades", "l7", 2)  # to move one makes none more
    await control.remove_label("shades", "l7")
    await control.set_label("shades", "another", 1)
    assert len(catalog.labels("shades")) == 100
