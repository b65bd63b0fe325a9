"""What there is: replicas, what their runs take, gateways before them, and how much they are asked."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Runs:
    """What a run takes: so much in any case, and so much for each request in it.

    Attributes:
        fixed: Seconds.
        each: Seconds.
        most: Requests in a run, at most (``max_batch_size``, where each has a row).
    """

    fixed: float
    each: float
    most: int

    def seconds(self, requests: float) -> float:
        """Returns what a run of so many takes."""
        return self.fixed + self.each * requests

    @property
    def most_rate(self) -> float:
        """Requests a second that a replica answers if all its runs are full."""
        return self.most / self.seconds(self.most)

    def settled(self, rate: float) -> float:
        """Returns how many requests a run has, on average, at so many a second for a replica that is never idle."""
        if rate >= self.most_rate:
            return self.most
        return max(1.0, rate * self.fixed / (1 - rate * self.each))


@dataclass(frozen=True, slots=True)
class Cell:
    """Gateways and replicas of which each gateway asks each replica.

    Attributes:
        gateways: How many.
        replicas: How many.
        places: Runs that one gateway may have under way on one replica (``max_batches_per_model``).
    """

    gateways: int = 1
    replicas: int = 1
    places: int = 2


@dataclass(frozen=True, slots=True)
class System:
    """A cell that is asked so much.

    Attributes:
        rate: Requests a second, of all gateways together; at random moments (Poisson).
        cell: Gateways and replicas.
        runs: What a run takes.
        loop: Seconds that a request takes a gateway's event loop: half to be read, half to be answered.
    """

    rate: float
    cell: Cell
    runs: Runs
    loop: float = 0.0

    @property
    def load(self) -> float:
        """The share of what replicas could answer if all runs were full."""
        return self.rate / (self.cell.replicas * self.runs.most_rate)

    @property
    def merged(self) -> float:
        """Requests in a run, on average, while replicas are never idle."""
        return self.runs.settled(self.rate / self.cell.replicas)
