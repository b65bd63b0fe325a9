"""Requests that were resolved to a version which left the backend meanwhile: they are answered anew, once."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from service.errors import OutdatedVersionError

AnswerT = TypeVar("AnswerT")


async def answered_anew(answer: Callable[[], Awaitable[AnswerT]]) -> AnswerT:
    """Returns the answer; where its version turns out to be gone, that of a second try, which resolves it anew.

    A request that named no version is then answered by the next one, and one that did is told that it is gone.

    Args:
        answer: Resolves the request and answers it; may be called twice.

    Raises:
        Exception: What ``answer`` raises.
    """
    try:
        return await answer()
    except OutdatedVersionError:
        pass  # the second try is made out here, so that its errors do not refer to the first
    return await answer()
