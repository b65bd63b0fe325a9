"""How far the loading of a version is: written by what loads it, read by whoever asks."""

import time
from dataclasses import dataclass, field
from typing import TypedDict


class Told(TypedDict):
    """Progress as JSON has it; `None` for what is not known."""

    stage: str
    done: int | None
    total: int | None
    unit: str
    seconds: float


@dataclass(slots=True)
class LoadProgress:
    """One loading, which passes several stages. Of its own, as a thread writes it: nobody is notified.

    Attributes:
        stage: What is being done.
        done: How much of the stage is done, where that can be known.
        total: How much there is to do in it, where that is known.
        unit: What these count.
        began: When the loading began, by the monotonic clock, in seconds.
    """

    stage: str = "waiting for the one before"
    done: int | None = None
    total: int | None = None
    unit: str = ""
    began: float = field(default_factory=time.monotonic)

    def enter(self, stage: str, unit: str = "", *, done: int | None = None, total: int | None = None) -> None:
        """Begins another stage."""
        self.stage, self.unit, self.done, self.total = stage, unit, done, total

    def advance(self, count: int = 1) -> None:
        """Notes that so much more of the stage is done."""
        self.done = (self.done or 0) + count

    def told(self) -> Told:
        """Returns it for a reader."""
        seconds = round(time.monotonic() - self.began, 1)
        return Told(stage=self.stage, done=self.done, total=self.total, unit=self.unit, seconds=seconds)
