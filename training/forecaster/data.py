"""Series by name: data sets that come with statsmodels, or a file."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from statsmodels.datasets import co2, elnino, sunspots

from series_files.errors import TableError
from series_files.reading import Reading
from series_files.table import read_table
from training.errors import TrainingError
from training.forecaster.fitness import check_values
from training.forecaster.window import usual_window

_PLAINLY = Reading()


@dataclass(frozen=True, slots=True)
class SeriesData:
    """One or several series over the same, evenly spaced times.

    Attributes:
        name: of the data set, for people.
        values: float64 [N,F], oldest first, all finite; the first column is the one forecast.
        columns: the F names.
        period: steps in a season; 1 for none.
        window: how many past steps suit it.
        notes: what was guessed and done while a file was read, a sentence each.
    """

    name: str
    values: NDArray[np.float64]
    columns: tuple[str, ...]
    period: int
    window: int
    notes: tuple[str, ...] = ()

    @property
    def target(self) -> NDArray[np.float64]:
        """The series that is forecast, float64 [N]."""
        return self.values[:, 0]

    def sha256(self) -> str:
        """The hash of the values and the names of the columns."""
        return self.sha256_before(len(self.values))

    def sha256_before(self, end: int) -> str:
        """The same of the values before an index."""
        return hash_of(self.values[:end], self.columns)


def hash_of(values: NDArray[np.float64], *labels: object) -> str:
    """The SHA-256 of some values, and of what they are."""
    digest = hashlib.sha256(repr((values.shape, labels)).encode())
    digest.update(np.ascontiguousarray(values, dtype="<f8").tobytes())
    return digest.hexdigest()


def load(source: str, reading: Reading = _PLAINLY) -> SeriesData:
    """Loads a data set.

    Args:
        source: `sunspots`, `co2`, `elnino`, or a file: CSV and its kin, Excel, Parquet.
        reading: how the file is read.

    Raises:
        TrainingError: there is no such data set or file, or the file's content is unusable.
    """
    if loader := _LOADERS.get(source):
        if reading != _PLAINLY:
            raise TrainingError(f"--column, --time-column and how a file is read belong to a file; {source!r} is none")
        return loader()
    path = Path(source)
    if not path.is_file():
        known = ", ".join(_LOADERS)
        raise TrainingError(f"--data: expected one of {known}, or a file of columns; got {source!r}, which is neither")
    try:
        table = read_table(path, reading)
    except TableError as error:
        raise TrainingError(str(error)) from error
    check_values(path, table.values, table.columns)
    window = usual_window(len(table.values), table.period)
    return SeriesData(path.stem, table.values, table.columns, table.period, window, table.notes)


def _sunspots() -> SeriesData:
    """Yearly sunspot numbers, 1700 to 2008; the sun's cycle takes about eleven years."""
    values = sunspots.load_pandas().data["SUNACTIVITY"].to_numpy(np.float64)
    return SeriesData("sunspots", values[:, np.newaxis], ("SUNACTIVITY",), period=11, window=33)


def _co2() -> SeriesData:
    """Carbon dioxide over Mauna Loa, 1958 to 2001, as monthly means; a month without a value repeats the last."""
    weekly = co2.load_pandas().data["co2"]
    monthly = weekly.resample("MS").mean().ffill().to_numpy(np.float64)
    return SeriesData("co2", monthly[:, np.newaxis], ("co2",), period=12, window=36)


def _elnino() -> SeriesData:
    """Monthly temperature of the sea off Peru, 1950 to 2010."""
    table = elnino.load_pandas().data.set_index("YEAR")
    return SeriesData("elnino", table.to_numpy(np.float64).reshape(-1, 1), ("temperature",), period=12, window=36)


_LOADERS: dict[str, Callable[[], SeriesData]] = {"sunspots": _sunspots, "co2": _co2, "elnino": _elnino}
