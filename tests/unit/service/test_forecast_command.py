"""How `tensorgate forecast` shows numbers."""

import pytest

from service.commands.forecast import _shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (63.0, "63"),
        (0.0012345678, "0.00123457"),
        (1234567.8, "1234570"),
        (-2.5, "-2.5"),
        (0.0, "0"),
        (1e-7, "0.0000001"),
    ],
)
def test_six_digits_are_shown_and_no_exponent(value: float, shown: str) -> None:
    assert _shown(value) == shown
