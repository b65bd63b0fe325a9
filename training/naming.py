"""Names of models: one path segment that every server, URL and metric label can carry."""

import re

from training.errors import TrainingError

_ALLOWED = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?")


def model_name_from(source: str) -> str:
    """Makes a model name out of the name of a data set, a folder or a file.

    Args:
        source: any text; what is not a letter, a digit, `-` or `_` becomes one `-`.

    Returns:
        A name of 1 to 64 lower-case characters.

    Raises:
        TrainingError: nothing usable is left of the text.
    """
    cleaned = re.sub(r"[^a-z0-9_-]+", "-", source.lower())[:64].strip("-_")
    if not cleaned:
        raise TrainingError(f"no model name can be made out of {source!r}; choose one with --name")
    return cleaned


def checked_model_name(name: str) -> str:
    """Returns the name as it is, when it is one path segment of plain characters.

    Raises:
        TrainingError: the name has other characters, or is too long.
    """
    if not _ALLOWED.fullmatch(name):
        raise TrainingError(
            "--name must be 1 to 64 of a-z, 0-9, '-' and '_', beginning and ending with a letter or digit; "
            f"got {name!r}"
        )
    return name
