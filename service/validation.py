"""Pydantic's findings in the words of `service.errors`: where, expected, got."""

from collections.abc import Mapping
from itertools import islice
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from service.errors import GatewayError, Violation, invalid_input, shown

Schema = TypeVar("Schema", bound=BaseModel)

WHOLE = "body"
"""Where something is wrong that is in no field."""
_MAX_VIOLATIONS = 20
"""At most this many are reported, however many there are."""


def validated(schema: type[Schema], fields: Mapping[str, Any]) -> Schema:
    """Makes the schema's object of parsed fields.

    Raises:
        GatewayError: INVALID_INPUT with a violation for each thing that is wrong.
    """
    try:
        return schema.model_validate(fields)
    except ValidationError as error:
        raise invalid_input(*violations(error)) from None


def violations(error: ValidationError) -> list[Violation]:
    """Returns the first findings of the error, at most 20.

    Left out are defaults that depend on another value, and could not be made as that one is wrong.
    """
    details = (detail for detail in error.errors(include_url=False) if detail["type"] != "default_factory_not_called")
    return [_violation(detail) for detail in islice(details, _MAX_VIOLATIONS)]


def as_finding(error: GatewayError) -> PydanticCustomError:
    """Returns the error as a validator must raise it, for Pydantic to put the path of the field before it."""
    first = error.violations[0]
    return PydanticCustomError(
        "violation",
        "{expected}",
        {"within": first.where, "expected": first.expected, "got": first.got},
    )


def _violation(detail: ErrorDetails) -> Violation:
    where = path(detail["loc"])
    context = detail.get("ctx", {})
    match detail["type"]:
        case "violation":
            return Violation(where + context["within"], context["expected"], context["got"])
        case "missing":
            return Violation(where, "a value", "nothing")
        case "extra_forbidden":
            return Violation(where, "no such field", shown(detail["input"]))
        case "too_short":
            return Violation(where, f"at least {context['min_length']}", str(context["actual_length"]))
        case "model_type" | "model_attributes_type" | "dict_type":
            return Violation(where, "an object", shown(detail["input"]))
        case _:
            expected = detail["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
            return Violation(where, expected, shown(detail["input"]))


def path(location: tuple[int | str, ...]) -> str:
    """Returns a path such as ``images[2].pixels``; `WHOLE` for what is in none."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.removeprefix(".") or WHOLE
