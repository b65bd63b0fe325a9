"""The tables of the benchmark, as Markdown."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.forecasting.folder import LINEAR, NAME, REFITTED, Series, all_series, forecasts
from benchmarks.forecasting.measures import Measures, mean_of, measure
from training.card import table

_MIXED = ("AutoARIMA", "AutoETS", "AutoTheta")
_MIX = "mean of the three"
_ORDER = (NAME, LINEAR, REFITTED, *_MIXED, _MIX, "MSTL", "linear regression", "seasonal naive", "NHITS", "LSTM")
_Found = Mapping[str, list[Measures]]


def tables(folder: Path) -> str:
    """Measures all forecasts of a folder: one table of the means, one of the series."""
    series = all_series(folder)
    found = {one.name: _measured(one, forecasts(folder, one)) for one in series}
    names = [name for name in _ORDER if all(name in by_name for by_name in found.values())]
    shares = {one.name: [json.loads(file.read_text())["share"] for file in _shares(folder, one)] for one in series}
    return f"{_means(found, names)}\n\n{_by_series(series, found, names, shares)}\n"


def _measured(series: Series, quantiles: Mapping[str, NDArray[np.float64]]) -> _Found:
    """By forecaster, a measure for each seed; the seed is the last word of a name that ends in a digit."""
    mixed = [quantiles[name] for name in _MIXED if name in quantiles]
    both = {**quantiles, _MIX: np.mean(mixed, axis=0)} if len(mixed) == len(_MIXED) else dict(quantiles)
    found: dict[str, list[Measures]] = {}
    for name, values in both.items():
        found.setdefault(name.rstrip("0123456789 "), []).append(measure(series, values))
    return found


def _shares(folder: Path, series: Series) -> list[Path]:
    return sorted(folder.glob(f"{series.name}.*.json"))


def _means(found: Mapping[str, _Found], names: Sequence[str]) -> str:
    rows = []
    for name in names:
        each = [mean_of(by_name[name]) for by_name in found.values()]
        mean, geometric = mean_of(each), np.exp(np.mean([np.log(one.mase) for one in each]))
        intervals = [f"{mean.pinball:.3f}", f"{mean.inside_80:.1%}", f"{mean.inside_95:.1%}"]
        shown = intervals if name != LINEAR else ["", "", ""]  # its intervals are those of the whole
        rows.append([name, f"{mean.mase:.3f}", f"{geometric:.3f}", f"{mean.rmsse:.3f}", *shown])
    head = ["mean of the series", "MASE", "its geometric mean", "RMSSE", "pinball loss", "80 % holds", "95 % holds"]
    return table(head, rows)


def _by_series(
    series: Sequence[Series], found: Mapping[str, _Found], names: Sequence[str], shares: Mapping[str, Sequence[float]]
) -> str:
    rows = []
    for one in series:
        by_name = found[one.name]
        mases = [f"{mean_of(by_name[name]).mase:.3f}" for name in names]
        share = f"{np.mean(shares[one.name]):.2f}" if shares[one.name] else ""
        rows.append([one.name, f"{len(one.values):,}", str(one.period), share, *mases])
    return table(["MASE", "values", "season", "LSTM's share", *names], rows)
