"""Booleans encoded as bytes, in any format."""

import numpy as np

from service.errors import Violation, invalid_input


def check_booleans(data: bytes | memoryview, *, where: str) -> None:
    """Refuses bytes that are neither 0 nor 1: an array of booleans that holds others behaves as it likes.

    Raises:
        GatewayError: INVALID_INPUT that names the first such byte.
    """
    wrong = np.frombuffer(data, np.uint8) > 1
    if wrong.any():
        index = int(np.argmax(wrong))
        raise invalid_input(Violation(f"{where}, element {index}", "a byte that is 0 or 1", str(data[index])))
