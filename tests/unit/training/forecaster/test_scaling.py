import numpy as np
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from training.forecaster.scaling import Scaling

_POWERS = st.sampled_from([1.0, 0.75, 2 / 3, 0.5])


@given(values=st.lists(st.floats(0, 1e4), min_size=3, max_size=30), power=_POWERS)
def test_restoring_undoes_normalising(values: list[float], power: float) -> None:
    column = np.array(values)[:, np.newaxis]
    scaling = Scaling.fitted(column, power=power)
    np.testing.assert_allclose(
        scaling.restored(scaling.normalised(column)[:, 0]), values, rtol=1e-6, atol=1e-6 * (1 + max(values))
    )


@given(power=_POWERS, columns=st.integers(1, 3))
def test_the_graph_computes_what_numpy_computes(power: float, columns: int) -> None:
    values = np.random.default_rng(1).gamma(2.0, 20.0, (50, columns))
    scaling = Scaling.fitted(values, power=power)
    in_graph = scaling.normalised_in_graph(tf.constant(values, tf.float32)).numpy()
    np.testing.assert_allclose(in_graph, scaling.normalised(values), atol=1e-4)
    restored = scaling.restored_in_graph(tf.constant(in_graph[:, 0])).numpy()
    np.testing.assert_allclose(restored, values[:, 0], rtol=1e-4)


def test_only_a_series_without_negative_values_is_kept_above_zero() -> None:
    low = np.array([-9.0])
    assert Scaling.fitted(np.array([[0.0], [2.0]])).restored(low) == 0
    assert Scaling.fitted(np.array([[-1.0], [2.0]])).restored(low) < 0


def test_a_column_that_never_changes_is_no_division_by_zero() -> None:
    scaling = Scaling.fitted(np.array([[1.0, 7.0], [2.0, 7.0]]))
    assert np.isfinite(scaling.normalised(np.array([[3.0, 7.0]]))).all()
