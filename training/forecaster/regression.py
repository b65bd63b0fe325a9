"""Corrects a linear forecast by a regression of each step of the horizon on the whole window."""

import numpy as np
from numpy.typing import NDArray

from training.forecaster.linear import LinearMap, Sizes

_LEVEL = 0.3  # of the column that tells the level, beside the distances from the last value


def corrected(prior: LinearMap, values: NDArray[np.float64], sizes: Sizes, *, penalty: float) -> LinearMap:
    """Fits a ridge regression (Hoerl and Kennard, 1970) to what a map leaves.

    It sees how far each value of the window lies from the last one, so that a series may drift without it forecasting
    a return, and a little of the level.

    Args:
        prior: what is corrected, and what a large penalty leaves as it is.
        values: float64 [N], normalised.
        sizes: of the task.
        penalty: on the squared weights, in units of the mean square of what is seen.
    """
    pasts, following = sizes.windows(values)
    mean = np.full((sizes.window, 1), _LEVEL / sizes.window)
    distances = np.eye(sizes.window)[:, :-1]
    distances[-1] = -1
    view = np.concatenate([distances, mean], axis=1)
    seen = pasts @ view
    ridge = penalty * len(seen) * float((seen**2).mean()) * np.eye(seen.shape[1])
    weights = np.linalg.solve(seen.T @ seen + ridge, seen.T @ (following - prior.forecast(pasts)))
    return LinearMap(prior.kernel + view @ weights, prior.bias)
