"""Queues in which one client cannot get ahead of the others, however much it asks for.

A client's own requests are served in the order in which they came, and so are all where there is one client only.
"""

import heapq
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable

from service.core.merging import QueuedRequest


class FairQueue:
    """Requests that can be merged with each other: each client that waits gets as many rows as any other.

    Self-clocked fair queueing (Golestani, 1994): in rows, a request ends that many after the one before it of the same
    client, or after the last one that was served where none of its client waits; the lowest end is served first.
    Nothing has to be remembered of clients that do not wait, and who waits is not passed by those who come later.
    """

    __slots__ = ("_arrivals", "_lines", "_now", "_turns")

    def __init__(self) -> None:
        self._lines: dict[str, deque[QueuedRequest]] = {}  # by client; of those that wait
        self._turns: list[
            tuple[int, int, str]
        ] = []  # a heap: where the client's first ends, when that came, the client
        self._now = 0  # where the last ended that was served
        self._arrivals = 0

    def __bool__(self) -> bool:
        return bool(self._turns)

    def has(self, client: str) -> bool:
        """Returns whether a request of the client waits."""
        return client in self._lines

    def append(self, queued: QueuedRequest) -> None:
        """Has a request wait."""
        client = queued.client
        if (line := self._lines.get(client)) is not None:
            line.append(queued)
            return
        self._lines[client] = deque((queued,))
        self._arrivals += 1
        heapq.heappush(self._turns, (self._now + _cost(queued), self._arrivals, client))

    def first(self) -> QueuedRequest:
        """Returns the request that is served next."""
        return self._lines[self._turns[0][2]][0]

    def popleft(self) -> QueuedRequest:
        """Returns the request that is served next, which waits no longer."""
        self._now, _, client = self._turns[0]
        line = self._lines[client]
        queued = line.popleft()
        if line:
            self._arrivals += 1
            heapq.heapreplace(self._turns, (self._now + _cost(line[0]), self._arrivals, client))
        else:
            heapq.heappop(self._turns)
            del self._lines[client]
        return queued

    def remove(self, queued: QueuedRequest) -> None:
        """Takes a request out.

        Raises:
            ValueError: When it is not there.
        """
        client = queued.client
        line = self._lines.get(client)
        if line is None:
            raise ValueError("nothing of its client waits")
        was_first = line[0] is queued
        line.remove(queued)
        if was_first:
            place = next(place for place, turn in enumerate(self._turns) if turn[2] == client)
            end, arrival, _ = self._turns[place]
            if line:  # the next one ends by its own rows, or a small one that is given up would carry a large one
                self._turns[place] = end - _cost(queued) + _cost(line[0]), arrival, client
            else:
                del self._turns[place], self._lines[client]
            heapq.heapify(self._turns)


def _cost(queued: QueuedRequest) -> int:
    """Returns the rows of a request; one for those that have none, as they take time too."""
    return queued.request.rows or 1


class RoundRobin:
    """Says which queue is next: clients take turns, and so do each client's queues.

    A client that fills many queues, by many shapes or with requests that are not merged, has one turn for them all.
    """

    __slots__ = ("_keys",)

    def __init__(self) -> None:
        self._keys: OrderedDict[str, OrderedDict[Hashable, None]] = OrderedDict()

    def add(self, client: str, key: Hashable) -> None:
        """Notes that a client waits in a queue: that one's turn comes after the client's others."""
        keys = self._keys.get(client)
        if keys is None:
            keys = self._keys[client] = OrderedDict()
        keys[key] = None

    def discard(self, client: str, key: Hashable) -> None:
        """Notes that a client waits in a queue no longer."""
        keys = self._keys.get(client)
        if keys is not None and key in keys:
            del keys[key]
            if not keys:
                del self._keys[client]

    def next(self, can_run: Callable[[Hashable], bool]) -> Hashable | None:
        """Returns the queue that is next among those that can run, if any: its turn is over, and its client's."""
        for client, keys in self._keys.items():
            for key in keys:
                if can_run(key):
                    keys.move_to_end(key)
                    self._keys.move_to_end(client)
                    return key
        return None
