"""A model's latencies while a large version of another one is loaded beside it."""

import json
import shutil
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from benchmarks.asking import check, wait_for_answer
from benchmarks.load import LoadError, Measured, burst
from benchmarks.processes import ROOT
from benchmarks.questions import OIP_RPC
from benchmarks.results import Figure, Results
from benchmarks.rounds import tell
from benchmarks.servers import BASELINE, TENSORGATE, Running, Starter

VARIABLES = 1500
"""Of the large version."""
CALLERS = (1, 8)
"""Requests at a time."""
USUALLY, MEANWHILE = "usual", "while it loads"
LATENCIES = ("p50", "p99", "worst")
_LARGE = "large"
_USUAL_SECONDS, _LOADING_SECONDS = 2.0, 40.0
_BEFORE_SECONDS = 1.5
"""From the start of a burst until the version is there: its first second does not count."""


def measure_loading(start: Starter, large: Path, results: Results) -> None:
    """Adds latencies as they usually are and while the large version loads, of each round.

    Raises:
        LoadError: When a request failed, or the version was not loaded in time.
        WrongAnswerError: When a server did not start.
    """
    checkouts = {TENSORGATE: ROOT} | ({BASELINE: start.options.baseline} if start.options.baseline else {})
    for number in range(start.options.rounds):
        for server, checkout in checkouts.items():
            tell(f"round {number + 1} of {start.options.rounds}: {server}, while a large version loads")
            try:
                with start.tensorgate("--poll-seconds", "0.2", checkout=checkout) as running:
                    wait_for_answer(OIP_RPC, running.grpc, start.examples, running.server)
                    asked = _Asked(start, running, large)
                    for callers in CALLERS:
                        for when, seen in ((USUALLY, asked.usually(callers)), (MEANWHILE, asked.meanwhile(callers))):
                            for what in LATENCIES:
                                of = Figure(server, f"{when}: {what}", OIP_RPC.name, callers)
                                results.add(number, of, getattr(seen, what))
            finally:
                shutil.rmtree(start.models / _LARGE, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A server that is asked while the large version is published."""

    start: Starter
    running: Running
    large: Path

    def usually(self, callers: int) -> Measured:
        sizes = check(OIP_RPC, self.running.grpc, self.start.examples)
        return burst(OIP_RPC, self.running.grpc, sizes, concurrency=callers, seconds=_USUAL_SECONDS)

    def meanwhile(self, callers: int) -> Measured:
        """Asks until the version with the number of callers is loaded."""
        sizes = check(OIP_RPC, self.running.grpc, self.start.examples)
        version = self.start.models / _LARGE / str(callers)
        publish_at = time.monotonic() + _BEFORE_SECONDS

        def enough() -> bool:
            if time.monotonic() > publish_at and not version.exists():
                shutil.copytree(self.large, partial := version.with_name(f".{version.name}.partial"))
                partial.rename(version)
            return self._is_loaded(callers)

        seen = burst(OIP_RPC, self.running.grpc, sizes, concurrency=callers, seconds=_LOADING_SECONDS, enough=enough)
        if not self._is_loaded(callers):
            raise LoadError(f"the large version was not loaded in {_LOADING_SECONDS:g} s")
        return seen

    def _is_loaded(self, version: int) -> bool:
        url = f"http://{self.running.rest}/v1/models/{_LARGE}/versions/{version}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return bool(json.load(answer)["model_version_status"][0]["state"] == "AVAILABLE")
        except urllib.error.HTTPError:
            return False  # it has not been found yet
