"""The operator's file of what each client may ask of each model; docs/operations.md describes it.

It is TOML, with any number of ``[[limits]]``; the first that is about a client and a model holds for them.
"""

import re
import tomllib
from collections.abc import Iterator
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from service.core.limit_rules import InFlight, LimitRule, Rate
from service.errors import ErrorKind, Violation, invalid_input, shown
from service.validation import validated

_MOST = 10**12
_UNITS = {"s": ("second", 1), "min": ("minute", 60), "h": ("hour", 3600), "day": ("day", 86_400)}
_RATE = re.compile(r"([1-9][0-9]{0,12})/(s|min|h|day)")


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _rate(value: object) -> tuple[int, str]:
    match = _RATE.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[1]) > _MOST:
        raise ValueError("a number, a slash, and s, min, h or day, such as '100/s'")
    return int(match[1]), match[2]


_Patterns = Annotated[
    list[Annotated[str, Field(max_length=512)]],
    Field(min_length=1, max_length=100),
    BeforeValidator(_as_list),
]
_Rates = Annotated[
    list[Annotated[tuple[int, str], BeforeValidator(_rate)]], Field(max_length=len(_UNITS)), BeforeValidator(_as_list)
]
_Count = Annotated[int, Field(ge=1, le=_MOST, strict=True)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Limit(_Part):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    clients: _Patterns = ["*"]
    models: _Patterns = ["*"]
    requests: _Rates = []
    rows: _Rates = []
    requests_in_flight: _Count | None = None
    bytes_in_flight: _Count | None = None

    def rule(self) -> LimitRule:
        rates = (*self._rates("requests", self.requests), *self._rates("rows", self.rows))
        return LimitRule(
            clients=tuple(self.clients),
            models=tuple(self.models),
            rates=rates,
            requests=self._in_flight("requests", self.requests_in_flight),
            size=self._in_flight("bytes", self.bytes_in_flight),
        )

    def _rates(self, unit: str, rates: list[tuple[int, str]]) -> Iterator[Rate]:
        for quota, time in rates:
            word, window = _UNITS[time]
            yield Rate(f"{self.name}-{unit}-per-{word}", unit, quota, window)

    def _in_flight(self, unit: str, most: int | None) -> InFlight | None:
        return None if most is None else InFlight(f"{self.name}-{unit}-in-flight", most)


class _Document(_Part):
    limits: Annotated[list[_Limit], Field(max_length=1000)] = []


def parse_limits(text: str) -> list[LimitRule]:
    """Returns the rules of a file, in their order.

    Raises:
        GatewayError: MALFORMED where it is no TOML, INVALID_INPUT with a violation for each thing that is wrong.
    """
    try:
        fields = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # of a number of more digits than Python reads, too
        raise invalid_input(Violation("body", "TOML", str(error)), kind=ErrorKind.MALFORMED) from None
    document = validated(_Document, fields)
    names: set[str] = set()
    for index, limit in enumerate(document.limits):
        if limit.name in names:
            raise invalid_input(Violation(f"limits[{index}].name", "a name of its own", shown(limit.name)))
        names.add(limit.name)
        for unit, rates in (("requests", limit.requests), ("rows", limit.rows)):
            times = [time for _, time in rates]
            if len(set(times)) < len(times):
                raise invalid_input(Violation(f"limits[{index}].{unit}", "one rate for each unit of time", str(times)))
    return [limit.rule() for limit in document.limits]
