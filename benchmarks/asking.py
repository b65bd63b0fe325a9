"""Asks a server once and holds the answer against what the model says: a fast wrong answer is worth nothing."""

import http.client
import time

import grpc
import numpy as np

from benchmarks.processes import Process
from benchmarks.questions import Question

_TIMEOUT = 20.0
_READY_SECONDS = 60.0
_TOLERANCE = 1e-4
"""Of float32 scores: runtimes add up in different orders."""


class WrongAnswerError(Exception):
    """A server answered with something else; the message says what."""


def ask(question: Question, address: str) -> bytes:
    """Returns the answer; of gRPC, the message.

    Raises:
        WrongAnswerError: When the server refused, or could not be reached.
    """
    try:
        return _call(question, address) if question.is_grpc else _post(question, address)
    except grpc.RpcError as error:
        raise WrongAnswerError(f"{error.code().name}: {error.details()}") from None
    except (OSError, http.client.HTTPException) as error:
        raise WrongAnswerError(f"{type(error).__name__}: {error}") from None


def check(question: Question, address: str) -> int:
    """Asks, compares the numbers with those expected, and returns how many bytes of data such an answer has.

    Raises:
        WrongAnswerError: When the answer is not what the model says.
    """
    answer = ask(question, address)
    if question.expected is not None:
        try:
            numbers = question.read(answer)
        except (ValueError, LookupError, TypeError) as error:
            raise WrongAnswerError(f"{question.name}: cannot be read: {error!r}") from None
        if numbers.shape != question.expected.shape or not np.allclose(numbers, question.expected, atol=_TOLERANCE):
            raise WrongAnswerError(f"{question.name}: {numbers} in place of {question.expected}")
    return len(answer) + (5 if question.is_grpc else 0)


def wait_for_answer(question: Question, address: str, server: Process) -> None:
    """Asks until an answer is right.

    Raises:
        WrongAnswerError: When none was in a minute, or the server is gone.
    """
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        try:
            check(question, address)
        except WrongAnswerError as error:
            if not server.alive:
                raise WrongAnswerError(f"the server ended: {server.last_line()}") from None
            if time.monotonic() > deadline:
                raise WrongAnswerError(f"no right answer in {_READY_SECONDS:.0f} s: {error}") from None
            time.sleep(0.05)
        else:
            return


def _call(question: Question, address: str) -> bytes:
    # A new channel each time: one that failed waits longer and longer before it connects again.
    with grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(question.path)
        return call(question.message, timeout=_TIMEOUT)


def _post(question: Question, address: str) -> bytes:
    connection = http.client.HTTPConnection(address, timeout=_TIMEOUT)
    try:
        connection.request("POST", question.path, question.message, {"content-type": "application/json"})
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status != http.HTTPStatus.OK:
        raise WrongAnswerError(f"{response.status}: {body[:200].decode(errors='replace')}")
    return body
