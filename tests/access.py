"""Access files, keys in them, and a server whose models not everybody may see."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from service.access.key_file import add_key
from service.access.keys import new_key
from service.access.policy import KeyEntry
from tests.conftest import Served, serving

SEEN, HIDDEN, ABSENT = "bright", "zephyr", "nobody"
"""A model that the holder of most keys may see, one that it may not, and a name that no model has; all as long."""
ACTIONS = ("infer", "read", "control", "metrics")

_LISTING = "model_config_list {{ {} }}"
_CONFIG = (
    'config {{ name: "{}" base_path: "shades" model_version_policy {{ all {{}} }} '
    'version_labels {{ key: "stable" value: 1 }} }}'
)


def add(
    file: Path, models: Sequence[str], actions: Sequence[str] = ACTIONS, *, name: str = "somebody", **more: Any
) -> str:
    """Puts a key into an access file; returns it."""
    key = new_key()
    fields = {
        "id": key.id,
        "name": name,
        "sha256": key.digest.hex(),
        "created": datetime.now(UTC).replace(microsecond=0),
    }
    add_key(file, KeyEntry.model_validate({**fields, "models": list(models), "actions": list(actions), **more}))
    return key.text


def read(file: Path) -> str:
    return file.read_text("utf-8")


def write(file: Path, text: str | None) -> None:
    """Writes a file, or removes it."""
    file.unlink(missing_ok=True) if text is None else file.write_text(text, "utf-8")


@asynccontextmanager
async def serving_with_access(folder: Path, **settings: Any) -> AsyncIterator[Served]:
    """Serves `SEEN` and `HIDDEN`, two versions each, to those whom ``folder/access.toml`` names."""
    listing = folder / "models.config"
    listing.write_text(_LISTING.format(" ".join(map(_CONFIG.format, (SEEN, HIDDEN)))))
    (folder / "access.toml").touch()
    fixed = {
        "backend": "tests.fakes:ControllableFake",
        "model_config_file": listing,
        "models": folder,
        "access_file": folder / "access.toml",
        "poll_seconds": 0.05,
        "tfserving_metrics": True,
    }
    async with serving(**fixed | settings) as served:
        yield served
