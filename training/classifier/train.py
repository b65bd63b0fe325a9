"""Trains and evaluates a classifier, from the data to a candidate for publication."""

import dataclasses
import functools
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from training.changes import check_change, promised_size
from training.classifier import export, rival
from training.classifier.baselines import majority_accuracy, support_vectors
from training.classifier.data import ImageData, load
from training.classifier.evaluate import accuracy, calibration
from training.classifier.findings import findings
from training.classifier.fit import Fitted, fit
from training.classifier.folder import read_picture
from training.classifier.foreign import foreign, refusals
from training.classifier.model import build, preset_for
from training.classifier.reference import signatures, some
from training.classifier.report import Evaluation, Report, metrics, summary_rows
from training.classifier.served import Served, answers, served
from training.classifier.split import Part, Parts, split
from training.classifier.transfer import architecture_of, transferred
from training.display import Display
from training.errors import TrainingError
from training.gate import Judgement, Rival
from training.options import ClassifierOptions, PublishOptions
from training.pipeline import Candidate
from training.progress import Progress
from training.reference import SignatureStatistics


@dataclass(frozen=True, slots=True)
class Prepared:
    """Data that are read and split, which several trainings can have in common.

    Attributes:
        data: the images, with notes on them.
        parts: their parts.
        digest: the hash of the images and of what they are split by, which are their files where there are some.
    """

    data: ImageData
    parts: Parts
    digest: str


def prepare(options: ClassifierOptions, place: PublishOptions, display: Display) -> Prepared:
    """Reads and splits the data.

    Args:
        options: which data, and how they are split.
        place: under which name a model of them is to be published; images of a folder get the size of its newest
            version.
        display: shows the step.

    Raises:
        TrainingError: the data are unusable.
    """
    display.step(f"Loading {options.data}")
    data = load(options.data, most_broken=options.most_broken, size=promised_size(place))
    parts = split(data, options.split_seed)
    return Prepared(dataclasses.replace(data, notes=(*data.notes, *findings(data, parts))), parts, _digest(data))


def train(
    options: ClassifierOptions, place: PublishOptions, progress: Progress, prepared: Prepared | None = None
) -> Candidate:
    """Trains and evaluates a classifier.

    Args:
        options: which data, and how.
        place: under which name it is to be published.
        progress: shows the steps and the result, and keeps the epochs.
        prepared: the data, where they were read already.

    Raises:
        TrainingError: the data are unusable, or not those of the run that is gone on with.
        PublicationRefusedError: the published version has other classes or another size, or is no classifier.
    """
    display = progress.display
    prepared = prepared or prepare(options, place, display)
    data, parts = prepared.data, prepared.parts
    progress.check_data(prepared.digest)
    for note in data.notes:
        display.note(note)
    check_change(place, {"kind": "classifier", **_shapes(data)})
    display.step(f"Training on {len(parts.training):,} images")
    fitted = fit(
        parts,
        _builder(parts, len(data.classes), options, progress),
        options,
        mirrored=data.mirrored,
        progress=progress,
    )
    display.step(f"Evaluating on {len(parts.test):,} images never trained on")
    finished = served(fitted.network, parts)
    answered = answers(finished.model, parts.test.images)
    evaluation = _evaluation(data, parts, fitted, finished, answered)
    display.table("On the test part", ["model", "accuracy", "macro F1"], summary_rows(evaluation))
    report = Report(place.name, data, parts, fitted, finished.temperature, evaluation, options.seed)
    cases = export.cases(parts.test.images, answered, data.classes)
    tested = rival.Exam(
        _files(Path(options.data), data, parts.test, cases["classify_bytes"].inputs["image_bytes"]),
        data.fingerprints()[parts.test.rows],
        parts.test.labels,
        answered["scores"].argmax(axis=1),
        data.classes,
    )
    return Candidate(
        kind="classifier",
        judgement=_judgement(data, parts.test, evaluation, functools.partial(rival.measure, tested=tested)),
        facts=_facts(report, options),
        methods=export.METHODS,
        cases=cases,
        scale=1.0,
        reference=_reference(parts, finished),
        about_reference=f"training and validation part of {data.name}",
        export=functools.partial(export.export, finished.model, data.classes),
        variables=finished.model.variables,
        report=report.write,
    )


def _files(
    source: Path, data: ImageData, test: Part, shrunk: NDArray[Any]
) -> Callable[[NDArray[np.int64]], Sequence[bytes]]:
    """What reads pictures of the test part: the files they came from, which no size was made of yet, if there are any.

    Args:
        source: the folder of the files, where there are some.
        data: all images.
        test: those of the test part.
        shrunk: bytes [N], its images as they are trained on, as files.
    """
    if not data.files:
        return lambda rows: list(shrunk[rows])
    return lambda rows: [read_picture(source / data.files[row]) for row in test.rows[rows]]


def _digest(data: ImageData) -> str:
    """The hash of the images and of what they are split by, which are their files where there are some."""
    digest = hashlib.sha256(data.sha256().encode())
    if data.content is not None:
        digest.update(data.content.astype("<u8").tobytes())
    return digest.hexdigest()


