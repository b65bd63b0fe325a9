"""Packages that the training needs, and those that some options need beside them."""

import importlib.util

from training.errors import TrainingError


def installed(module: str) -> bool:
    """Whether a package is there."""
    return importlib.util.find_spec(module) is not None


def needs(module: str, extra: str) -> str:
    """Says that a package is missing, and how to have it."""
    return (
        f"{module} is not installed; it comes with the extra {extra}: pip install '.[{extra}]' in a clone of Tensorgate"
    )


def check_installed(option: str, module: str, extra: str) -> None:
    """Finds out, before anything is trained, whether an option can be used.

    Raises:
        TrainingError: its package is not installed.
    """
    if not installed(module):
        raise TrainingError(f"{option}: {needs(module, extra)}")


def check_training(*modules: str) -> None:
    """Finds out whether what the training needs is there.

    Raises:
        TrainingError: a package is not installed.
    """
    for module in modules:
        if not installed(module):
            raise TrainingError(needs(module, "training"))
