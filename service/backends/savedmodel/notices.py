"""Logs problems of the models folders, each once, when it comes up."""

import logging
from collections.abc import Iterable, Mapping, Sequence

logger = logging.getLogger(__name__)


class Notices:
    """Logs what is wrong with the folders, or will not be served, unless it was so at the last look."""

    def __init__(self) -> None:
        self._problems: set[str] = set()
        self._notes: set[str] = set()
        self._hinted: Mapping[str, str] | None = None  # what the last look found misplaced

    def tell_problems(self, problems: Iterable[str]) -> None:
        """Logs what cannot be read."""
        found = set(problems)
        for problem in sorted(found - self._problems):
            logger.error(problem)
        self._problems = found

    def tell(
        self,
        *,
        misplaced: Mapping[str, str],
        missing: Mapping[str, Sequence[str]],
        came_unloaded: Iterable[tuple[str, int]],
    ) -> None:
        """Logs what is not served although somebody may expect it.

        Args:
            misplaced: Why nothing of a folder is served, by the folder's name.
            missing: By model: the versions that are to be served and are missing, those on disk, and those served.
            came_unloaded: Versions that have come since a client unloaded their model.
        """
        # A copy in progress looks misplaced for a moment, so only what is seen twice is logged, except at the start.
        told = misplaced.items() if self._hinted is None else misplaced.items() & self._hinted.items()
        notes = {f"nothing of {name} is served: {hint}" for name, hint in told}
        self._hinted = misplaced
        for name, (wanted, there, served) in missing.items():
            notes.add(
                f"version {wanted} of model {name} is to be served and not there; on disk: {there}; served: {served}"
            )
        for name, number in came_unloaded:
            notes.add(f"version {number} of model {name} has come; a client unloaded the model: load it to serve it")
        for note in sorted(notes - self._notes):
            logger.warning(note)
        self._notes = notes
