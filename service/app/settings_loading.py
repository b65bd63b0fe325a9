"""Where settings come from, and what is said of those that are wrong: a finding names its flag, variable or file."""

import os
import tomllib
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings

from service.errors import Violation, listed
from service.validation import WHOLE, violations

PREFIX = "TENSORGATE_"

RENAMED = {"max_batch_rows": "max_request_rows"}
"""Settings that have another name now; the old one is still read, with a warning."""

SettingsT = TypeVar("SettingsT", bound=BaseSettings)


class SettingsError(Exception):
    """A setting is wrong; the message names it, where it came from, what was expected and what came."""


def load_as(
    kind: type[SettingsT], flags: Mapping[str, Any], file: Path | None, warn: Callable[[str], None]
) -> SettingsT:
    """Reads settings: a flag goes before a variable, a variable before the file.

    Args:
        kind: What is read.
        flags: Values from the command line, by name of the setting.
        file: A TOML file with settings by name.
        warn: Takes what is to be said about settings that are read nevertheless.

    Raises:
        SettingsError: When the file cannot be read, or a setting is wrong or unknown.
    """
    known = (*kind.model_fields, *RENAMED)
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}

    def take(given: Mapping[str, Any], origin: Callable[[str], str]) -> None:
        for name in sorted(given, key=lambda name: name not in RENAMED):  # a new name goes before its old one
            if name in RENAMED:
                warn(f"the setting {name} is called {RENAMED[name]} now ({origin(name)})")
            values[RENAMED.get(name, name)], origins[RENAMED.get(name, name)] = given[name], origin(name)

    take({} if file is None else _read(file), lambda _: str(file))
    take(_variables(known), _variable)
    take(flags, _flag)
    try:
        return kind(**values)
    except ValidationError as error:
        found = [_described(violation, origins, kind.model_fields) for violation in violations(error)]
        raise SettingsError("; ".join(found)) from None


def nearest(name: str, known: Iterable[str], *, prefix: str = "") -> str:
    """Returns what to say of the known names that are most like an unknown one; nothing where none is.

    Args:
        name: The unknown one.
        known: The others.
        prefix: What all of them begin with: it makes none like another.
    """
    found = get_close_matches(name.removeprefix(prefix), [one.removeprefix(prefix) for one in known])
    names = [prefix + one for one in found]
    return f"; the nearest: {listed(names)}" if names else ""


def _described(violation: Violation, origins: Mapping[str, str], known: Iterable[str]) -> str:
    name = violation.where
    origin = origins.get(name)
    if name == WHOLE:  # settings that do not go together
        return f"expected {violation.expected}"
    if origin is None:
        return str(violation)
    if name in known:
        return f"{violation} ({origin})"
    return f"{name}: there is no such setting ({origin}){nearest(name, known)}"


def _variables(known: Iterable[str]) -> dict[str, str]:
    """Returns what the environment says, by name of the setting; an empty variable says nothing."""
    given = {name: os.environ.get(_variable(name)) for name in known}
    return {name: value for name, value in given.items() if value}


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"the settings file {file} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"the settings file {file} is not TOML: {error}") from None
