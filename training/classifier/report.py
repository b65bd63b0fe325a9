"""The report that lies beside a classifier: model card, metrics and pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training.card import gate_section, notes, table, write_report
from training.classifier import plots
from training.classifier.baselines import SupportVectors
from training.classifier.data import ImageData
from training.classifier.evaluate import Accuracy, Calibration, as_metrics
from training.classifier.fit import Fitted
from training.classifier.rival import write_trained_on
from training.classifier.split import Parts
from training.gate import Verdict


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All that was measured on the test part."""

    network: Accuracy
    calibration: Calibration
    machine: Accuracy
    machine_settings: SupportVectors
    majority: float


@dataclass(frozen=True, slots=True)
class Report:
    """What a classifier's report is written from."""

    name: str
    data: ImageData
    parts: Parts
    fitted: Fitted
    evaluation: Evaluation
    seed: int

    def write(self, folder: Path, verdict: Verdict) -> None:
        """Writes the model card, the metrics, the pictures and what the model has seen into a folder."""
        plots.learning_curves(folder / "learning_curves.png", self.fitted.history, self.fitted.best_epoch)
        plots.confusion_matrix(folder / "confusion_matrix.png", self.evaluation.network, self.data.classes)
        plots.reliability(folder / "calibration.png", self.evaluation.calibration)
        seen = np.concatenate([self.parts.training.rows, self.parts.validation.rows])
        write_trained_on(folder, self.data.fingerprints()[seen])
        write_report(folder, _card(self, verdict), metrics(self))


def metrics(report: Report) -> dict[str, Any]:
    """The figures for `metrics.json`."""
    found = report.evaluation
    return {
        "network": {
            **as_metrics(found.network, report.data.classes),
            "calibration_error": found.calibration.error,
        },
        "support_vector_machine": {
            **as_metrics(found.machine, report.data.classes),
            "settings": found.machine_settings.settings,
            "fitted_on": found.machine_settings.rows,
        },
        "majority_class": {"accuracy": found.majority},
        "history": report.fitted.history,
        "best_epoch": report.fitted.best_epoch,
    }


def summary_rows(found: Evaluation) -> list[list[str]]:
    """Model, accuracy and macro F1, of the network and of what it is compared with."""
    return [
        ["this network", f"{found.network.accuracy:.4f}", f"{found.network.macro_f1:.4f}"],
        ["support vector machine", f"{found.machine.accuracy:.4f}", f"{found.machine.macro_f1:.4f}"],
        ["majority class", f"{found.majority:.4f}", "-"],
    ]


def _card(report: Report, verdict: Verdict) -> str:
    data, parts, found = report.data, report.parts, report.evaluation
    height, width, channels = data.images.shape[1:]
    colours = "grey" if channels == 1 else "in colour"
    parameters, epochs = report.fitted.model.count_params(), len(report.fitted.history["loss"])
    settings: Mapping[str, float] = found.machine_settings.settings
    recall = [
        [name, f"{ours:.3f}", f"{theirs:.3f}", str(count)]
        for name, ours, theirs, count in zip(
            data.classes, found.network.recall, found.machine.recall, found.network.confusion.sum(axis=1), strict=True
        )
    ]
    return f"""
# {report.name}: image classifier

A convolutional network (convolution, ReLU, pooling, fully connected, softmax) of {parameters:,} parameters. It puts an
image of {width}x{height} pixels, {colours}, into one of {len(data.classes)} classes. Other sizes and kinds of image are
converted inside the model.

## Data

`{data.name}`, SHA-256 `{data.sha256()}`: {len(parts.training):,} images to learn from,
{len(parts.validation):,} to decide when to stop, {len(parts.test):,} to test on. The parts have the classes in equal
shares and no image in common.
{notes(data.notes)}
## Accuracy on the test part

{table(["model", "accuracy", "macro F1"], summary_rows(found))}

The machine has a radial kernel; C = {settings["C"]:g} and gamma = {settings["gamma"]:.3g} (pixels 0 to 1) did best in
cross-validation, and it was fitted on {found.machine_settings.rows:,} images of training and validation part.

Expected calibration error of the network's top score: {found.calibration.error:.4f} (ten bins).

{table(["class", "recall", "recall of the machine", "test images"], recall)}

![Confusion matrix](confusion_matrix.png)
![Calibration](calibration.png)

## Training

Seed {report.seed}; {epochs} epochs, the weights of epoch {report.fitted.best_epoch} kept (least loss on the validation
part). While training, images were shifted, turned and zoomed a little.

![Learning curves](learning_curves.png)

## Quality gate

{gate_section(verdict)}

## Limits

It knows only the classes above and gives every image, whatever it shows, to one of them. Its accuracy holds for
images like those of the data set; it was not tested on others.
"""
