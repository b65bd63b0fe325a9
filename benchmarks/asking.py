"""Asks a server and holds its answers against what the model says: a fast wrong answer is worth nothing."""

import http.client
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np

from benchmarks.processes import Process
from benchmarks.questions import REST, STREAM, Examples, Question

_TIMEOUT = 20.0
_READY_SECONDS = 120.0
_TOLERANCE = 1e-4
"""Of float32 scores: runtimes add up in different orders."""


class WrongAnswerError(Exception):
    """A server answered with something else; the message says what."""


def check(question: Question, address: str, examples: Examples, *, count: int | None = None) -> tuple[int, int]:
    """Asks about different images at once, and compares each answer with what the model says to that image.

    Args:
        question: What is asked.
        address: ``host:port``.
        examples: The images and what the model says.
        count: How many of them; by default all.

    Returns:
        How many bytes the shortest and the longest answer have.

    Raises:
        WrongAnswerError: When a server refused, could not be reached, or said anything else.
    """
    images = examples.images[:count]
    identifiers = [f"{9 * 10**15 + place}" for place in range(len(images))]
    messages = [question.put(image[None], name) for image, name in zip(images, identifiers, strict=True)]
    answers = _ask(question, address, messages)
    if len(answers) != len(messages):
        raise WrongAnswerError(f"{question.name}: {len(answers)} answers to {len(messages)} messages")
    for answer, identifier, expected in zip(answers, identifiers, examples.scores, strict=False):
        try:
            numbers = question.read(answer)
        except (ValueError, LookupError, TypeError) as error:
            raise WrongAnswerError(f"{question.name}: cannot be read: {error!r}") from None
        if numbers.shape != expected.shape or not np.allclose(numbers, expected, atol=_TOLERANCE):
            raise WrongAnswerError(f"{question.name}: {numbers} in place of {expected}")
        if question.has_id and identifier.encode() not in answer:
            raise WrongAnswerError(f"{question.name}: an answer without its request's id")
    sizes = [len(answer) for answer in answers]
    return min(sizes), max(sizes)


def wait_for_answer(question: Question, address: str, examples: Examples, server: Process) -> None:
    """Asks until an answer is right.

    Raises:
        WrongAnswerError: When none was in two minutes, or the server is gone.
    """
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        try:
            check(question, address, examples, count=1)
        except WrongAnswerError as error:
            if not server.alive:
                raise WrongAnswerError(f"the server ended: {server.last_line()}") from None
            if time.monotonic() > deadline:
                raise WrongAnswerError(f"no right answer in {_READY_SECONDS:.0f} s: {error}") from None
            time.sleep(0.05)
        else:
            return


def _ask(question: Question, address: str, messages: list[bytes]) -> list[bytes]:
    try:
        if question.kind == REST:
            with ThreadPoolExecutor(len(messages)) as pool:
                return list(pool.map(lambda body: _post(question.path, address, body), messages))
        # A new channel each time: one that failed waits longer and longer before it connects again.
        with grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            if question.kind == STREAM:
                stream: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(question.path)
                return list(stream(iter(messages), timeout=_TIMEOUT))
            call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(question.path)
            calls = [call.future(message, timeout=_TIMEOUT) for message in messages]
            return [future.result() for future in calls]
    except grpc.RpcError as error:
        raise WrongAnswerError(f"{error.code().name}: {error.details()}") from None
    except (OSError, http.client.HTTPException) as error:
        raise WrongAnswerError(f"{type(error).__name__}: {error}") from None


def _post(path: str, address: str, body: bytes) -> bytes:
    connection = http.client.HTTPConnection(address, timeout=_TIMEOUT)
    try:
        connection.request("POST", path, body, {"content-type": "application/json"})
        response = connection.getresponse()
        answer = response.read()
    finally:
        connection.close()
    if response.status != http.HTTPStatus.OK:
        raise WrongAnswerError(f"{response.status}: {answer[:200].decode(errors='replace')}")
    return answer
