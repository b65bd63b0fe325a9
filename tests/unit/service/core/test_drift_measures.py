"""The numbers of drift, against published ones."""

import numpy as np
import pytest

from service.core.drift_measures import (
    Distance,
    Verdict,
    chi_square,
    distance,
    kolmogorov_smirnov,
    population_stability_index,
)
from service.core.drift_reference import Floats, Histogram, Statistic


def counts(*values: float) -> Floats:
    return np.array(values, np.float64)


def test_the_same_shares_are_no_distance_whatever_the_number_of_rows() -> None:
    assert population_stability_index(counts(1e6, 2e6), counts(1e4, 2e4)) == pytest.approx(0, abs=1e-6)
    assert kolmogorov_smirnov(counts(10, 20, 30), counts(1, 2, 3)) == pytest.approx((0, 1))
    assert chi_square(counts(10, 20, 30), counts(1, 2, 3)) == pytest.approx((0, 1), abs=0.01)


def test_psi_is_as_defined_and_the_same_both_ways() -> None:
    expected = (0.7 - 0.5) * np.log(0.7 / 0.5) + (0.3 - 0.5) * np.log(0.3 / 0.5)
    one, other = counts(700_000, 300_000), counts(500_000, 500_000)
    assert population_stability_index(one, other) == pytest.approx(expected, rel=1e-4)
    assert population_stability_index(other, one) == pytest.approx(expected, rel=1e-4)


def test_an_empty_bin_makes_psi_large_and_not_infinite() -> None:
    assert 1 < population_stability_index(counts(0, 500), counts(250, 250)) < 10


@pytest.mark.parametrize(("scaled", "p_value"), [(1.2238, 0.10), (1.3581, 0.05), (1.6276, 0.01), (1.9495, 0.001)])
def test_kolmogorov_smirnov_has_the_published_critical_values(scaled: float, p_value: float) -> None:
    rows = 1e8  # so many that the correction for few is nothing
    shift = scaled / np.sqrt(rows / 2) * rows
    found = kolmogorov_smirnov(counts(rows / 2, rows / 2), counts(rows / 2 + shift, rows / 2 - shift))
    assert found == pytest.approx((shift / rows, p_value), rel=0.01)


def test_kolmogorov_smirnov_of_few_rows_says_little() -> None:
    assert kolmogorov_smirnov(counts(2, 2), counts(3, 1))[1] > 0.5


@pytest.mark.parametrize(
    ("statistic", "classes", "p_value"),
    [(3.841, 2, 0.05), (16.919, 10, 0.05), (27.877, 10, 0.001), (149.449, 101, 0.001)],
)
def test_chi_square_has_the_published_critical_values(statistic: float, classes: int, p_value: float) -> None:
    rows = 1e8
    each = rows / classes
    reference, seen = np.full(classes, each), np.full(classes, each)
    shift = np.sqrt(statistic * each)
    seen[0] += shift
    seen[1] -= shift
    found, p = chi_square(reference, seen)
    assert found == pytest.approx(statistic, rel=0.01)
    assert p == pytest.approx(p_value, rel=0.1)


def test_chi_square_of_samples_of_different_sizes_is_that_of_the_contingency_table() -> None:
    table = np.array([[30.0, 70.0], [45.0, 55.0]])
    expected = table.sum(axis=0) * table.sum(axis=1)[:, np.newaxis] / table.sum()
    assert chi_square(table[0], table[1])[0] == pytest.approx(((table - expected) ** 2 / expected).sum())


def test_one_class_that_is_all_there_ever_was_has_not_drifted() -> None:
    assert chi_square(counts(0, 9), counts(0, 5)) == (0, 1)


def test_classes_are_compared_by_chi_square_and_numbers_by_kolmogorov_smirnov() -> None:
    by_class = Histogram(Statistic.ARGMAX, counts(), counts(5, 5))
    by_value = Histogram(Statistic.MEAN, counts(1), counts(5, 5))
    assert distance(by_class, counts(5, 5)).test == "chi_square"
    assert distance(by_value, counts(5, 5)).test == "kolmogorov_smirnov"


@pytest.mark.parametrize(
    ("psi", "p_value", "rows", "verdict"),
    [
        (9.0, 0.0, 199, Verdict.TOO_FEW_ROWS),
        (9.0, 0.01, 200, Verdict.STABLE),
        (0.09, 0.0, 1e6, Verdict.STABLE),
        (0.1, 0.0, 200, Verdict.SHIFTING),
        (0.25, 0.0, 200, Verdict.DRIFTED),
    ],
)
def test_verdicts(psi: float, p_value: float, rows: float, verdict: Verdict) -> None:
    assert Distance(psi, "chi_square", 1.0, p_value).verdict(rows) is verdict
