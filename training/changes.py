"""What clients of a published name rely on, and a run that would change it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.errors import ChangeRefusedError
from training.manifest import read_manifest
from training.options import PublishOptions
from training.repository import version_folder, versions

_SIZE = ("height", "width", "channels")
_PROMISES = {
    "kind": ("kind",),
    **{side: ("input", side) for side in _SIZE},
    "columns": ("input", "columns"),
    "window": ("input", "window"),
    "horizon": ("output", "horizon"),
    "classes": ("output", "classes"),
}
"""By what people call it, where in a manifest it stands."""


def check_change(options: PublishOptions, entries: Mapping[str, Any]) -> None:
    """Compares what a model promises its clients with what the newest published version of its name does.

    Args:
        options: where it is to be published.
        entries: `kind`, `input` and `output`, as its manifest will have them.

    Raises:
        ChangeRefusedError: something differs, and that was not asked for.
        TrainingError: the manifest of the published version is damaged.
    """
    published = versions(options.models, options.name)
    if options.allow_change or not published:
        return
    changes = changed_promises(version_folder(options.models, options.name, published[-1]), entries)
    if changes:
        raise ChangeRefusedError(
            f"not published: version {published[-1]} of {options.name!r} has {'; '.join(changes)}; choose another "
            "--name, or publish it with --allow-change"
        )


def promised_window(options: PublishOptions) -> int | None:
    """Returns the window of the newest published version, in steps; None where none binds a run.

    That is where nothing is published, it has no window, or a change is asked for.

    Raises:
        TrainingError: the manifest of the published version is damaged.
    """
    [window] = _promised_numbers(options, "window")
    return window


def promised_size(options: PublishOptions) -> tuple[int, int, int] | None:
    """Returns height, width and channels of the newest published version's images; None where none bind a run.

    Raises:
        TrainingError: the manifest of the published version is damaged.
    """
    height, width, channels = _promised_numbers(options, *_SIZE)
    if height is None or width is None or channels not in {1, 3}:
        return None
    return height, width, channels


def changed_promises(version: Path, entries: Mapping[str, Any]) -> list[str]:
    """Returns what a version's manifest promises and the entries of another one do not, each with both.

    Raises:
        TrainingError: the manifest is damaged.
    """
    theirs = read_manifest(version) or {}
    compared = [(what, _entry(theirs, path), _entry(entries, path)) for what, path in _PROMISES.items()]
    return [
        f"{what} {_text(before)}, now {_text(now)}"
        for what, before, now in compared
        if before is not None and before != now
    ]


def _promised_numbers(options: PublishOptions, *names: str) -> list[int | None]:
    """Some of the promises, each where it is a number above 0 and binds a run."""
    published = versions(options.models, options.name)
    if options.allow_change or not published:
        return [None] * len(names)
    manifest = read_manifest(version_folder(options.models, options.name, published[-1])) or {}
    found = [_entry(manifest, _PROMISES[name]) for name in names]
    return [one if isinstance(one, int) and one > 0 else None for one in found]


def _entry(manifest: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    found: Any = manifest
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return list(found) if isinstance(found, list | tuple) else found


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "none" if value is None else str(value)
