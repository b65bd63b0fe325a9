"""What parsed messages hold beyond their bytes, counted before they are parsed."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from service.core.admission import HeldBytes
from service.errors import ErrorKind, Violation, invalid_input
from service.seam.message_cost import TooManyFieldsError
from service.seam.method import Method

_FIELDS_AT_ONCE = 2048
"""Fields that are counted without a thread: a millisecond's work."""


@dataclass(frozen=True, slots=True)
class Weighing:
    """Counts what messages hold.

    Attributes:
        max_fields: How many fields a message may have (``max_message_fields``).
    """

    max_fields: int

    async def hold(self, data: bytes, method: Method[bytes, Any, Any, bytes], held: HeldBytes) -> None:
        """Counts what a message holds once it is parsed, where it is worth it.

        Args:
            data: The message.
            method: Parses it.
            held: Takes the bytes.

        Raises:
            GatewayError: TOO_LARGE when it has too many fields, or OVERLOADED.
        """
        if method.cost is None or not held.must_weigh(len(data)):
            return
        try:
            cost = method.cost(data, min(_FIELDS_AT_ONCE, self.max_fields))
        except TooManyFieldsError:
            cost = await asyncio.to_thread(self._cost, data, method.cost)
        held.take(cost)

    def _cost(self, data: bytes, cost: Callable[[bytes, int], int]) -> int:
        try:
            return cost(data, self.max_fields)
        except TooManyFieldsError:
            expected = f"at most {self.max_fields} fields (max_message_fields); numbers and strings fit as bytes"
            raise invalid_input(Violation("body", expected, "more"), kind=ErrorKind.TOO_LARGE) from None
