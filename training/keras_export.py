"""Publishes a Keras model of one's own so that the server knows what it is for: ``tensorgate.export``."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.changes import changed_promises
from training.classifier import export as classifier
from training.errors import PublicationRefusedError, TrainingError
from training.forecaster import export as forecaster
from training.manifest import EXTRA, write_manifest
from training.repository import draft, versions
from training.signature_change import broken_by
from training.verify import Case, verifier
from training.warmup import write_warmup

Kind = Literal["generic", "classifier", "forecaster"]

_ROWS = 4  # that the exported model must answer as the one in memory does
_FREE_SIZE = 3  # of a dimension that the model leaves open


class _Plan:
    """How a model is written, what the written one must answer, and what its manifest says beside that."""

    def __init__(
        self,
        write: Callable[[Path], None],
        cases: Mapping[str, Case],
        methods: Mapping[str, str],
        entries: Mapping[str, Any] | None = None,
    ) -> None:
        self.write = write
        self.cases = cases
        self.methods = methods
        self.entries = entries or {}


def export(
    model: keras.Model,
    path: str | Path,
    *,
    kind: Kind = "generic",
    classes: Sequence[str] | None = None,
    quantile_levels: Sequence[float] = (),
    allow_change: bool = False,
) -> Path:
    """Publishes a model as its next version, whole or not at all, once a fresh process has answered as it does.

    Args:
        model: built, with known shapes but for the rows.
        path: ``models/NAME``: the models folder, and what the model is called.
        kind: ``generic`` for the generic protocols alone; ``classifier`` for a model from raw pixels float32 [N,H,W,C],
            0 to 255, C being 1 or 3, to probabilities [N,K], which then takes image files as well; ``forecaster`` for
            one from a history float32 [N,T] or [N,T,F] to the next steps [N,H].
        classes: names of a classifier's K classes, in the order of its scores.
        quantile_levels: ascending, where a forecaster gives quantiles: [N,H,Q]. The one nearest to 0.5 is its forecast.
        allow_change: publish even a model that is of another kind, has another image size or other classes, or refuses
            what the newest version of the name takes.

    Returns:
        The folder of the version.

    Raises:
        PublicationRefusedError: clients of the newest version would have to change.
        TrainingError: the model is not of that kind, or the exported one answers otherwise.
        OSError: the folder cannot be written to; nothing was published.
    """
    target = Path(path)
    if target.name in {"", ".", ".."} or target.name.startswith("."):
        raise TrainingError(f"path: expected models/NAME, got {str(path)!r}")
    if kind == "classifier":
        plan = _classifier(model, classes)
    elif kind == "forecaster":
        plan = _forecaster(model, quantile_levels)
    elif kind == "generic":
        plan = _generic(model)
    else:
        raise TrainingError(f"kind: expected generic, classifier or forecaster, got {kind!r}")
    with verifier() as fresh_process, draft(target.parent, target.name) as draft_:
        plan.write(draft_.folder)
        if not allow_change:
            _check_change(target, draft_.folder, {"kind": kind, **plan.entries})
        extra = draft_.folder / EXTRA
        extra.mkdir(exist_ok=True)
        inputs = {signature: case.inputs for signature, case in plan.cases.items()}
        write_warmup(extra, target.name, inputs=inputs, methods=plan.methods)
        fresh_process.check(draft_.folder, plan.cases, scale=1.0)
        entries = {"kind": kind, "name": target.name, **plan.entries}
        return draft_.publish(lambda version: write_manifest(draft_.folder, {**entries, "version": version}))


def _check_change(target: Path, folder: Path, entries: Mapping[str, Any]) -> None:
    """Compares what is to be published with the newest version of the name.

    Raises:
        PublicationRefusedError: clients would have to change.
    """
    published = versions(target.parent, target.name)
    if not published:
        return
    newest = target / str(published[-1])
    changes = changed_promises(newest, entries)
    if broken := broken_by(newest, folder):
        changes.append(broken)
    if changes:
        raise PublicationRefusedError(
            f"not published: beside version {published[-1]} in {target}, {'; '.join(changes)}; choose another name, or "
            "say allow_change=True"
        )


def _classifier(model: keras.Model, classes: Sequence[str] | None) -> _Plan:
    shape, scores = _shapes(model, "classifier")
    if len(shape) != 4 or None in shape[1:] or shape[3] not in {1, 3}:
        raise TrainingError(f"a classifier takes images [N,H,W,C], C being 1 or 3; this model takes {_text(shape)}")
    if len(scores) != 2 or scores[1] is None:
        raise TrainingError(f"a classifier gives scores [N,K]; this model gives {_text(scores)}")
    names = list(map(str, classes or ()))
    if len(names) != scores[1]:
        raise TrainingError(f"classes: expected the names of {scores[1]} classes, got {len(names) or 'none'}")
    sizes = [size or 0 for size in shape[1:]]
    images = np.random.default_rng(0).integers(0, 256, (_ROWS, *sizes)).astype(np.uint8)
    answered = np.asarray(model(images.astype(np.float32), training=False))
    if not np.allclose(answered.sum(axis=1), 1, atol=1e-3):
        sums = ", ".join(f"{total:.3g}" for total in answered.sum(axis=1))
        raise TrainingError(
            f"scores: expected probabilities, which add up to 1, got sums of {sums}; where the model gives logits, "
            "keras.layers.Softmax() has to follow"
        )
    cases = classifier.cases(images, {"scores": answered}, names)
    height, width, channels = sizes
    entries = {
        "input": {"height": height, "width": width, "channels": channels},
        "output": {"classes": names},
    }
    return _Plan(lambda folder: classifier.export(model, names, folder), cases, classifier.METHODS, entries)


def _forecaster(model: keras.Model, quantile_levels: Sequence[float]) -> _Plan:
    shape, steps = _shapes(model, "forecaster")
    levels = [float(level) for level in quantile_levels]
    if levels != sorted(set(levels)) or not all(0 < level < 1 for level in levels):
        raise TrainingError(f"quantile_levels: expected levels between 0 and 1, ascending, got {levels}")
    if len(shape) not in {2, 3} or None in shape[1:]:
        raise TrainingError(f"a forecaster takes a history [N,T] or [N,T,F]; this model takes {_text(shape)}")
    expected = "[N,H,Q]" if levels else "[N,H]"
    if len(steps) != (3 if levels else 2) or None in steps[1:] or (levels and steps[2] != len(levels)):
        raise TrainingError(f"a forecaster gives {expected}, Q being {len(levels)}; this model gives {_text(steps)}")
    middle = min(range(len(levels)), key=lambda index: abs(levels[index] - 0.5)) if levels else 0

    def forecast(history: Any) -> tuple[Any, Any]:
        outputs = model(history, training=False)
        if levels:
            return outputs[:, :, middle], outputs
        return outputs, tf.ensure_shape(tf.zeros([tf.shape(outputs)[0], steps[1], 0]), [None, steps[1], 0])

    sizes = [size or 0 for size in shape[1:]]
    history = np.random.default_rng(0).normal(size=(_ROWS, *sizes)).astype(np.float32)
    answered, quantiles = (np.asarray(value) for value in forecast(tf.constant(history)))
    exported = forecaster.Exported(forecast, sizes, levels, model.variables)
    cases = forecaster.cases(history, answered, quantiles, levels)
    return _Plan(lambda folder: forecaster.export(exported, folder), cases, forecaster.METHODS)


def _generic(model: keras.Model) -> _Plan:
    random = np.random.default_rng(0)
    inputs = {tensor.name: _rows(tensor, random) for tensor in model.inputs}
    # As the model takes them: one, a list, or a mapping; a Sequential tells of no form, and takes one.
    form = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    answer = model(keras.tree.map_structure(lambda tensor: inputs[tensor.name], form), training=False)
    outputs = answer if isinstance(answer, dict) else dict(_numbered(answer))
    case = Case(inputs, {name: np.asarray(value) for name, value in outputs.items()})

    def write(folder: Path) -> None:
        model.export(str(folder), format="tf_saved_model", verbose=False)

    return _Plan(write, {"serving_default": case}, {})


def _numbered(answer: Any) -> list[tuple[str, Any]]:
    """Returns outputs by the names that Keras gives those that have none."""
    several = answer if isinstance(answer, list | tuple) else [answer]
    return [(f"output_{index}", value) for index, value in enumerate(several)]


def _rows(tensor: Any, random: np.random.Generator) -> NDArray[Any]:
    shape = (_ROWS, *(size or _FREE_SIZE for size in tensor.shape[1:]))
    dtype = np.dtype(keras.backend.standardize_dtype(tensor.dtype))
    return (
        random.integers(0, 2, shape).astype(dtype) if dtype.kind in "iub" else random.normal(size=shape).astype(dtype)
    )


def _shapes(model: keras.Model, kind: str) -> tuple[tuple[int | None, ...], tuple[int | None, ...]]:
    """Returns the shapes of the one input and the one output."""
    if not model.built:
        raise TrainingError("model: expected one that is built; call it once, or give it a keras.Input")
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        counts = f"{len(model.inputs)} and {len(model.outputs)}"
        raise TrainingError(f"a {kind} has one input and one output; this model has {counts}")
    return tuple(model.inputs[0].shape), tuple(model.outputs[0].shape)


def _text(shape: Sequence[int | None]) -> str:
    return f"[{','.join('N' if size is None else str(size) for size in shape)}]"
