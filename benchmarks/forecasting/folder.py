"""The folder that the scripts write to: series, and forecasts of them by name."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

NAME, LINEAR, REFITTED = "Tensorgate", "its linear part", "its linear part, refitted"


@dataclass(frozen=True, slots=True)
class Series:
    """A series and the origins at which it is forecast, as the scripts wrote it.

    Attributes:
        name: of the series.
        values: float64 [N].
        period: steps in a season; 1 for none.
        origins: int [O], the indices that forecasts begin at.
    """

    name: str
    values: NDArray[np.float64]
    period: int
    origins: NDArray[np.int64]

    @classmethod
    def read(cls, file: Path) -> Self:
        """Reads one."""
        with np.load(file) as found:
            return cls(file.stem, found["values"], int(found["period"]), found["origins"])


def all_series(folder: Path) -> list[Series]:
    """All series of a folder, by name."""
    return [Series.read(file) for file in sorted(folder.glob("*.npz"))]


def forecasts(folder: Path, series: Series) -> dict[str, NDArray[np.float64]]:
    """The forecasts of a series that are there, by the name of who made them: quantiles, float64 [O,H,Q]."""
    files = sorted(folder.glob(f"{series.name}.*.npy"))
    return {file.name[len(series.name) + 1 : -len(".npy")]: np.load(file) for file in files}
