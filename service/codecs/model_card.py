"""The report that training leaves beside a version: its model card, its figures and its plots, in ``assets.extra``.

Only plain files that lie in that folder itself are read, of the few types below and no longer than they may be. A name
is looked up among those that the folder has; none becomes part of a path.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from service.core.plain_files import open_plain_file

MEDIA_TYPES: Mapping[str, str] = {".png": "image/png", ".svg": "image/svg+xml"}
"""Types of plots, by suffix."""
MAX_PLOT_BYTES = 4 * 2**20
"""A longer plot is left out."""
_FOLDER, _CARD, _METRICS = "assets.extra", "model_card.md", "metrics.json"
_MAX_TEXT_BYTES = 2**20
_MAX_DEPTH = 16
"""Of lists and objects in the figures: readers of Protocol Buffers go no deeper than about 30 of them."""
_MAX_PLOTS = 64
_MAX_ENTRIES = 4096
"""Looked at of a folder."""


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture of the report.

    Attributes:
        name: Of its file.
        media_type: Its type.
        bytes: How long it is.
    """

    name: str
    media_type: str
    bytes: int


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a version's report says.

    Attributes:
        text: The card, in Markdown; empty where there is none.
        metrics: The figures, as JSON has them; empty where there are none.
        plots: By name, sorted.
    """

    text: str
    metrics: Mapping[str, Any]
    plots: tuple[Plot, ...]


def read_card(folder: Path) -> ModelCard:
    """Reads the report of a version; what is missing, broken, too long or too deep is left out.

    Args:
        folder: Of the version.
    """
    files = _files(folder)
    text = _read(files.get(_CARD), _MAX_TEXT_BYTES).decode("utf-8", "replace")
    try:
        metrics = orjson.loads(_read(files.get(_METRICS), _MAX_TEXT_BYTES) or b"{}")
    except orjson.JSONDecodeError:
        metrics = {}
    plots = [
        Plot(name, MEDIA_TYPES[file.suffix], size)
        for name, file in sorted(files.items())
        if file.suffix in MEDIA_TYPES and (size := file.stat().st_size) <= MAX_PLOT_BYTES
    ]
    return ModelCard(text, metrics if _are_figures(metrics) else {}, tuple(plots[:_MAX_PLOTS]))


def read_plot(folder: Path, name: str) -> tuple[bytes, str] | None:
    """Returns a plot of a version's report and its type; ``None`` where there is none of that name.

    Args:
        folder: Of the version.
        name: Of the plot's file.
    """
    file = _files(folder).get(name)
    if file is None or file.suffix not in MEDIA_TYPES:
        return None
    data = _read(file, MAX_PLOT_BYTES)
    return (data, MEDIA_TYPES[file.suffix]) if data else None


def _are_figures(metrics: Any) -> bool:
    return isinstance(metrics, dict) and _is_within(metrics, _MAX_DEPTH)


def _is_within(value: Any, levels: int) -> bool:
    """Whether lists and objects lie no deeper in each other than that."""
    if not isinstance(value, dict | list):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_is_within(one, levels - 1) for one in inner)


def _files(folder: Path) -> dict[str, Path]:
    """Returns the plain files in the folder of the report by name; links are none."""
    files: dict[str, Path] = {}
    try:
        for count, entry in enumerate((folder / _FOLDER).iterdir()):
            if count == _MAX_ENTRIES:
                break
            if entry.is_file() and not entry.is_symlink():
                files[entry.name] = entry
    except OSError:  # there is none, or it cannot be read
        return {}
    return files


def _read(file: Path | None, limit: int) -> bytes:
    """Returns the content of a file; nothing where it cannot be read or is longer than that."""
    if file is None:
        return b""
    try:
        with open_plain_file(file) as content:
            data = content.read(limit + 1)
    except OSError:
        return b""
    return data if len(data) <= limit else b""
