"""The questions and refusals of all generic protocols, for clients that others wrote."""

from dataclasses import dataclass

import numpy as np
import pytest

from tests.foreign.process import Address, ForeignClient, RaisedError
from tests.generic_cases import ANSWERS, F4, REFUSALS, SELECTIONS, floats, numbers_of
from tests.questions import Array, Question
from tests.zoo_models import NUMBERS

STATUSES = {
    "invalid_input": {"400", "INVALID_ARGUMENT"},
    "too_large": {"413", "RESOURCE_EXHAUSTED"},
    "model_not_found": {"404", "NOT_FOUND"},
    "label_not_found": {"404", "NOT_FOUND"},
    "signature_not_found": {"404", "NOT_FOUND"},
}
COMPLEX = {dtype for dtype in NUMBERS if dtype.startswith("complex")}
"""TensorFlow's own: the Open Inference Protocol has no such datatypes."""


@dataclass(frozen=True)
class Case:
    """A question and its answer."""

    question: Question
    outputs: dict[str, Array]
    version: int = 1


CASES = {
    **{name: Case(*case) for name, case in ANSWERS.items()},
    **{name: Case(*case) for name, case in SELECTIONS.items()},
    **{
        dtype: Case(Question("numbers", {"x": numbers_of(dtype)}, signature=dtype), {"y": numbers_of(dtype)})
        for dtype in NUMBERS
        if dtype not in COMPLEX
    },
}

MORE_REFUSALS = {
    "a wrong dtype": (Question("modes", {"x": np.ones(1, np.int32)}), "invalid_input", "inputs.x"),
    "an unknown input": (Question("modes", {"x": floats(1), "z": floats(1)}), "invalid_input", "inputs.z"),
    "an unknown output": (Question("modes", {"x": floats(1)}, outputs=["nope"]), "invalid_input", "outputs[0]"),
    "unequal rows, none": (
        Question("pair", {"left": np.ones((0, 2), F4), "right": np.ones(1, np.int64)}),
        "invalid_input",
        "inputs.right",
    ),
}
ALL_REFUSALS = REFUSALS | MORE_REFUSALS


def assert_refused(
    client: ForeignClient, address: Address, name: str, refusal: str, kinds: set[str], **options: object
) -> None:
    """Has the client ask what must be refused: it raises an exception of its own, with our status and message."""
    question, code, where = ALL_REFUSALS[refusal]
    with pytest.raises(RaisedError) as caught:
        client.ask(address, name, question, **options)
    raised = caught.value
    assert raised.kind in kinds
    assert str(raised.status).removeprefix("StatusCode.") in STATUSES[code]
    if where:
        assert f"{where}: expected" in raised.message
    elif code == "too_large":
        assert "max_" in raised.message
    else:
        assert "x must not be below zero" in raised.message
