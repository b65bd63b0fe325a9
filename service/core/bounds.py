"""How large what one request holds may be; every refusal names the setting that says so."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from service.core.tensors import MAX_RANK
from service.errors import ErrorKind, Violation, invalid_input, shown

_MAX_COUNT = 1024
_SMALL_JSON = 16 * 1024
"""Bytes of a document of which, at worst, less than half a megabyte is made."""
_MADE_OF = {b",": 32, b"[": 80, b"{": 200, b'"': 32}
"""Bytes that a parser takes for a value, a list, an object, and half a string, as they were measured; without text."""
_CHUNK = 256 * 1024


@dataclass(frozen=True, slots=True)
class InputBounds:
    """The bounds, named as the settings that they come from.

    Attributes:
        max_request_bytes: Bytes of a message, and of what it stands for: values that a shape claims, a shared context.
        max_request_rows: Rows of one request.
        max_tensor_elements: Elements of one tensor, whether they came or its shape only claims them.
        max_json_depth: Lists within lists of a JSON document.
        max_json_values: Values of a JSON document, as its commas count them; and lists in it, as its brackets do.
        max_extended_json_bytes: Bytes of a document that is not plain JSON, such as one with ``NaN`` in it.
        max_message_fields: Fields of a message of Protocol Buffers, and of those in it.
        max_name_length: Characters of the name of a model, a label, a signature or a tensor.
    """

    max_request_bytes: int = 32 * 1024 * 1024
    max_request_rows: int = 8192
    max_tensor_elements: int = 2**26
    max_json_depth: int = 32
    max_json_values: int = 2_000_000
    max_extended_json_bytes: int = 4 * 1024 * 1024
    max_message_fields: int = 1_000_000
    max_name_length: int = 256

    def check_rows(self, rows: int, *, where: str) -> None:
        """Refuses more rows than one request may have.

        Raises:
            GatewayError: TOO_LARGE.
        """
        if rows > self.max_request_rows:
            raise invalid_input(
                Violation(where, f"at most {self.max_request_rows} rows (max_request_rows)", f"{rows} rows"),
                kind=ErrorKind.TOO_LARGE,
            )

    def check_shape(self, shape: Sequence[int], *, where: str) -> int:
        """Refuses a shape that no tensor can have, or that is too large, before anything is allocated for it.

        Returns:
            How many elements a tensor of this shape has.

        Raises:
            GatewayError: INVALID_INPUT or TOO_LARGE.
        """
        if len(shape) > MAX_RANK:
            raise invalid_input(Violation(where, f"at most {MAX_RANK} dimensions", str(len(shape))))
        if shape and min(shape) < 0:
            raise invalid_input(Violation(where, "dimensions of 0 or more", shown(str(list(shape)))))
        # Of Python's integers: a huge shape does not wrap around into one that fits.
        if 0 < (claimed := math.prod(shape)) <= self.max_tensor_elements:
            return claimed
        # Zeros do not excuse other sizes, as numpy multiplies those too.
        claimed = math.prod(size or 1 for size in shape)
        if claimed > self.max_tensor_elements:
            raise invalid_input(
                Violation(where, f"at most {self.max_tensor_elements} elements (max_tensor_elements)", shown(claimed)),
                kind=ErrorKind.TOO_LARGE,
            )
        return 0 if 0 in shape else claimed

    def check_bytes(self, size: int, *, where: str) -> None:
        """Refuses what would take more bytes than a message may have, though its message does not.

        Raises:
            GatewayError: TOO_LARGE.
        """
        if size > self.max_request_bytes:
            expected = f"what takes at most {self.max_request_bytes} bytes (max_request_bytes)"
            raise invalid_input(Violation(where, expected, f"{size} bytes"), kind=ErrorKind.TOO_LARGE)

    def check_count(self, count: int, *, where: str) -> None:
        """Refuses more tensors, outputs or tasks than any model has, before they are looked at one by one.

        Raises:
            GatewayError: TOO_LARGE.
        """
        if count > _MAX_COUNT:
            raise invalid_input(Violation(where, f"at most {_MAX_COUNT}", str(count)), kind=ErrorKind.TOO_LARGE)

    def check_json(self, data: bytes) -> None:
        """Refuses a JSON document of more values than can be read without keeping everybody else waiting.

        A parser holds the interpreter lock until it is done, on whatever thread it runs.

        Raises:
            GatewayError: TOO_LARGE.
        """
        if len(data) <= self.max_json_values:
            return  # each value takes a byte at least
        # Commas stand between values. Lists alone in lists have none, so they are held against the same bound.
        values = max(_count(data, b","), _count(data, b"["))
        if values > self.max_json_values:
            expected = f"at most {self.max_json_values} values in JSON (max_json_values); more fit into binary tensors"
            raise invalid_input(Violation("body", expected, f"about {values}"), kind=ErrorKind.TOO_LARGE)

    def check_parsed_json(self, data: bytes, hold: Callable[[int], None]) -> None:
        """Counts what a parser makes of a JSON document, before it does: objects take up to 33 times its bytes.

        Args:
            data: The document, or what of it becomes such objects.
            hold: Counts bytes; raises where there are too many.

        Raises:
            GatewayError: What ``hold`` raises.
        """
        if len(data) > _SMALL_JSON:
            hold(len(data) + sum(size * _count(data, character) for character, size in _MADE_OF.items()))

    def check_extended_json(self, size: int, *, why: str) -> None:
        """Refuses a document that is no plain JSON, and too long for a parser that reads more than that.

        Args:
            size: Bytes of the document.
            why: What keeps it from being plain.

        Raises:
            GatewayError: TOO_LARGE.
        """
        if size > self.max_extended_json_bytes:
            expected = f"plain JSON beyond {self.max_extended_json_bytes} bytes (max_extended_json_bytes)"
            raise invalid_input(Violation("body", expected, f"{size} bytes: {why}"), kind=ErrorKind.TOO_LARGE)

    def check_name(self, name: str, *, where: str) -> None:
        """Refuses a name that is too long to be one.

        Raises:
            GatewayError: TOO_LARGE.
        """
        if len(name) > self.max_name_length:
            expected = f"at most {self.max_name_length} characters (max_name_length)"
            raise invalid_input(Violation(where, expected, f"{len(name)}: {shown(name)}"), kind=ErrorKind.TOO_LARGE)

    def too_deep(self, where: str) -> Exception:
        """Returns the refusal of a document that is nested deeper than allowed."""
        return invalid_input(
            Violation(where, f"at most {self.max_json_depth} levels (max_json_depth)", "more"),
            kind=ErrorKind.TOO_LARGE,
        )


def _count(data: bytes, characters: bytes) -> int:
    """Returns how often the characters occur; numpy counts what occurs often many times faster than bytes do."""
    found = 0
    for start in range(0, len(data), _CHUNK):
        chunk = np.frombuffer(data, np.uint8, min(_CHUNK, len(data) - start), start)
        found += sum(int(np.count_nonzero(chunk == character)) for character in characters)
    return found
