"""Inputs that once reached new code: a text file for each decoder, an input a line, in base64."""

import hashlib
from base64 import b64decode, b64encode
from pathlib import Path

FOLDER = Path(__file__).parent / "corpus"
_MOST, _LONGEST = 64, 768
"""Lines of a file, and bytes of an input: what is kept is to stay small, and is found again soon."""


def inputs(name: str) -> list[bytes]:
    """Returns the inputs of a decoder."""
    file = FOLDER / f"{name}.txt"
    return [b64decode(line) for line in file.read_text().splitlines()] if file.exists() else []


def unpack(name: str, folder: Path) -> None:
    """Writes the inputs of a decoder into a folder, a file each."""
    folder.mkdir(parents=True, exist_ok=True)
    for data in inputs(name):
        (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


def keep(name: str, folder: Path) -> None:
    """Writes the shortest inputs of a folder into the file of a decoder."""
    found = {file.read_bytes() for file in folder.iterdir()}
    shortest = sorted((data for data in found if len(data) <= _LONGEST), key=lambda data: (len(data), data))[:_MOST]
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.txt").write_text("".join(f"{b64encode(data).decode()}\n" for data in sorted(shortest)))
