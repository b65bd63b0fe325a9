"""Trains and evaluates a classifier, from the data to a candidate for publication."""

import dataclasses
import hashlib

import numpy as np

from training.classifier import export
from training.classifier.baselines import majority_accuracy, support_vectors
from training.classifier.data import ImageData, load
from training.classifier.evaluate import accuracy, calibration
from training.classifier.fit import Fitted, fit
from training.classifier.reference import signatures, some
from training.classifier.report import Evaluation, Report, metrics, summary_rows
from training.classifier.split import Part, Parts, split
from training.display import Display
from training.options import ClassifierOptions
from training.pipeline import Candidate, Judgement
from training.reference import SignatureStatistics


def train(options: ClassifierOptions, name: str, display: Display) -> Candidate:
    """Trains and evaluates a classifier.

    Args:
        options: which data, and how.
        name: the model's name, for its report.
        display: shows the steps and the result.

    Raises:
        TrainingError: the data are unusable.
    """
    display.step(f"Loading {options.data}")
    data = load(options.data)
    parts = split(data, options.split_seed)
    display.step(f"Training on {len(parts.training):,} images")
    fitted = fit(
        parts, len(data.classes), mirrored=data.mirrored, seed=options.seed, epochs=options.epochs, display=display
    )
    display.step(f"Evaluating on {len(parts.test):,} images never trained on")
    scores = fitted.model.predict(parts.test.images.astype(np.float32), batch_size=512, verbose=0)
    machine = support_vectors(parts)
    classes = len(data.classes)
    evaluation = Evaluation(
        network=accuracy(parts.test.labels, scores.argmax(axis=1), classes),
        calibration=calibration(scores, parts.test.labels),
        machine=accuracy(parts.test.labels, machine.predicted, classes),
        machine_settings=machine,
        majority=majority_accuracy(parts),
    )
    display.table("On the test part", ["model", "accuracy", "macro F1"], summary_rows(evaluation))
    report = Report(name, data, parts, fitted, evaluation, options.seed)
    return Candidate(
        kind="classifier",
        judgement=_judgement(data, parts.test, evaluation),
        facts=_facts(report, options),
        methods=export.METHODS,
        cases=export.cases(parts.test.images, scores, data.classes),
        scale=1.0,
        reference=_reference(parts, fitted),
        about_reference=f"training and validation part of {data.name}",
        export=lambda folder: export.export(fitted.model, data.classes, folder),
        report=report.write,
    )


def _reference(parts: Parts, fitted: Fitted) -> dict[str, SignatureStatistics]:
    """What the images look like and what the model says of them, without the test part."""
    images = [some(part.images) for part in (parts.training, parts.validation)]
    scores = [fitted.model.predict(part.astype(np.float32), batch_size=512, verbose=0) for part in images]
    return signatures(np.concatenate(images), np.concatenate(scores), scores[-1])


def _judgement(data: ImageData, test: Part, evaluation: Evaluation) -> Judgement:
    """Errors are shares of wrong answers; the tolerance is added to the published version's."""
    return Judgement(
        measure="error rate",
        error=1 - evaluation.network.accuracy,
        naive="always saying the commonest class",
        naive_error=1 - evaluation.majority,
        comparison=hashlib.sha256(ImageData("", test.images, test.labels, data.classes).sha256().encode()).hexdigest(),
        limit=lambda error, tolerance: error + tolerance,
    )


def _facts(report: Report, options: ClassifierOptions) -> dict[str, object]:
    data, parts = report.data, report.parts
    height, width, channels = data.images.shape[1:]
    figures = metrics(report)
    return {
        "data": {
            "name": data.name,
            "sha256": data.sha256(),
            "examples": {"training": len(parts.training), "validation": len(parts.validation), "test": len(parts.test)},
        },
        "input": {"height": height, "width": width, "channels": channels, "dtype": "float32", "range": [0, 255]},
        "output": {"classes": list(data.classes)},
        "metrics": {
            "accuracy": figures["network"]["accuracy"],
            "macro_f1": figures["network"]["macro_f1"],
            "calibration_error": figures["network"]["calibration_error"],
            "baselines": {
                "support_vector_machine": figures["support_vector_machine"]["accuracy"],
                "majority_class": figures["majority_class"]["accuracy"],
            },
        },
        "training": {
            **dataclasses.asdict(options),
            "epochs_run": len(report.fitted.history["loss"]),
            "best_epoch": report.fitted.best_epoch,
        },
    }
