"""The way of a trained model into the models folder; the same for every family.

Judged by the gate, written beside the published versions, reloaded in a fresh process and compared, then renamed.
"""

import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.display import Display
from training.gate import Bar, Verdict
from training.interrupts import ignore_interrupts
from training.manifest import EXTRA, read_manifest, write_manifest
from training.options import PublishOptions
from training.reference import SignatureStatistics, write_reference
from training.repository import draft, version_folder, versions
from training.verify import Case, verifier
from training.warmup import write_warmup


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the quality gate compares.

    Attributes:
        measure: names the error in a sentence.
        error: the model's, on the test part; smaller is better.
        naive: names the naive baseline.
        naive_error: the baseline's, on the same part.
        comparison: the hash of all that the error is measured on; errors are comparable when it is equal.
        limit: from the published version's error and the tolerance, the largest error allowed.
    """

    measure: str
    error: float
    naive: str
    naive_error: float
    comparison: str
    limit: Callable[[float, float], float]


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
        export: writes the SavedModel into a folder.
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
    export: Callable[[Path], None]
    report: Callable[[Path, Verdict], None]


def publish(candidate: Candidate, options: PublishOptions, display: Display) -> Path:
    """Publishes a candidate.

    Args:
        candidate: the model.
        options: where to, and under which conditions.
        display: shows the steps.

    Returns:
        The folder of the new version.

    Raises:
        PublicationRefusedError: the gate said no.
        TrainingError: the exported model does not answer as the trained one.
    """
    verdict = judge(candidate.judgement, options)
    verdict.enforce()

    def seal(version: int) -> None:
        write_manifest(draft_.folder, _entries(candidate, verdict, options.name, version))
        ignore_interrupts()

    with verifier() as fresh_process, draft(options.models, options.name) as draft_:
        display.step("Exporting the SavedModel and its report")
        candidate.export(draft_.folder)
        extra = draft_.folder / EXTRA
        extra.mkdir(exist_ok=True)
        inputs = {signature: case.inputs for signature, case in candidate.cases.items()}
        write_warmup(extra, options.name, inputs=inputs, methods=candidate.methods)
        write_reference(draft_.folder, candidate.reference, about=candidate.about_reference)
        candidate.report(extra, verdict)
        display.step("Reloading it in a fresh process and comparing it with the trained model")
        fresh_process.check(draft_.folder, candidate.cases, scale=candidate.scale)
        return draft_.publish(seal)


def judge(judgement: Judgement, options: PublishOptions) -> Verdict:
    """Compares a model with the naive baseline and, where the data are the same, with the published version."""
    bars = [Bar(judgement.naive, judgement.naive_error, judgement.naive_error)]
    if published := versions(options.models, options.name):
        manifest = read_manifest(version_folder(options.models, options.name, published[-1])) or {}
        theirs = manifest.get("evaluation", {})
        if theirs.get("comparison") == judgement.comparison:
            error = float(theirs["error"])
            bars.append(Bar(f"published version {published[-1]}", error, judgement.limit(error, options.tolerance)))
    return Verdict(judgement.measure, judgement.error, tuple(bars), options.force)


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
        },
        "command": shlex.join(sys.argv[1:]),
    }
