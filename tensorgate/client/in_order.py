"""Several calls at a time, their answers in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    threads: ThreadPoolExecutor, ask: Callable[[Item], Result], items: Iterable[Item], at_a_time: int
) -> Iterator[Result]:
    """Yields what is answered to each item, in their order; once one fails, no other is begun."""
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            if len(waiting) >= at_a_time:
                yield waiting.popleft().result()
            waiting.append(threads.submit(ask, item))
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
