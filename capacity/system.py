"""What is planned and simulated: replicas, the time of their runs, gateways in front of them, and the load."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Runs:
    """How long a run takes: a fixed time, and a time for each request in it.

    Attributes:
        fixed: Seconds of a run, whatever is in it.
        each: Seconds more for each request.
        most: Most requests in a run (``max_batch_size``, where each request has one row).
    """

    fixed: float
    each: float
    most: int

    def seconds(self, requests: float) -> float:
        """Returns how long a run of that many takes."""
        return self.fixed + self.each * requests

    @property
    def most_rate(self) -> float:
        """Requests a second that a replica answers when all its runs are full."""
        return self.most / self.seconds(self.most)

    def settled(self, rate: float) -> float:
        """Returns the mean number of requests in a run, at that many a second for a replica that is never idle."""
        if rate >= self.most_rate:
            return self.most
        return max(1.0, rate * self.fixed / (1 - rate * self.each))


@dataclass(frozen=True, slots=True)
class Cell:
    """Gateways and replicas, where each gateway calls each replica.

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
    """A cell and its load.

    Attributes:
        rate: Requests a second, of all gateways together, at random moments (Poisson).
        cell: Gateways and replicas.
        runs: How long a run takes.
        loop: Seconds of a gateway's event loop for a request: half to read it, half to answer it.
    """

    rate: float
    cell: Cell
    runs: Runs
    loop: float = 0.0

    @property
    def load(self) -> float:
        """The load as a share of what replicas could answer if all runs were full."""
        return self.rate / (self.cell.replicas * self.runs.most_rate)

    @property
    def merged(self) -> float:
        """Requests in a run, on average, while replicas are never idle."""
        return self.runs.settled(self.rate / self.cell.replicas)
