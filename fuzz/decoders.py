"""Attacks the decoders, one after the other, each in a process of its own; goes on after a finding."""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from fuzz import corpora
from fuzz.figures import Figures
from fuzz.options import Options
from fuzz.registry import TARGETS
from fuzz.target import Target

_MOST_FINDINGS = 3
"""Of one decoder; more are mostly the same once more."""
_SLACK_SECONDS = 600
"""For a process to start and to end, on a machine that has other things to do."""
_DONE = re.compile(r"stat::number_of_executed_units: *(\d+)")
_PEAK = re.compile(r"stat::peak_rss_mb: *(\d+)")
_MEMORY = re.compile(r"^#(\d+)\s.*\brss: (\d+)Mb", re.MULTILINE)
_REACHED = re.compile(r"\bft: (\d+)")
_EARLY = 0.02
"""After this share of the inputs all code is loaded, and what grows from there on grows with the inputs."""


def attack_decoders(options: Options) -> Iterator[Figures]:
    """Yields the figures of each decoder that the options name."""
    chosen = [
        target for target in TARGETS if not options.targets or any(word in target.name for word in options.targets)
    ]
    whole, left = sum(target.weight for target in chosen), float(options.seconds)
    total = whole
    options.output.mkdir(parents=True, exist_ok=True)
    for target in chosen:
        begun = time.monotonic()
        inputs = max(1, options.inputs * target.weight // total)
        figures = _attacked(target, options, inputs, max(1.0, left * target.weight / whole))
        whole -= target.weight
        left -= time.monotonic() - begun
        tell(f"{target.name}: {figures.inputs:,} inputs in {figures.seconds:.0f} s, {len(figures.findings)} findings")
        yield figures


def tell(line: str) -> None:
    """Says how far it is."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stderr.flush()


def _attacked(target: Target, options: Options, inputs: int, seconds: float) -> Figures:
    figures = Figures(target.name)
    with tempfile.TemporaryDirectory(prefix="tensorgate-fuzz-") as name:
        corpus = Path(name) / "corpus"
        corpora.unpack(target.name, corpus)
        until = time.monotonic() + seconds
        while figures.inputs < inputs and len(figures.findings) < _MOST_FINDINGS and time.monotonic() < until:
            once = _run(target, options, inputs - figures.inputs, until - time.monotonic(), corpus)
            figures.add(once)
            if not once.findings:
                break
        if options.keep:
            corpora.keep(target.name, corpus)
    return figures


def _run(target: Target, options: Options, inputs: int, seconds: float, corpus: Path) -> Figures:
    """Runs the process until it ends, or is found to hang."""
    command = [
        sys.executable,
        "-m",
        "fuzz.decoder",
        target.name,
        "--inputs",
        inputs,
        "--seconds",
        max(1, round(seconds)),
    ]
    command += ["--limit", options.limit, "--seed", options.seed, "--corpus", corpus, "--findings", options.output]
    begun = time.monotonic()
    try:
        done = subprocess.run(
            [str(part) for part in command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=seconds + options.limit + _SLACK_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        said = (error.stdout or b"").decode(errors="replace")
        return _figures(target.name, "it does not end", said, time.monotonic() - begun)
    return _figures(target.name, done.returncode, done.stdout, time.monotonic() - begun)


def _figures(name: str, status: int | str, said: str, seconds: float) -> Figures:
    inputs = int(match[1]) if (match := _DONE.search(said)) else 0
    early = [int(memory) for number, memory in _MEMORY.findall(said) if int(number) >= inputs * _EARLY]
    peak = int(match[1]) if (match := _PEAK.search(said)) else 0
    return Figures(
        name,
        inputs,
        seconds,
        memory_before=early[0] if early else peak,
        memory_after=peak,
        reached=max(map(int, _REACHED.findall(said)), default=0),
        findings=[] if status == 0 else [_reason(status, said)],
    )


def _reason(status: int | str, said: str) -> str:
    """Returns the end of what the process said of its finding."""
    lines = [line for line in said.splitlines() if line and not line.startswith(("#", "stat::", "MS:", "0x"))]
    return f"status {status}:\n" + "\n".join(lines[-40:])
