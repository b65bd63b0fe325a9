"""Requests that recur: which are known, when they are forgotten, and what becomes of answers."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from service.core.catalog import Catalog, ModelVersion, State
from service.core.recurring import RecurringRequest, RecurringRequests
from service.core.tensors import Signature, Tensor, TensorSpec

VERSION = ModelVersion("m", 1, State.AVAILABLE)
NUMBERS = np.arange(4, dtype=np.float32).reshape(1, 4)


def signature(dtype: str = "float32", *names: str) -> Signature:
    inputs = {name: TensorSpec(dtype, (None, 4)) for name in names or ("x",)}
    return Signature("s", "", inputs, {"y": TensorSpec(dtype, (None, 4))})


def after_colon(data: bytes) -> bytes | None:
    """Reads ``...:numbers;``: the end is what comes after the colon, if nothing follows it."""
    _, colon, rest = data.partition(b":")
    return rest if colon and not data.endswith(b";") else None


@pytest.fixture
def catalog() -> Catalog:
    catalog = Catalog()
    catalog.put(VERSION)
    return catalog


def remembered(catalog: Catalog, data: bytes, inputs: Mapping[str, Tensor], dtype: str = "float32") -> Any:
    known = RecurringRequests(catalog, after_colon)
    known.remember(data, VERSION, signature(dtype, *inputs), inputs, 1)
    return known


def test_a_request_is_known_by_its_beginning_and_its_length(catalog: Catalog) -> None:
    data = b"head:" + NUMBERS.tobytes()
    known = remembered(catalog, data, {"x": NUMBERS})
    other = b"head:" + (NUMBERS + 1).tobytes()
    found = known.find(other)
    assert found is not None
    assert (found.version, found.rows, found.shape) == (VERSION, 1, (1, 4))
    np.testing.assert_array_equal(found.inputs(other)["x"], NUMBERS + 1)
    assert known.find(data + b"\0") is None
    assert known.find(data[:-1]) is None
    assert known.find(b"Head:" + NUMBERS.tobytes()) is None


@pytest.mark.parametrize("change", ["put", "drop", "become"])
def test_all_are_forgotten_when_anything_about_the_models_changes(catalog: Catalog, change: str) -> None:
    data = b"head:" + NUMBERS.tobytes()
    known = remembered(catalog, data, {"x": NUMBERS})
    if change == "put":
        catalog.put(ModelVersion("m", 2, State.AVAILABLE))
    elif change == "drop":
        catalog.drop("m", 1)
    else:
        draft = Catalog()
        draft.put(ModelVersion("m", 2, State.AVAILABLE))
        catalog.become(draft)
    assert known.find(data) is None


@pytest.mark.parametrize(
    ("data", "inputs", "dtype"),
    [
        pytest.param(b"head:" + NUMBERS.tobytes() + b";", {"x": NUMBERS}, "float32", id="something follows"),
        pytest.param(NUMBERS.tobytes() + b":" + b"x" * 16, {"x": NUMBERS}, "float32", id="numbers elsewhere"),
        pytest.param(b"h" * 2000 + b":" + NUMBERS.tobytes(), {"x": NUMBERS}, "float32", id="a long beginning"),
        pytest.param(b"head:" + NUMBERS.tobytes(), {"x": NUMBERS, "z": NUMBERS}, "float32", id="two inputs"),
        pytest.param(b"head:", {"x": NUMBERS[:0]}, "float32", id="no numbers"),
        pytest.param(b"head:" + bytes(4), {"x": np.zeros((1, 4), bool)}, "bool", id="values that are checked"),
        pytest.param(b"head:" + bytes(8), {"x": np.array([[b"a"]], object)}, "string", id="strings"),
    ],
)
def test_what_is_not_plain_is_not_remembered(
    catalog: Catalog, data: bytes, inputs: Mapping[str, Tensor], dtype: str
) -> None:
    if data.startswith(NUMBERS.tobytes()):
        data = b":" + b"x" * 16  # its end is found, but holds other numbers than were checked
        known = RecurringRequests(catalog, lambda _: b"others")
        known.remember(data, VERSION, signature(dtype), inputs, 1)
    else:
        known = remembered(catalog, data, inputs, dtype)
    assert known.find(data) is None


def test_no_more_are_kept_than_there_is_room_for(catalog: Catalog) -> None:
    known = RecurringRequests(catalog, after_colon)
    for number in range(3000):
        data = b"%d:" % number + NUMBERS.tobytes()
        known.remember(data, VERSION, signature(), {"x": NUMBERS}, 1)
        assert known.find(data) is not None
    kept = sum(known.find(b"%d:" % number + NUMBERS.tobytes()) is not None for number in range(3000))
    assert 0 < kept <= 1024


def test_few_lengths_of_beginnings_are_tried_for_one_length_of_message(catalog: Catalog) -> None:
    known = RecurringRequests(catalog, after_colon)
    for columns in range(1, 40):
        numbers = np.zeros((1, columns), np.float32)
        data = b"h" * (400 - numbers.nbytes) + b":" + numbers.tobytes()
        known.remember(data, VERSION, signature(), {"x": numbers}, 1)
        assert known.find(data) is not None
    assert len(known._known[401]) <= 8


def request() -> RecurringRequest:
    return RecurringRequest(b"", VERSION, signature(), "x", (1, 4), np.dtype(np.float32), 1)


def test_an_answer_is_written_once_for_each_shape_and_then_put_together() -> None:
    written = []

    def write(outputs: Mapping[str, Tensor]) -> bytes:
        written.append(outputs)
        return b"%d:" % outputs["y"].size + outputs["y"].tobytes()

    known = request()
    for numbers in (NUMBERS, NUMBERS * 2, NUMBERS - 7):
        assert known.answer({"y": numbers}, write) == b"4:" + numbers.tobytes()
    assert len(written) == 2  # the answer, and the proof that its numbers come last
    assert known.answer({"y": NUMBERS[:, :2]}, write) == b"2:" + NUMBERS[:, :2].tobytes()


def test_only_the_outputs_that_are_wanted_are_written() -> None:
    known = RecurringRequest(b"", VERSION, signature(), "x", (1, 4), np.dtype(np.float32), 1, ("z",))
    for numbers in (NUMBERS, NUMBERS + 1, NUMBERS + 2):
        answer = known.answer(
            {"y": NUMBERS, "z": numbers}, lambda outputs: b",".join(map(np.ndarray.tobytes, outputs.values()))
        )
        assert answer == numbers.tobytes()


@pytest.mark.parametrize(
    "outputs",
    [
        {"y": NUMBERS, "z": NUMBERS},
        {"y": np.zeros((1, 0), np.float32)},
        {"y": np.array([True])},
    ],
)
def test_other_answers_are_written_each_time(outputs: Mapping[str, Tensor]) -> None:
    known = request()
    for number in range(3):
        assert known.answer(outputs, lambda _, number=number: b"%d" % number) == b"%d" % number  # type: ignore[misc]


def test_an_answer_with_anything_after_its_numbers_is_written_each_time() -> None:
    known = request()

    def write(outputs: Mapping[str, Tensor]) -> bytes:
        return outputs["y"].tobytes() + b";"

    for numbers in (NUMBERS, NUMBERS + 1):
        assert known.answer({"y": numbers}, write) == numbers.tobytes() + b";"
