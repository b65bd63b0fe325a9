"""What each client may ask of each model: requests and rows in a time, requests and bytes in flight.

A rate is a token bucket: it is full at first, each request or row takes one, and it fills up again evenly, all of it
once in its window. So a client that was idle may use all of it at once, and then as fast as it fills up; within any
window it gets at most twice that many.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from service.core.limit_rules import InFlight, LimitRule, Rate
from service.errors import ErrorKind, GatewayError, Violation, invalid_input

_MOST_ACCOUNTS = 50_000
"""Clients and models that are remembered; beyond, those that asked longest ago are forgotten, and begin anew."""
_ROUNDING = 1e-6
"""Part of a token that may be missing, so that what was filled up in many steps counts as whole."""


@dataclass(frozen=True, slots=True)
class Quota:
    """How a client stands with a rate.

    Attributes:
        left: How many it may ask for at once.
        more_in: Seconds until there is one more; ``None`` where all of it is left.
    """

    rate: Rate
    left: int
    more_in: float | None


class _Bucket:
    """A rate as one client has used it.

    Attributes:
        rate: Which one.
        seen: How many there were at the last look.
    """

    __slots__ = ("_at", "_per_second", "rate", "seen")

    def __init__(self, rate: Rate, now: float, left: float) -> None:
        self.rate = rate
        self.seen = min(left, rate.quota)
        self._at = now
        self._per_second = rate.quota / rate.window

    def left(self, now: float) -> float:
        """Returns how many there are now; below 0 where some are owed."""
        self.seen = min(self.rate.quota, self.seen + (now - self._at) * self._per_second)
        self._at = now
        return self.seen

    def take(self, number: int) -> None:
        """Takes so many."""
        self.seen -= number

    def seconds_until(self, number: float) -> float:
        """Returns how long after the last look there are so many."""
        return max(0.0, (number - self.seen) / self._per_second)


class _Account:
    """What one client has asked of one model.

    Attributes:
        rule: Its limits; ``None`` where there are none.
        age: Number of the set of rules that this one is from.
        requests: How many are in flight.
        bytes: Bytes of those requests.
    """

    __slots__ = ("age", "bytes", "of_requests", "of_rows", "requests", "rule")

    def __init__(self) -> None:
        self.rule: LimitRule | None = None
        self.age = -1
        self.of_requests: list[_Bucket] = []
        self.of_rows: list[_Bucket] = []
        self.requests = 0
        self.bytes = 0

    def follow(self, rule: LimitRule | None, age: int, now: float) -> None:
        """Does as another rule says from now on; what was used of a rate of the same name stays used."""
        used = {bucket.rate.name: bucket.rate.quota - bucket.left(now) for bucket in (*self.of_requests, *self.of_rows)}
        rates = rule.rates if rule is not None else ()
        buckets = [_Bucket(rate, now, rate.quota - used.get(rate.name, 0)) for rate in rates]
        self.of_requests = [bucket for bucket in buckets if bucket.rate.unit == "requests"]
        self.of_rows = [bucket for bucket in buckets if bucket.rate.unit != "requests"]
        self.rule, self.age = rule, age


class Lease:
    """What one call takes of its client's limits, until it is over.

    Args:
        limits: Refuses what is too much.
        account: The account of its client and model.
        rule: Its limits.
        model: Name of the model.
        size: Bytes of the request.
    """

    __slots__ = ("_account", "_has_begun", "_limits", "_model", "_rows", "_rule", "_size")

    def __init__(self, limits: "RateLimits", account: _Account, rule: LimitRule, model: str, size: int) -> None:
        self._limits = limits
        self._account = account
        self._rule = rule
        self._model = model
        self._size = size
        self._rows = 0
        self._has_begun = False

    def begin(self) -> None:
        """Takes what a request takes whatever is in it.

        Raises:
            GatewayError: RATE_LIMITED, or TOO_LARGE where so many bytes are never admitted.
        """
        account, limits = self._account, self._limits
        if (most := self._rule.requests) is not None and account.requests >= most.most:
            limits.refuse_more(most, "requests", account.requests, 1, self._model)
        if (most := self._rule.size) is not None and account.bytes + self._size > most.most:
            limits.refuse_more(most, "bytes of requests", account.bytes, self._size, self._model)
        limits.take(account.of_requests, 1, self._model)
        account.requests += 1
        account.bytes += self._size
        self._has_begun = True

    def take_rows(self, rows: int) -> None:
        """Takes rows that are to be run.

        A call whose first rows were admitted is not refused later, such as where a part of it is run once more; what
        it takes beyond them is missing to those that follow.

        Raises:
            GatewayError: RATE_LIMITED, or TOO_LARGE where so many are never admitted.
        """
        self._limits.take(self._account.of_rows, rows, self._model, owing=self._rows > 0)
        self._rows += rows

    def quotas(self) -> Sequence[Quota]:
        """Returns how the client stands with each rate that holds for it."""
        return self._limits.quotas((*self._account.of_requests, *self._account.of_rows))

    def close(self) -> None:
        """Gives back what it took of those in flight."""
        if self._has_begun:
            self._account.requests -= 1
            self._account.bytes -= self._size


class RateLimits:
    """Admits calls.

    Args:
        observe: Takes the name of the model and of the limit of each refusal.
        clock: Returns seconds that only grow.
    """

    def __init__(self, *, observe: Callable[[str, str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._observe = observe
        self._clock = clock
        self._rules: tuple[LimitRule, ...] = ()
        self._age = 0
        self._accounts: OrderedDict[tuple[str, str], _Account] = OrderedDict()

    def become(self, rules: Iterable[LimitRule]) -> None:
        """Does as these rules say from now on: for each client and model the first that is about them."""
        self._rules = tuple(rules)
        self._age += 1

    def lease(self, client: str, model: str, size: int) -> Lease | None:
        """Returns what a call may take of its client's limits; ``None`` where nothing is limited.

        Args:
            client: Its name; empty for whoever has none.
            model: Name of a model that there is.
            size: Bytes of the request.
        """
        account = self._account(client, model)
        return None if account.rule is None else Lease(self, account, account.rule, model, size)

    def take(self, buckets: Sequence[_Bucket], number: int, model: str, *, owing: bool = False) -> None:
        """Takes so many out of each of the buckets.

        Args:
            buckets: All of them are to have as many.
            number: How many.
            model: Name of the model that they are taken for.
            owing: Whether they are taken even where there are not as many.

        Raises:
            GatewayError: RATE_LIMITED, or TOO_LARGE where there never are.
        """
        now = self._clock()
        for bucket in buckets:
            if bucket.left(now) + _ROUNDING < number and not owing:
                raise self._used_up(bucket, number, model)
        for bucket in buckets:
            bucket.take(number)

    def quotas(self, buckets: Iterable[_Bucket]) -> Sequence[Quota]:
        """Returns how a client stands with its rates."""
        now = self._clock()
        found = []
        for bucket in buckets:
            left = max(0, math.floor(bucket.left(now) + _ROUNDING))
            more = None if left >= bucket.rate.quota else bucket.seconds_until(left + 1)
            found.append(Quota(bucket.rate, left, more))
        return found

    def _account(self, client: str, model: str) -> _Account:
        key = client, model
        account = self._accounts.get(key)
        if account is None:
            account = self._accounts[key] = _Account()
            if len(self._accounts) > _MOST_ACCOUNTS:
                self._accounts.popitem(last=False)
        else:
            self._accounts.move_to_end(key)
        if account.age != self._age:
            rule = next((rule for rule in self._rules if rule.holds_for(client, model)), None)
            account.follow(rule, self._age, self._clock())
        return account

    def refuse_more(self, most: InFlight, unit: str, held: int, number: int, model: str) -> None:
        """Refuses a call that would make it too much in flight.

        Raises:
            GatewayError: RATE_LIMITED, or TOO_LARGE where so much is never admitted.
        """
        self._observe(model, most.name)
        what = f"{most.most} {unit} in flight (limit {most.name})"
        if number > most.most:
            raise invalid_input(Violation("body", f"at most {what}", f"{number} bytes"), kind=ErrorKind.TOO_LARGE)
        text = f"this client may have {what} for model {model!r}: {held} are, {number} more came"
        raise GatewayError(ErrorKind.RATE_LIMITED, text, limit=most.name)

    def _used_up(self, bucket: _Bucket, number: int, model: str) -> GatewayError:
        rate = bucket.rate
        self._observe(model, rate.name)
        what = f"{rate.quota} {rate.unit} in {rate.window} s (limit {rate.name})"
        if number > rate.quota:
            violation = Violation("inputs", f"at most {what}, and no more at once", f"{number} {rate.unit}")
            return invalid_input(violation, kind=ErrorKind.TOO_LARGE)
        seconds = bucket.seconds_until(number)
        left = max(0, math.floor(bucket.seen + _ROUNDING))
        text = f"this client may ask for {what} of model {model!r}: {left} are left, {number} came"
        return GatewayError(
            ErrorKind.RATE_LIMITED,
            f"{text}; there are as many in {seconds:.3g} s",
            retry_after=seconds,
            limit=rate.name,
        )
