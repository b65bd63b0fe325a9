"""Bodies of the typed API whose numbers are read at once, held against the same bodies parsed as usual."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.codecs import json_arrays
from service.core.bounds import InputBounds
from service.errors import GatewayError
from service.protocols.native import json_body
from service.protocols.native.json_body import json_object, length, message_of
from service.schemas import ClassifyRequest, ForecastRequest
from tests.json_mutations import mutated

BOUNDS = InputBounds()
NUMBERS = (
    st.integers(-(2**64), 2**65)
    | st.integers(0, 255)
    | st.floats(allow_nan=False)
    | st.sampled_from([1e39, -1e39, 2**53 + 1])
)
ODD: st.SearchStrategy[Any] = st.sampled_from([None, True, "a", [], {}, [1], float("inf")])  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def _short_lists_too() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_arrays, "_MIN_LENGTH", 1)
        yield


@st.composite
def nested(draw: st.DrawFn, *, most: int = 10) -> Any:
    """Lists of numbers, some uneven, some too deep, some with something else among them."""
    shape = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3) | st.just([1] * most))
    numbers = draw(st.sampled_from([NUMBERS, st.integers(0, 255), st.floats(0, 255)]))

    def made(sizes: list[int]) -> Any:
        if not sizes:
            return draw(ODD) if draw(st.integers(0, 30)) == 0 else draw(numbers)
        return [made(sizes[1:]) for _ in range(sizes[0])]

    return made(shape)


CLASSIFY = st.fixed_dictionaries(
    {"model": st.just("m"), "images": st.lists(st.fixed_dictionaries({"pixels": nested()}), max_size=2) | nested()},
    optional={"top_k": st.just(2) | nested(), "other": nested(), "version": st.just(1)},
)
FORECAST = st.fixed_dictionaries(
    {"model": st.just("m"), "series": nested() | st.lists(nested(), max_size=2)},
    optional={"horizon": st.just(2), "quantiles": st.just([0.1, 0.5]) | nested()},
)


def outcome(schema: Any, text: bytes) -> Any:
    """What came of it, bit for bit."""
    try:
        fields = json_object(text, bounds=BOUNDS)
        counts = length(fields.get("images")), length(fields.get("series"))
        message = message_of(schema, fields)
    except GatewayError as error:
        return error.kind, error.message, error.violations
    arrays = [image.pixels for image in message.images] if schema is ClassifyRequest else message.series
    rest = message.model_dump(exclude={"images", "series"})
    return counts, rest, [(array.dtype, array.shape, array.tobytes()) for array in arrays if array is not None]


@given(
    st.tuples(st.just(ClassifyRequest), mutated(CLASSIFY.map(json.dumps)))
    | st.tuples(st.just(ForecastRequest), mutated(FORECAST.map(json.dumps)))
)
def test_bodies_come_to_the_same(case: tuple[Any, bytes]) -> None:
    schema, text = case
    at_once = outcome(schema, text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_body, "parse_arrays", lambda *_: None)
        assert at_once == outcome(schema, text)


def test_pixels_and_equally_long_series_are_read_at_once() -> None:
    body = json_object(b'{"images": [{"pixels": [[1, 2], [3, 4.5]]}], "series": [[1, 2], [3, 4]]}', bounds=BOUNDS)
    assert isinstance(body["images"][0]["pixels"], json_arrays.NumericArray)
    assert length(body["series"]) == 2
    message = message_of(ForecastRequest, {"model": "m", "series": body["series"]})
    assert [series.tolist() for series in message.series] == [[1, 2], [3, 4]]
    assert message.series[0].dtype == np.float32
