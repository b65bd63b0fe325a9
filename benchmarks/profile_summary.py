"""Sums up what a sampling profiler saw."""

from collections import Counter
from collections.abc import Iterable, Iterator

_SHOWN = 30


def summary(stacks: Iterable[str]) -> str:
    """Returns two tables: the functions in which most time was spent, and those below which it was.

    Args:
        stacks: As py-spy writes them: frames from the outermost on, parted by semicolons, and how often it was seen.
    """
    own: Counter[str] = Counter()
    below: Counter[str] = Counter()
    for frames, count in _parsed(stacks):
        own[frames[-1]] += count
        below.update(dict.fromkeys(frames, count))  # once, however often it calls itself
    seen = own.total()
    parts = []
    for title, counted in (("in the function itself", own), ("in it and below it", below)):
        lines = [f"{100 * count / seen:5.1f} %  {name}" for name, count in counted.most_common(_SHOWN)]
        parts.append(f"{title}, of {seen:,} samples\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def _parsed(stacks: Iterable[str]) -> Iterator[tuple[list[str], int]]:
    for line in stacks:
        frames, _, count = line.rpartition(" ")
        if frames:
            yield frames.split(";"), int(count)
