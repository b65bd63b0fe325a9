"""What was to answer while versions came and went, and whether an answer is one of those."""

from tests.version_clients import Told


class History:
    """What was to answer, one after the other."""

    def __init__(self, first: Told) -> None:
        self._all: list[Told] = [first]
        self._settled = 0

    def begin(self, *told: Told) -> None:
        """From now on these may come, one after the other."""
        self._all += told

    def settle(self) -> None:
        """Whoever asks from now on gets the last."""
        self._settled = len(self._all) - 1

    @property
    def now(self) -> int:
        """Whoever asks now gets this one, or a later one."""
        return self._settled

    def check(self, told: Told, since: int) -> None:
        """Checks an answer to a request that began then; those who ask from now on get nothing older."""
        allowed = self._all[since:]
        found = [since + index for index, each in enumerate(allowed) if _fits(told, each)]
        assert found, f"{told} is none of {allowed}"
        self._settled = max(self._settled, found[0])


def _fits(told: Told, expected: Told) -> bool:
    if isinstance(told, str) or isinstance(expected, str):
        return told == expected
    return told[1] == expected[1] and told[0] in (None, expected[0])
