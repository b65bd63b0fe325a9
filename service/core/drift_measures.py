"""How far two histograms are apart, and how likely that is by chance."""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from service.core.drift_reference import Floats, Histogram, Statistic

FEWEST_ROWS = 200
"""With fewer, there is no verdict."""
SHIFTING, DRIFTED = 0.1, 0.25
"""PSI from which on a distribution has moved, and moved much: the usual rule of thumb (Siddiqi, below)."""
SIGNIFICANT = 0.001
"""What is likelier than this to be chance is not reported."""


class Verdict(StrEnum):
    """What the numbers mean."""

    TOO_FEW_ROWS = "too_few_rows"
    STABLE = "stable"
    SHIFTING = "shifting"
    DRIFTED = "drifted"


@dataclass(frozen=True, slots=True)
class Distance:
    """How far what was seen is from its reference.

    Attributes:
        psi: Population stability index.
        test: The two-sample test: ``kolmogorov_smirnov``, or ``chi_square`` for classes.
        value: Its statistic.
        p_value: How likely a statistic at least as large is without any drift, if rows do not depend on each other.
    """

    psi: float
    test: str
    value: float
    p_value: float

    def verdict(self, rows: float) -> Verdict:
        """Returns what it means, given how many rows were seen."""
        if rows < FEWEST_ROWS:
            return Verdict.TOO_FEW_ROWS
        if self.p_value >= SIGNIFICANT or self.psi < SHIFTING:
            return Verdict.STABLE
        return Verdict.DRIFTED if self.psi >= DRIFTED else Verdict.SHIFTING


def distance(reference: Histogram, seen: Floats) -> Distance:
    """Compares what was seen with a reference; both have at least something in them.

    Args:
        reference: The histogram of the training.
        seen: float64 [B], rows in the same bins; they need not be whole numbers.
    """
    psi = population_stability_index(reference.counts, seen)
    if reference.statistic is Statistic.ARGMAX:
        return Distance(psi, "chi_square", *chi_square(reference.counts, seen))
    return Distance(psi, "kolmogorov_smirnov", *kolmogorov_smirnov(reference.counts, seen))


def population_stability_index(reference: Floats, seen: Floats) -> float:
    """Returns the sum over the bins of (p - q) ln(p / q), p and q the shares of both: symmetric, 0 for equal shares.

    Half a row is added to each bin, so that empty ones do no harm. Source: Siddiqi, "Credit Risk Scorecards", 2006.
    Without drift, N and M rows in B bins give about (1/N + 1/M) times a chi-square variable of B - 1 degrees of
    freedom: Yurdakul and Naranjo, "Statistical properties of the population stability index", Journal of Risk Model
    Validation 14 (4), 2020.
    """
    p, q = reference + 0.5, seen + 0.5
    p, q = p / p.sum(), q / q.sum()
    return float(((p - q) * np.log(p / q)).sum())


def kolmogorov_smirnov(reference: Floats, seen: Floats) -> tuple[float, float]:
    """Returns the largest distance of both cumulative shares at an edge, 0 to 1, and its p-value.

    Between the edges they may be further apart: the p-value is an upper bound. Its series is that of Smirnov, "Table
    for estimating the goodness of fit of empirical distributions", 1948, with the correction for small samples of
    Stephens, "Use of the Kolmogorov-Smirnov, Cramer-von Mises and related statistics", 1970.
    """
    n, m = float(reference.sum()), float(seen.sum())
    largest = float(np.abs(np.cumsum(reference) / n - np.cumsum(seen) / m).max())
    root = math.sqrt(n * m / (n + m))
    scaled = (root + 0.12 + 0.11 / root) * largest
    if scaled < 0.2:  # the series does not converge there, and is 1 to twelve digits
        return largest, 1.0
    terms = ((-1) ** (term - 1) * math.exp(-2 * (term * scaled) ** 2) for term in range(1, 101))
    return largest, min(max(2 * math.fsum(terms), 0.0), 1.0)


def chi_square(reference: Floats, seen: Floats) -> tuple[float, float]:
    """Returns the statistic of the two-sample chi-square test, and its p-value.

    Sources: Press et al., "Numerical Recipes", third edition, section 14.3, for samples of different sizes; and for the
    p-value Wilson and Hilferty, "The distribution of chi-square", 1931: its cube root is nearly normal.
    """
    n, m = float(reference.sum()), float(seen.sum())
    both = reference + seen
    there = both > 0
    differences = math.sqrt(m / n) * reference[there] - math.sqrt(n / m) * seen[there]
    statistic = float((differences**2 / both[there]).sum())
    freedom = int(there.sum()) - 1
    if freedom < 1:
        return statistic, 1.0
    spread = 2 / (9 * freedom)
    normal = ((statistic / freedom) ** (1 / 3) - (1 - spread)) / math.sqrt(spread)
    return statistic, 0.5 * math.erfc(normal / math.sqrt(2))
