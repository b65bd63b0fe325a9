"""A candidate whose weights are stored in fewer bits: measured beside the same in float32, and judged by that."""

import dataclasses
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from training.display import Display
from training.errors import PlaceError
from training.gate import Rival, Verdict
from training.options import PublishOptions
from training.pipeline import Candidate
from training.storage import stored
from training.storage_report import Comparison, compared, widened_answers
from training.verify import Case, verifier

_SIGNATURE = "serving_default"


def narrowed(candidate: Candidate, options: PublishOptions, display: Display) -> Candidate:
    """Makes one that is exported with weights of the dtype that is asked for.

    Its error is that of what is exported, on the test part, and the gate holds it against the model in float32, too.

    Args:
        candidate: the trained model, which computes in float32.
        options: with the dtype.
        display: shows the step, and what was found.

    Raises:
        TrainingError: exported in float32, it does not answer as the trained model.
        PlaceError: it cannot be written for the measuring.
    """
    dtype = options.export_dtype
    display.step(f"Measuring what weights in {dtype} cost and gain")
    found, cases = _measured(candidate, dtype)
    display.table(f"Weights in {dtype}", *found.rows())
    judgement = candidate.judgement

    def rerun(published: Path, manifest: Mapping[str, Any]) -> Rival:
        rival = judgement.rerun(published, manifest)
        # On part of the test part it is taken to be as much worse as on the whole of it.
        return dataclasses.replace(rival, own=rival.own + found.narrow.error - found.full.error)

    return dataclasses.replace(
        candidate,
        judgement=dataclasses.replace(
            judgement,
            error=found.narrow.error,
            rerun=rerun,
            bars=(*judgement.bars, found.bar(judgement, options.tolerance)),
        ),
        cases=cases,
        facts={**candidate.facts, "weights": found.as_metrics()},
        export=lambda folder, _: candidate.export(folder, dtype),
        report=lambda folder, verdict: _report(candidate, found, folder, verdict),
    )


def _measured(candidate: Candidate, dtype: str) -> tuple[Comparison, dict[str, Case]]:
    """What weights of a dtype cost and gain, and what the signatures then answer."""
    with verifier() as fresh_process, _exported(candidate, "float32", dtype) as (full, narrow):
        fresh_process.check(full, candidate.cases, scale=candidate.scale)
        found = compared(dtype, narrow, full, candidate.judgement, candidate.cases[_SIGNATURE])
        values = [one.widened() for one in stored(candidate.variables, dtype)]
        return found, widened_answers(full, values, candidate.cases)


@contextmanager
def _exported(candidate: Candidate, *dtypes: str) -> Iterator[list[Path]]:
    """Exports it with weights in each dtype, to folders that are deleted in the end.

    Raises:
        PlaceError: a folder cannot be written to.
    """
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tensorgate-narrowed-"))
            folders = [Path(folder) / dtype for dtype in dtypes]
            for path, dtype in zip(folders, dtypes, strict=True):
                candidate.export(path, dtype)
        except OSError as error:
            where = error.filename or "the folder for temporary files"
            raise PlaceError(f"{where}: cannot be written to: {error.strerror or error}") from error
        yield folders


def _report(candidate: Candidate, found: Comparison, folder: Path, verdict: Verdict) -> None:
    """The report of the trained model, and what its weights cost and gain."""
    candidate.report(folder, verdict)
    with (folder / "model_card.md").open("a", encoding="utf-8") as card:
        card.write(found.section())
    path = folder / "metrics.json"
    metrics = {**json.loads(path.read_text(encoding="utf-8")), "weights": found.as_metrics()}
    path.write_text(json.dumps(metrics, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
