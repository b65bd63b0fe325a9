"""The way of a trained model into the models folder; the same for every family.

Judged by the gate, written beside the published versions, reloaded in a fresh process and compared, then renamed.
"""

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.changes import check_change
from training.display import Display
from training.errors import PlaceError
from training.gate import Judgement, Verdict
from training.interrupts import ignore_interrupts
from training.judge import Judge
from training.manifest import EXTRA, write_manifest
from training.options import PublishOptions
from training.reference import SignatureStatistics, write_reference
from training.repository import Draft, draft
from training.savedmodel import weights_digest
from training.verify import Case, verifier
from training.warmup import write_warmup


@dataclass(frozen=True, slots=True)
class Candidate:
    """A trained and evaluated model, and all that publishing needs to know of it.

    Attributes:
        kind: `classifier` or `forecaster`.
        judgement: what the gate compares.
        facts: the family's entries of the manifest.
        methods: the method names of the signatures that have their own.
        cases: per signature, what the trained model answers on the whole test part.
        scale: the unit of the outputs, in which rounding is judged.
        reference: per signature, what its inputs and outputs look like.
        about_reference: of which data that is made, for people.
        export: writes the SavedModel into a folder, with weights of a dtype.
        variables: of the network that is exported.
        report: writes the model card, metrics and plots into a folder.
    """

    kind: str
    judgement: Judgement
    facts: Mapping[str, Any]
    methods: Mapping[str, str]
    cases: Mapping[str, Case]
    scale: float
    reference: Mapping[str, SignatureStatistics]
    about_reference: str
    export: Callable[[Path, str], None]
    variables: Sequence[Any]
    report: Callable[[Path, Verdict], None]


def publish(candidate: Candidate, options: PublishOptions, display: Display) -> Path:
    """Publishes a candidate.

    It is judged twice: before it is written, and once more while no other run can publish.

    Args:
        candidate: the model.
        options: where to, and under which conditions.
        display: shows the steps, and what the gate found.

    Returns:
        The folder of the new version.

    Raises:
        PublicationRefusedError: the gate said no.
        PlaceError: the models folder cannot be written to, or the disk is full.
        TrainingError: the exported model does not answer as the trained one.
    """
    judge = Judge(candidate.judgement, options, display)
    verdict = judge.verdict()
    _show(verdict, display)
    verdict.enforce()
    try:
        with verifier() as fresh_process, draft(options.models, options.name) as draft_:
            _write(candidate, verdict, draft_, display)
            display.step("Reloading it in a fresh process and comparing it with the trained model")
            fresh_process.check(draft_.folder, candidate.cases, scale=candidate.scale)
            return draft_.publish(lambda version: _seal(candidate, options, draft_, (judge, verdict, version)))
    except OSError as error:
        raise PlaceError.of(options.models, error) from error


def _write(candidate: Candidate, verdict: Verdict, draft_: Draft, display: Display) -> None:
    """Writes all of a version that does not depend on its number."""
    display.step("Exporting the SavedModel and its report")
    candidate.export(draft_.folder, "float32")
    extra = draft_.folder / EXTRA
    extra.mkdir(exist_ok=True)
    inputs = {signature: case.inputs for signature, case in candidate.cases.items()}
    write_warmup(extra, draft_.name, inputs=inputs, methods=candidate.methods)
    write_reference(draft_.folder, candidate.reference, about=candidate.about_reference)
    candidate.report(extra, verdict)


def _seal(candidate: Candidate, options: PublishOptions, draft_: Draft, found: tuple[Judge, Verdict, int]) -> None:
    """Judges by what is published now, and writes what says so."""
    judge, verdict, version = found
    check_change(options, {"kind": candidate.kind, **candidate.facts})
    now = judge.verdict()
    now.enforce()
    if now != verdict:
        candidate.report(draft_.folder / EXTRA, now)
    entries = _entries(candidate, now, options.name, version)
    write_manifest(draft_.folder, {**entries, "weights_sha256": weights_digest(draft_.folder)})
    ignore_interrupts()


def _show(verdict: Verdict, display: Display) -> None:
    for sentence in (*verdict.sentences(), *verdict.remarks):
        display.note(f"Quality gate: {sentence}")
    for sentence in verdict.warnings:
        display.warning(sentence)


def _entries(candidate: Candidate, verdict: Verdict, name: str, version: int) -> dict[str, Any]:
    judgement = candidate.judgement
    return {
        "kind": candidate.kind,
        "name": name,
        "version": version,
        **candidate.facts,
        "evaluation": {
            "measure": judgement.measure,
            "error": judgement.error,
            "comparison": judgement.comparison,
            "gate": verdict.result,
            "checks": list(verdict.sentences()),
            "remarks": list(verdict.remarks),
            "warnings": list(verdict.warnings),
        },
        "command": shlex.join(sys.argv[1:]),
    }
