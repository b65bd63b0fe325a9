"""Writes the forecasts of neuralforecast's NHITS and LSTM, trained once on what lies before the first origin.

    python neural.py FOLDER PART

With the library's defaults, but for quantiles, a window of two seasons and fewer steps, as one series has little data.
"""

import logging
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from neuralforecast import NeuralForecast
from neuralforecast.losses.pytorch import MQLoss
from neuralforecast.models import LSTM, NHITS

_LEVELS = [0.025, 0.1, 0.5, 0.9, 0.975]
_HORIZON = 12
_STEPS = 300
_QUIET = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False, "logger": False}
_MODELS = {"NHITS": NHITS, "LSTM": LSTM}


def _model(make: Any, period: int) -> Any:
    """A model whose window is two and a half seasons, as that of the linear models is at most."""
    window = max(2 * _HORIZON, 5 * period // 2)
    loss = MQLoss(quantiles=_LEVELS)
    return make(
        h=_HORIZON,
        input_size=window,
        loss=loss,
        max_steps=_STEPS,
        scaler_type="robust",
        start_padding_enabled=True,
        accelerator="cpu",
        devices=1,
        **_QUIET,
    )


def _frame(values: np.ndarray[Any, Any]) -> pd.DataFrame:
    return pd.DataFrame({"unique_id": "series", "ds": np.arange(len(values)), "y": values})


def main(folder: Path) -> None:
    """Makes what is not there yet."""
    for file in sorted(folder.glob("*.npz")):
        with np.load(file) as found:
            values, period, origins = found["values"], int(found["period"]), found["origins"]
        for name, make in _MODELS.items():
            target = folder / f"{file.stem}.{name}.npy"
            if target.exists():
                continue
            started = time.monotonic()
            library = NeuralForecast([_model(make, period)], freq=1)
            library.fit(_frame(values[: origins[0]]))
            forecasts = [library.predict(_frame(values[:origin])).iloc[:, -len(_LEVELS) :] for origin in origins]
            np.save(target, np.sort(np.stack(forecasts).astype(np.float64), axis=-1))
            sys.stderr.write(f"{file.stem}: {name}, {time.monotonic() - started:.1f} s\n")


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