def _builder(parts: Parts, classes: int, options: ClassifierOptions, progress: Progress) -> Callable[[], keras.Model]:
    """What makes the untrained network.

    Raises:
        TrainingError: the weights that it is to begin with are of no network that is known, cannot be read, or are not
            those of the run that is gone on with.
    """
    pixels = parts.training.images
    shape = pixels.shape[1:]
    if options.weights is not None:
        weights = Path(options.weights)
        architecture = architecture_of(weights, options.architecture)
        progress.check_data(_file_digest(weights), "content of --weights")
        return functools.partial(transferred, weights, architecture, shape, classes)
    mean, deviation = _mean_and_deviation(pixels)
    return functools.partial(
        build, options.preset or preset_for(shape), shape, classes, mean=mean, deviation=deviation or 1.0
    )


def _mean_and_deviation(pixels: NDArray[np.uint8]) -> tuple[float, float]:
    """Of all values; NumPy's own deviation would make a copy of them in eight times the memory."""
    levels = np.arange(256)
    counts = np.zeros(256, np.int64)
    for image in pixels:
        counts += np.bincount(image.ravel(), minlength=256)
    mean = float(counts @ levels / counts.sum())
    return mean, math.sqrt(counts @ (levels - mean) ** 2 / counts.sum())


def _file_digest(weights: Path) -> str:
    try:
        with weights.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise TrainingError(f"--weights {weights}: cannot be read: {error.strerror or error}") from error


def _evaluation(
    data: ImageData, parts: Parts, fitted: Fitted, finished: Served, answered: Mapping[str, NDArray[np.float32]]
) -> Evaluation:
    """Measures the network on the test part, beside what one would use instead."""
    test, classes = parts.test, len(data.classes)
    scores, known = answered["scores"], answered["ood_score"]
    others = foreign(test.images, letters=not data.files)  # a folder may be one of letters
    machine = support_vectors(parts)
    return Evaluation(
        network=accuracy(test.labels, scores.argmax(axis=1), classes),
        scores=scores,
        calibration=calibration(scores, test.labels),
        uncalibrated=calibration(softmax(answers(fitted.network, test.images)["logits"], axis=1), test.labels),
        ood_scores=known,
        refusals=refusals(known, {name: answers(finished.model, some)["ood_score"] for name, some in others.items()}),
        machine=accuracy(test.labels, machine.predicted, classes),
        machine_settings=machine,
        majority=majority_accuracy(parts),
    )


def _reference(parts: Parts, finished: Served) -> dict[str, SignatureStatistics]:
    """What the images look like and what the model says of them, without the test part."""
    images = [some(part.images) for part in (parts.training, parts.validation)]
    scores = [answers(finished.model, part)["scores"] for part in images]
    return signatures(np.concatenate(images), np.concatenate(scores), scores[-1])


def _judgement(
    data: ImageData, test: Part, evaluation: Evaluation, rerun: Callable[[Path, Mapping[str, Any]], Rival]
) -> Judgement:
    """Errors are balanced, so that saying the commonest class is worth nothing; the tolerance is added to a limit."""
    return Judgement(
        measure="balanced error rate",
        error=evaluation.network.balanced_error,
        naive="always saying one class",
        naive_error=1 - 1 / len(data.classes),
        others={"the support vector machine": evaluation.machine.balanced_error},
        warnings=tuple(_unrecognised(data.classes, evaluation)),
        comparison=hashlib.sha256(ImageData("", test.images, test.labels, data.classes).sha256().encode()).hexdigest(),
        limit=lambda error, tolerance: error + tolerance,
        rerun=rerun,
    )


def _unrecognised(classes: Sequence[str], evaluation: Evaluation) -> Iterator[str]:
    counts = evaluation.network.confusion.sum(axis=1)
    for name, recall, count in zip(classes, evaluation.network.recall, counts, strict=True):
        if recall == 0:
            yield f"class {name!r} is never recognised: recall 0 on {count} test images"


def _shapes(data: ImageData) -> dict[str, Any]:
    """The manifest's entries on what the model takes and gives."""
    height, width, channels = data.images.shape[1:]
    return {
        "input": {"height": height, "width": width, "channels": channels, "dtype": "float32", "range": [0, 255]},
        "output": {"classes": list(data.classes)},
    }


def _facts(report: Report, options: ClassifierOptions) -> dict[str, object]:
    data, parts = report.data, report.parts
    figures = metrics(report)
    return {
        "data": {
            "name": data.name,
            "sha256": data.sha256(),
            "examples": {"training": len(parts.training), "validation": len(parts.validation), "test": len(parts.test)},
            "notes": list(data.notes),
        },
        **_shapes(data),
        "metrics": {
            "accuracy": figures["network"]["accuracy"],
            "macro_f1": figures["network"]["macro_f1"],
            "calibration_error": figures["network"]["calibration_error"],
            "ood_auroc": {name: one.auroc for name, one in report.evaluation.refusals.items()},
            "baselines": {
                "support_vector_machine": figures["support_vector_machine"]["accuracy"],
                "majority_class": figures["majority_class"]["accuracy"],
            },
        },
        "training": {
            **dataclasses.asdict(options),
            "epochs_run": len(report.fitted.history["loss"]),
        },
    }
