"""What can go wrong in a training run that its user can do something about.

TrainingError            the input or an option is not usable
├── SettingsError             the window is too long for the series: with another setting it might be
├── PublicationRefusedError   the model is sound, but not good enough to replace what is there
│   └── ChangeRefusedError    or not what clients rely on
└── PlaceError                the models folder cannot be written to
"""

from pathlib import Path
from typing import Self


class TrainingError(Exception):
    """The run cannot go on; the message is one sentence for the person who started it."""


class SettingsError(TrainingError):
    """The data are usable, but not with these settings."""


class PublicationRefusedError(TrainingError):
    """The new model is worse than what it must not fall behind, or changes what clients rely on."""


class ChangeRefusedError(PublicationRefusedError):
    """The new model changes what clients rely on, and that was not asked for."""


class PlaceError(TrainingError):
    """Nothing can be published in the models folder."""

    @classmethod
    def of(cls, models: Path, error: OSError) -> Self:
        """Says what the file system refused, and where."""
        where = "" if error.filename is None or str(error.filename) == str(models) else f" ({error.filename})"
        return cls(f"--models {models}: cannot be written to: {error.strerror or error}{where}")
