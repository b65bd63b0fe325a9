"""What a forecaster is made of, and what its LSTMs add."""

from typing import Any

from training.card import table
from training.forecaster.correction import NONE, Correction
from training.forecaster.fit import Fitted

_LEAST_SHOWN = 0.001


def figures(fitted: Fitted) -> dict[str, Any]:
    """For `metrics.json` and the manifest; empty for the plain preset."""
    combination, correction = fitted.combination, fitted.correction
    if combination is None or correction is None:
        return {}
    return {
        "power": combination.power,
        "linear_weights": {name: one.tolist() for name, one in combination.weights.items()},
        "lstm_share": correction.share,
        "validation_error_linear": correction.linear_error,
        "validation_error_with_lstm": correction.error,
        "lstm_judged_apart": correction.apart,
    }


def section(fitted: Fitted) -> str:
    """The section of the model card; empty for the plain preset."""
    combination, correction = fitted.combination, fitted.correction
    if combination is None or correction is None:
        return ""
    shares = sorted(combination.weights.items(), key=lambda item: -float(item[1].mean()))
    rows = [[name, f"{one[0]:.1%}", f"{one[-1]:.1%}"] for name, one in shares if one.max() >= _LEAST_SHOWN]
    return f"""## What it is made of

The linear forecasts, weighted by what each would have reached on the newer half of what lies before the test part:

{table(["linear forecast", "weight at the first step", "at the last"], rows)}

{_added(correction)}

"""


def _added(correction: Correction) -> str:
    if correction is NONE:
        return (
            "The validation part is shorter than three horizons, too short to tell whether LSTMs help: there are none."
        )
    where = (
        "On the second half of the validation part, of which the first decided when to stop"
        if correction.apart
        else "On the validation part, which also decided when to stop, being too short to be halved"
    )
    errors = (
        f"{where}, in normalised units, the linear forecast alone has a mean absolute error of "
        f"{correction.linear_error:.4g}, corrected by the LSTMs of {correction.error:.4g}."
    )
    if not correction.share:
        return f"{errors} That is no gain, or one that could be chance: **the LSTMs add nothing and were left out**."
    return f"{errors} Of the correction {correction.share:.0%} is taken, shrunk by how far the gain could be chance."
