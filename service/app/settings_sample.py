"""Writes a settings file that has every setting in a comment, with its default: ``deploy/tensorgate.toml``."""

import json
import sys
from pathlib import Path
from textwrap import wrap
from typing import Any

from pydantic.fields import FieldInfo

from service.app.settings import fields

_HEAD = """\
# Settings of `tensorgate serve`. Each is here with its default: take away the # before those that are to be others.
#
#     tensorgate serve --config tensorgate.toml
#
# A flag (--rest-port 8000) goes before a variable (TENSORGATE_REST_PORT=8000), a variable before a line here. They are
# read at the start only. docs/operations.md says what one sees when a setting is wrong.
"""
_COLUMNS = 120
_CORES = 8
"""What stands for the default of what is as many as the machine has."""


def sample() -> str:
    """Returns the file's text."""
    return "\n".join([_HEAD, *(_paragraph(name, field) for name, field in fields().items())])


def _paragraph(name: str, field: FieldInfo) -> str:
    default = _default(field)
    text = str(field.description) + ("" if default is not None else " None by default.")
    lines = wrap(text, _COLUMNS, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)
    return "\n".join([*lines, f"#{name} = {_toml('/path/to/file' if default is None else default)}", ""])


def _default(field: FieldInfo) -> Any:
    if field.default_factory is not None and not field.default_factory_takes_validated_data:
        return _CORES
    return field.get_default(call_default_factory=True, validated_data={})


def _toml(value: Any) -> str:
    if isinstance(value, Path):
        value = str(value)
    return json.dumps(value)  # of texts, numbers and booleans TOML's is the same


if __name__ == "__main__":
    sys.stdout.write(sample())
