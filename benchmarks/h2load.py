"""A burst of load by h2load, which cross-checks our own load generator. To it all requests of a process are one file.

So unary calls come from several processes with a message each, and a call of a stream has different messages, which
come again with the next call.
"""

import re
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from benchmarks.load import LoadError, Measured
from benchmarks.questions import SHAPE, STREAM, Question

_PROCESSES = 8
_PREFIX_BYTES = 5
_TOLERANCE = 0.02
"""Of the data an answer: of the last answers some has come and is not counted as answered."""
_RATE = re.compile(r"finished in [^,]+, ([\d.]+) req/s")
_COUNTS = re.compile(r"requests: .*?(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout")
_DATA = re.compile(r"\((\d+)\) data")


def burst(question: Question, address: str, sizes: tuple[int, int], *, concurrency: int, seconds: float) -> Measured:
    """Asks a gRPC question for that long.

    Args:
        question: What is asked.
        address: ``host:port``.
        sizes: Bytes of the shortest and of the longest right answer that was seen.
        concurrency: Calls at a time; of a stream, messages of each call, one call after the other.
        seconds: Of the burst, in whole seconds; h2load does not part the data of a warm-up from the rest.

    Raises:
        LoadError: When an answer was not right.
    """
    processes, each = (1, concurrency) if question.kind == STREAM else (_PROCESSES, 1)
    streams = 1 if question.kind == STREAM else concurrency // processes
    random = np.random.default_rng()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        started = []
        for process in range(processes):
            file = Path(folder, str(process))
            images = random.random((each, 1, *SHAPE), np.float32)
            numbers = [f"{number:016}" for number in random.integers(10**16, size=each)]
            messages = [question.sent(image, name, address) for image, name in zip(images, numbers, strict=True)]
            file.write_bytes(b"".join(messages))
            command = ["h2load", "-t1", "-c1", f"-m{streams}", f"-D{max(1, round(seconds))}"]
            command += ["-d", str(file), "-H", "content-type: application/grpc", "-H", "te: trailers"]
            command += [f"http://{address}{question.path}"]
            started.append(
                stack.enter_context(
                    subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                )
            )
        seen = [parse(run.communicate()[0], each, sizes) for run in started]
    return Measured(sum(of.rate for of in seen), None, None, sum(of.answers for of in seen))


def parse(printed: str, messages: int, sizes: tuple[int, int]) -> Measured:
    """Reads what h2load printed.

    A refused gRPC call is a success to it, and shorter: so the data of an answer are held against a right one's.

    Args:
        printed: By one process.
        messages: Of each call.
        sizes: Bytes of the shortest and of the longest right answer.

    Raises:
        LoadError: When not every call succeeded, or answers have another size.
    """
    rate, counts, data = (pattern.search(printed) for pattern in (_RATE, _COUNTS, _DATA))
    if rate is None or counts is None or data is None:
        raise LoadError(f"h2load failed: {printed.strip()[-300:]}")
    succeeded, *failed = map(int, counts.groups())
    if any(failed) or not succeeded:
        raise LoadError(f"{sum(failed)} calls failed")
    each = int(data[1]) / (succeeded * messages) - _PREFIX_BYTES
    if not sizes[0] * (1 - _TOLERANCE) <= each <= sizes[1] * (1 + _TOLERANCE):
        raise LoadError(f"answers of {each:.1f} bytes, where a right one has {sizes[0]}")
    return Measured(float(rate[1]) * messages, None, None, succeeded * messages)
