"""Bodies of the typed API in JSON: text to fields, and fields to a message, its numbers read from the text at once."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
import orjson
from pydantic import BaseModel

from service.codecs.json_arrays import NumericArray, has_arrays, parse_arrays, with_lists
from service.core.bounds import InputBounds
from service.errors import ErrorKind, GatewayError, Violation, invalid_input, shown
from service.validation import validated

Schema = TypeVar("Schema", bound=BaseModel)
Fields = dict[str, Any]

_SERIES = "series"
_SERIES_RANKS = (2, 3)
"""Ranks of the series of one request, where they are equally long: by series and step, and by feature."""


def json_object(data: bytes, *, bounds: InputBounds, hold: Callable[[int], None] = lambda _: None) -> Fields:
    """Returns the fields of a body; a `NumericArray` may stand in place of lists of numbers.

    Args:
        data: The body.
        bounds: Of its values.
        hold: Counts the bytes of what is made of it, before it is made.

    Raises:
        GatewayError: MALFORMED, INVALID_INPUT when it is no object, TOO_LARGE, and what ``hold`` raises.
    """
    bounds.check_json(data)
    value = parse_arrays(data, lambda rest: bounds.check_parsed_json(rest, hold))
    if value is None:
        bounds.check_parsed_json(data, hold)
        try:
            value = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            got = f"something else: {error}" if data else "an empty body"
            raise invalid_input(Violation("body", "JSON", got), kind=ErrorKind.MALFORMED) from None
    if not isinstance(value, dict):
        raise invalid_input(Violation("body", "an object", shown(value)))
    return value


def length(value: object) -> int:
    """Returns how many elements a field has that is a list; 0 for any other."""
    return len(value) if isinstance(value, list | NumericArray) else 0


def message_of(schema: type[Schema], fields: Fields) -> Schema:
    """Makes the schema's object of fields, as `json_object` and whoever adds to them have them.

    Raises:
        GatewayError: INVALID_INPUT with a violation for each thing that is wrong.
    """
    try:
        return validated(schema, _with_series(fields))
    except GatewayError:
        if not has_arrays(fields):
            raise
        # What is wrong is said of the fields as they came.
        return validated(schema, with_lists(fields))


def _with_series(fields: Fields) -> Mapping[str, Any]:
    """Returns the fields, with a list of the series where one array has all of them."""
    series = fields.get(_SERIES)
    if not isinstance(series, NumericArray) or series.values.ndim not in _SERIES_RANKS:
        return fields
    return {**fields, _SERIES: list(series.values.astype(np.float64, copy=False))}
