"""The series that are forecast, as packages carry them, and where forecasts of them begin.

They were chosen, with the horizon and the origins, before any forecast was made.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pmdarima.datasets as pm
from numpy.typing import NDArray
from statsmodels.datasets import co2, elec_equip, elnino, macrodata, nile, sunspots

HORIZON = 12
LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)
_ORIGINS = 5
_TEST_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Series:
    """A series and the origins at which it is forecast.

    Attributes:
        name: of the series.
        values: float64 [N].
        period: steps in a season, by the distance of its times; 1 for none.
        longer: steps in a season of seasons: half an hour has its day, and the day its week; 0 for none.
        origins: the indices that forecasts begin at.
    """

    name: str
    values: NDArray[np.float64]
    period: int
    longer: int
    origins: tuple[int, ...]


def _macro(column: str) -> Callable[[], Any]:
    return lambda: macrodata.load_pandas().data[column]


def _weekly() -> Any:
    return co2.load_pandas().data["co2"]


def _weekly_filled() -> Any:
    return _weekly().ffill()


def _monthly() -> Any:
    return _weekly().resample("MS").mean().ffill()


_TEST: dict[str, tuple[Callable[[], Any], int]] = {
    "airpassengers": (pm.load_airpassengers, 12),
    "ausbeer": (pm.load_ausbeer, 4),
    "austres": (pm.load_austres, 4),
    "heartrate": (pm.load_heartrate, 1),
    "lynx": (pm.load_lynx, 1),
    "wineind": (pm.load_wineind, 12),
    "woolyrnq": (pm.load_woolyrnq, 4),
    "taylor": (pm.load_taylor, 48),
    "sunspots": (lambda: sunspots.load_pandas().data["SUNACTIVITY"], 1),
    "sunspots by month": (pm.load_sunspots, 12),
    "nile": (lambda: nile.load_pandas().data["volume"], 1),
    "co2": (_monthly, 12),
    "elnino": (lambda: elnino.load_pandas().data.set_index("YEAR"), 12),
    "elec_equip": (lambda: elec_equip.load_pandas().data, 12),
    "unemployment": (_macro("unemp"), 4),
    "gdp": (_macro("realgdp"), 4),
}
_MORE: dict[str, tuple[Callable[[], Any], int]] = {
    "consumption": (_macro("realcons"), 4),
    "investment": (_macro("realinv"), 4),
    "government": (_macro("realgovt"), 4),
    "prices": (_macro("cpi"), 4),
    "money": (_macro("m1"), 4),
    "bills": (_macro("tbilrate"), 4),
    "inflation": (_macro("infl"), 4),
    "co2 by week": (_weekly_filled, 52),
}
_LONGER = {48: 336}


def load(part: str) -> Iterator[Series]:
    """Loads the series of a part.

    Args:
        part: `test`, or `development`: the same without their last fifth, and some others.
    """
    for name, (values, period) in (_TEST if part == "test" else {**_TEST, **_MORE}).items():
        whole = np.asarray(values(), np.float64).reshape(-1)
        whole = whole[np.isfinite(whole)]  # the last of ausbeer is missing
        if part != "test":
            whole = whole[: _test_start(len(whole))]
        last = len(whole) - HORIZON
        origins = np.linspace(_test_start(len(whole)), last, _ORIGINS).astype(int)
        yield Series(name, whole, period, _LONGER.get(period, 0), tuple(int(origin) for origin in origins))


def _test_start(length: int) -> int:
    return int(length * (1 - _TEST_SHARE))


def write(series: Series, folder: Path) -> None:
    """Writes a series for another environment."""
    np.savez(
        folder / f"{series.name}.npz",
        values=series.values,
        period=series.period,
        longer=series.longer,
        origins=series.origins,
    )
