"""The report that lies beside a classifier: model card, metrics and pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.card import finite, gate_section, notes, table, write_report
from training.classifier import foreign, plots
from training.classifier.baselines import SupportVectors
from training.classifier.data import ImageData
from training.classifier.evaluate import Accuracy, Calibration, as_metrics
from training.classifier.fit import Fitted
from training.classifier.foreign import Refusal
from training.classifier.rival import write_trained_on
from training.classifier.split import Parts
from training.gate import Verdict

_NOTHING_COMMON = " and no file in common"  # what is in a data set twice may be in two parts


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All that was measured on the test part.

    Attributes:
        network: how often the network is right.
        scores: what it answered, float32 [N,K].
        calibration: whether the scores mean what they say.
        uncalibrated: the same without the temperature.
        ood_scores: how unlike the training part the images are, float32 [N].
        refusals: by kind of foreign images, how well these are told from the test part.
        machine: how often the support vector machine is right.
        machine_settings: how that was fitted.
        majority: the accuracy of always saying the commonest class.
    """

    network: Accuracy
    scores: NDArray[np.float32]
    calibration: Calibration
    uncalibrated: Calibration
    ood_scores: NDArray[np.float32]
    refusals: Mapping[str, Refusal]
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
    temperature: float
    evaluation: Evaluation
    seed: int

    def write(self, folder: Path, verdict: Verdict) -> None:
        """Writes the model card, the metrics, the pictures and what the model has seen into a folder."""
        plots.learning_curves(folder / "learning_curves.png", self.fitted.history)
        plots.confusion_matrix(folder / "confusion_matrix.png", self.evaluation.network, self.data.classes)
        plots.reliability(folder / "calibration.png", self.evaluation.calibration)
        plots.worst(folder / "worst.png", self.parts.test, self.evaluation.scores, self.data.classes)
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
            "calibration_error_without_temperature": found.uncalibrated.error,
            "temperature": report.temperature,
            "parameters": report.fitted.network.count_params(),
        },
        "ood_score": foreign.as_metrics(found.ood_scores, found.refusals),
        "support_vector_machine": {
            **as_metrics(found.machine, report.data.classes),
            "settings": found.machine_settings.settings,
            "fitted_on": found.machine_settings.rows,
        },
        "majority_class": {"accuracy": found.majority},
        "history": finite(report.fitted.history),
    }


def summary_rows(found: Evaluation) -> list[list[str]]:
    """Model, accuracy and macro F1, of the network and of what it is compared with."""
    return [
        ["this network", f"{found.network.accuracy:.4f}", f"{found.network.macro_f1:.4f}"],
        ["support vector machine", f"{found.machine.accuracy:.4f}", f"{found.machine.macro_f1:.4f}"],
        ["majority class", f"{found.majority:.4f}", "-"],
    ]


def _card(report: Report, verdict: Verdict) -> str:
    data, parts, fitted, found = report.data, report.parts, report.fitted, report.evaluation
    height, width, channels = data.images.shape[1:]
    colours = "grey" if channels == 1 else "in colour"
    settings: Mapping[str, float] = found.machine_settings.settings
    recall = [
        [name, f"{ours:.3f}", f"{theirs:.3f}", str(count)]
        for name, ours, theirs, count in zip(
            data.classes, found.network.recall, found.machine.recall, found.network.confusion.sum(axis=1), strict=True
        )
    ]
    refusals = [[name, f"{one.auroc:.4f}", f"{one.refused:.1%}"] for name, one in found.refusals.items()]
    return f"""
# {report.name}: image classifier

The network `{fitted.network.name}` (convolution, ReLU, pooling, fully connected, softmax) of
{fitted.network.count_params():,} parameters. It puts an image of {width}x{height} pixels, {colours}, into one of
{len(data.classes)} classes. Other sizes and kinds of image are converted inside the model.

## Data

`{data.name}`, SHA-256 `{data.sha256()}`: {len(parts.training):,} images to learn from,
{len(parts.validation):,} to calibrate with, {len(parts.test):,} to test on. The parts have the classes in equal
shares{_NOTHING_COMMON if data.files else ""}.
{notes(data.notes)}
## Accuracy on the test part

{table(["model", "accuracy", "macro F1"], summary_rows(found))}

The machine has a radial kernel; C = {settings["C"]:g} and gamma = {settings["gamma"]:.3g} (pixels 0 to 1) did best in
cross-validation, and it was fitted on {found.machine_settings.rows:,} images of training and validation part, those of
more than 32 pixels on a side made smaller, and of more than 256 values 256 principal components taken.

{table(["class", "recall", "recall of the machine", "test images"], recall)}

![Confusion matrix](confusion_matrix.png)
![The images with the lowest scores for their class](worst.png)

## What the scores mean

The network's logits are divided by {report.temperature:.3f}, found on the validation part. The expected calibration
error of the top score (ten bins) is {found.calibration.error:.4f} on the test part, and without that
{found.uncalibrated.error:.4f}.

![Calibration](calibration.png)

## Images of something else

`ood_score` says how unlike the training part an image is; of the validation part, one image in a hundred is above 1.
Of the test part, {(found.ood_scores > 1).mean():.1%} are. What else was asked:

{table(["images", "AUROC against the test part", "above 1"], refusals)}

## Training

Seed {report.seed}; {len(fitted.history["loss"])} epochs in {fitted.seconds:.0f} seconds. While training, images were
shifted, turned, zoomed, sheared and distorted a little, and images of rare classes weighed more.

![Learning curves](learning_curves.png)

## Quality gate

{gate_section(verdict)}

## Limits

It knows only the classes above and gives every image, whatever it shows, to one of them; `ood_score` tells of many
images that show something else, and not of all. Its accuracy holds for images like those of the data set; it was not
tested on others.
"""
