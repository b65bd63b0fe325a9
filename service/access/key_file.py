"""Keys in the access file: put in and taken out, with whatever else stands there left as it is."""

import fcntl
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from service.access.policy import Document, KeyEntry, parse_document
from service.core.plain_files import read_plain_text
from service.errors import ErrorKind, GatewayError

_OWNER_ALONE = 0o600
_NOT_OTHERS = 0o770
_TABLE = re.compile(r"^\s*\[", re.MULTILINE)
_KEYS = re.compile(r"^\[\[keys\]\][ \t]*(?:#.*)?$", re.MULTILINE)


def read_document(path: Path) -> Document:
    """Returns what the file says.

    Raises:
        GatewayError: When it cannot be read, or makes no sense.
    """
    return parse_document(read_plain_text(path, str(path)))


def add_key(path: Path, entry: KeyEntry) -> None:
    """Puts a key at the end of the file, which is made if there is none.

    Raises:
        GatewayError: When the file makes no sense, or cannot be read or written.
    """
    table = "\n".join(["[[keys]]", *(f"{name} = {value}" for name, value in _values(entry).items()), ""])
    with _locked(path):
        text = read_plain_text(path, str(path)) if path.exists() else ""
        before = text.rstrip("\n") + "\n\n" if text.strip() else ""
        _write(path, before + table, lambda keys: [*keys, entry], parse_document(text))


def remove_key(path: Path, key_id: str) -> KeyEntry:
    """Takes a key out of the file; returns its entry.

    Raises:
        GatewayError: NOT_FOUND when there is none of that id; likewise.
    """
    with _locked(path):
        text = read_plain_text(path, str(path))
        document = parse_document(text)
        index, entry = next(
            ((index, entry) for index, entry in enumerate(document.keys) if entry.id == key_id), (0, None)
        )
        if entry is None:
            raise GatewayError(ErrorKind.NOT_FOUND, f"there is no key with the id {key_id!r} in {path}")
        begins = [match.start() for match in _KEYS.finditer(text)]
        begin = begins[index] if index < len(begins) else len(text)
        after = _TABLE.search(text, begin + len("[[keys]]"))
        end = after.start() if after else len(text)
        rest = _comments_at_the_end(text[begin:end]) + text[end:]
        left = text[:begin].rstrip("\n") + "\n\n" + rest.lstrip("\n")
        _write(path, left.strip("\n") + "\n", lambda keys: [key for key in keys if key.id != key_id], document)
    return entry


def _comments_at_the_end(table: str) -> str:
    """Returns the lines after a table's last field: they are about what comes next, or about nothing."""
    lines = table.splitlines(keepends=True)
    count = len(lines)
    while count and (not lines[count - 1].strip() or lines[count - 1].lstrip().startswith("#")):
        count -= 1
    return "".join(lines[count:])


def _values(entry: KeyEntry) -> dict[str, str]:
    times = {"created": entry.created, "expires": entry.expires}
    return {
        "id": _string(entry.id),
        "name": _string(entry.name),
        "sha256": _string(entry.sha256),
        "models": _list(entry.models),
        "actions": _list(entry.actions),
        **{name: _time(time) for name, time in times.items() if time is not None},
    }


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # TOML's basic strings have the same escapes


def _list(texts: Sequence[str]) -> str:
    return f"[{', '.join(map(_string, texts))}]"


def _time(time: datetime) -> str:
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keeps other commands from changing the file meanwhile: the folder is locked, as the file is replaced."""
    try:
        folder = os.open(path.resolve().parent, os.O_RDONLY)
    except OSError as error:
        raise GatewayError(ErrorKind.FAILED_PRECONDITION, f"{path}: {error.strerror}") from None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _write(path: Path, text: str, change: Callable[[list[KeyEntry]], list[KeyEntry]], before: Document) -> None:
    """Replaces the file as a whole, once it is known that its text says what is meant and nothing else has changed."""
    wanted = before.model_copy(update={"keys": change(before.keys)})
    if parse_document(text) != wanted:
        text = f"{path} is written in a way that this command cannot change: change it by hand"
        raise GatewayError(ErrorKind.FAILED_PRECONDITION, text)
    place = path.resolve()
    try:
        old = place.stat() if place.exists() else None
        descriptor, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                os.fchmod(file.fileno(), _OWNER_ALONE if old is None else old.st_mode & _NOT_OTHERS)
                if old is not None and os.geteuid() == 0:
                    os.fchown(file.fileno(), old.st_uid, old.st_gid)  # who serves must be able to read it
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(place)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise GatewayError(ErrorKind.FAILED_PRECONDITION, f"{path} cannot be written: {error.strerror}") from None
