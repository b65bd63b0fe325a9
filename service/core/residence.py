"""Whether a version is in memory: where that is bounded, one that nobody uses may leave it until it is asked for."""

from typing import Protocol

from service.core.load_progress import LoadProgress


class Residence(Protocol):
    """Keeps a version in memory while it is used, and brings it back; the same one however often that happens."""

    @property
    def is_loaded(self) -> bool:
        """Whether requests that come now find it in memory."""

    @property
    def progress(self) -> LoadProgress | None:
        """How far it is, while it is brought back."""

    def enter(self) -> None:
        """Counts one more that uses it; it stays until each of them has left."""

    def leave(self) -> None:
        """Counts one less."""

    async def load(self, seconds: float) -> bool:
        """Waits until it is in memory, and then counts one more that uses it, or until that has failed.

        Args:
            seconds: How long it may wait.

        Returns:
            Whether it is in memory, and was entered; else its entry in the catalog says why.

        Raises:
            GatewayError: NOT_READY when that takes longer, or there is no room; OVERLOADED when too many wait.
        """

    async def load_beside(self) -> bool:
        """Does the same where there is room, so that no other version has to leave, however long it takes."""


class StandbyError(Exception):
    """A request needs a version that is not in memory: it is handled once more when that is.

    It is no `GatewayError`: no protocol puts it into words.

    Args:
        residence: The version's.
    """

    def __init__(self, residence: Residence) -> None:
        super().__init__()
        self.residence = residence
