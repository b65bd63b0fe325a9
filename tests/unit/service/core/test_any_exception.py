"""Whatever a backend raises: whoever asked for it is told, and nobody else."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from service.core.merging import _NotByRowsError
from service.core.tensors import Tensor
from service.errors import ErrorKind, GatewayError, OutdatedVersionError, as_gateway_error
from tests.batching import Merging

_MADE_OF = {
    UnicodeDecodeError: ("utf-8", b"\xff", 0, 1, "odd"),
    UnicodeEncodeError: ("utf-8", "\ud800", 0, 1, "odd"),
    UnicodeTranslateError: ("odd", 0, 1, "odd"),
}

_MODULES = ("asyncio", "builtins", "concurrent", "json", "ml_dtypes", "numpy", "orjson", "service", "struct")
"""Where a backend's exceptions come from; TensorFlow's own have a test of their own."""
_OF_ANOTHER_KIND = {OutdatedVersionError, _NotByRowsError}
"""The first is about the version, and has all requests resolved anew; the second is not for backends to raise."""


def _classes(of: type[BaseException]) -> Iterator[type[BaseException]]:
    for each in of.__subclasses__():
        yield each
        yield from _classes(each)


def _instances() -> Iterator[BaseException]:
    """Yields an exception of each class that can be made of a text, or of nothing."""
    classes = [cls for cls in set(_classes(Exception)) - _OF_ANOTHER_KIND if cls.__module__.startswith(_MODULES)]
    for cls in sorted(classes, key=lambda cls: f"{cls.__module__}.{cls.__qualname__}"):
        for arguments in (_MADE_OF.get(cls, ("odd",)), ()):
            with suppress(Exception):
                yield cls(*arguments)
                break


def test_there_are_many() -> None:
    found = list(_instances())
    assert len(found) > 50
    assert {UnicodeDecodeError, StopIteration, MemoryError, OSError} <= set(map(type, found))


async def outcomes_with(raised: BaseException, *, alone: bool = False) -> list[Any]:
    front = Merging()
    run = front.backend.run

    async def raising(*arguments: Any) -> dict[str, Tensor]:
        outputs = await run(*arguments)
        if 3 in arguments[2]["x"]:
            raise raised
        return outputs

    front.backend.run = raising  # type: ignore[assignment,method-assign]
    asked = [front.ask(3)] if alone else [front.ask(value) for value in range(6)]
    await front.settle()
    front.let(50)
    return await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 5)


async def test_one_request_of_a_batch_fails_alone_whatever_is_raised() -> None:
    for raised in (*_instances(), asyncio.CancelledError()):
        outcomes = await outcomes_with(raised)
        answers = [outcome for outcome in outcomes if isinstance(outcome, list)]
        assert answers == [[0], [2], [4], [8], [10]], type(raised)
        for error in (outcomes[3], *await outcomes_with(raised, alone=True)):
            assert isinstance(error, Exception), type(raised)
            told = as_gateway_error(error)
            assert told.kind in ErrorKind
            told.message.encode()


def test_half_a_character_in_an_error_can_be_told() -> None:
    error = GatewayError(ErrorKind.INTERNAL, "odd \ud800")
    assert (error.message, str(error)) == ("odd \\ud800", "odd \\ud800")
