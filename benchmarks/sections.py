"""Runs the sections of the benchmark, one after the other."""

import json
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks import environment
from benchmarks.findings import Findings
from benchmarks.growth import measure_growth
from benchmarks.json_decoding import measure_decoding
from benchmarks.models import SMALL
from benchmarks.native_questions import CLASSIFIER, FORECASTER, classify_questions, forecast_questions
from benchmarks.options import Options
from benchmarks.processes import ROOT
from benchmarks.questions import OIP_REST, OIP_RPC
from benchmarks.results import Compared, Row
from benchmarks.rounds import FAILURES, compare, tell
from benchmarks.servers import Server
from benchmarks.soak import measure_memory
from benchmarks.streaming import measure_streaming
from benchmarks.workspace import Workspace

_ROUNDS_ASIDE = 2
DEFAULT_MODELS, LARGE_MODEL = "the default models", "224x224x3"


def run(work: Workspace, options: Options, findings: Findings) -> None:
    """Measures what the options ask for, and puts it into the findings."""
    if options.only:
        findings.peers_call, findings.rounds, findings.seconds = options.peers_call, options.rounds, options.seconds
        findings.concurrencies = options.concurrencies
    for section in options.only:
        findings.dates[section] = environment.now()
    if options.groups:
        findings.compared = Compared()
        compare(work.servers(options), options, findings.compared)
    if "limits" in options.only and not options.servers:
        findings.loops = _bare_loops(work, options)
    # These take fewer rounds, that all of it may end in time, and no fixed rate.
    aside = replace(options, only=(), rounds=min(options.rounds, _ROUNDS_ASIDE))
    if "streaming" in options.only:
        findings.streams = Compared()
        measure_streaming(work, aside, findings.streams)
    if "models" in options.only:
        findings.models = Compared()
        compare(_other_models(work, options, findings.models), aside, findings.models)
        asked = {"28x28x1": work.ask[OIP_REST], LARGE_MODEL: work.ask_large[OIP_REST]}
        findings.decoding = {name: measure_decoding(question, options.seconds) for name, question in asked.items()}
    if "growth" in options.only:
        findings.growth = measure_growth(work, options)
    if "soak" in options.only:
        try:
            findings.soak = measure_memory(work)
        except FAILURES as error:
            tell(f"soak: {error}")


def _bare_loops(work: Workspace, options: Options) -> dict[str, dict[int, list[float]]]:
    found: dict[str, dict[int, list[float]]] = {}
    for number in range(options.rounds):
        tell(f"bare loop, {number + 1} of {options.rounds}")
        folder = work.models / SMALL / "1"
        command = [sys.executable, "-m", "benchmarks.bare_loop", str(folder), str(options.seconds / 2)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            tell(f"  failed: {done.stderr.strip()[-300:]}")
            continue
        for call, rates in json.loads(done.stdout).items():
            for batch, rate in rates.items():
                found.setdefault(call, {}).setdefault(int(batch), []).append(rate)
    return found


def _other_models(work: Workspace, options: Options, results: Compared) -> list[Server]:
    start = work.starter
    large = (work.ask_large[OIP_RPC], work.ask_large[OIP_REST])
    servers = [Server(LARGE_MODEL, "models", large, partial(start.tensorgate, models=work.large_models))]
    missing = [name for name in (CLASSIFIER, FORECASTER) if not (options.models / name).is_dir()]
    if missing:
        results.reasons[Row(DEFAULT_MODELS, "")] = f"not in {options.models}: {', '.join(missing)} (make train)"
        return servers
    questions = (*classify_questions(work.folder), *forecast_questions(work.folder))
    served: Path = options.models.resolve()
    return [*servers, Server(DEFAULT_MODELS, "models", questions, partial(start.tensorgate, models=served))]
