"""The body of ``:predict``: tensors in row format (``instances``) or column format (``inputs``)."""

import re
from collections.abc import Callable, Set
from dataclasses import dataclass, replace
from typing import Any

from service.codecs.json_arrays import NumericArray, as_lists, has_arrays, stacked, with_lists
from service.codecs.json_tensor import decode_json_tensor, is_base64
from service.core.bounds import InputBounds
from service.core.tensors import Signature, Tensor
from service.errors import ErrorKind, GatewayError, Violation, invalid_input, listed, shown
from service.protocols.tfserving import upstream_json
from service.protocols.tfserving.json_text import json_text, json_type

INSTANCES, INPUTS = "instances", "inputs"

_COLUMN = re.compile(r"([^\[]*)\[([0-9]+)\](.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class PredictBody:
    """The parsed body of a predict request.

    Attributes:
        inputs: Tensors by name.
        rows: Whether it is in row format, and so the answer.
    """

    inputs: dict[str, Tensor]
    rows: bool


def predict_body(document: dict[str, Any], signature: Signature, *, bounds: InputBounds) -> PredictBody:
    """Returns the tensors of a body, in the signature's dtypes.

    Args:
        document: The body; a `NumericArray` may stand in place of lists of numbers.
        signature: Says which inputs there are, and their dtypes.
        bounds: Of the tensors.

    Raises:
        GatewayError: INVALID_INPUT in upstream's words, with the place in ours; NOT_SUPPORTED for dtypes that have no
            form in JSON; TOO_LARGE.
    """
    try:
        return _predict_body(document, signature, bounds)
    except GatewayError:
        if not has_arrays(document):
            raise
        # What is wrong is said of the document as it came, in which upstream would have looked for it.
        return _predict_body(with_lists(document), signature, bounds)


def check_complete(document: dict[str, Any], signature: Signature, *, bounds: InputBounds) -> None:
    """Refuses a body that leaves out an input, once it is known that the signature has no defaults.

    Raises:
        GatewayError: As `predict_body`.
    """
    predict_body(document, replace(signature, defaults_known=True), bounds=bounds)


def _predict_body(document: dict[str, Any], signature: Signature, bounds: InputBounds) -> PredictBody:
    if not signature.inputs:
        raise GatewayError(ErrorKind.INVALID_INPUT, f"Failed to get input map for signature: {signature.name}")
    if INSTANCES in document and INPUTS in document:
        text = f"JSON Value: {json_text(document)} Not formatted correctly expecting only one of "
        raise _wrong("body", "either instances or inputs", "both", f"{text}'inputs' or 'instances' keys to exist ")
    if INSTANCES in document:
        return PredictBody(_rows(document, signature, bounds), rows=True)
    if INPUTS in document:
        return PredictBody(_columns(document[INPUTS], signature, bounds), rows=False)
    raise _wrong("body", "instances or inputs", "neither", "Missing 'inputs' or 'instances' key")


def _rows(document: dict[str, Any], signature: Signature, bounds: InputBounds) -> dict[str, Tensor]:
    instances = document[INSTANCES]
    if not isinstance(instances, list | NumericArray):
        text = f"JSON Value: {json_text(document)} Expecting 'instances' to be an list/array"
        raise _wrong(INSTANCES, "a list", shown(instances), text)
    if not instances:
        text = f"JSON Value: {json_text(document)} No values in 'instances' array"
        raise _wrong(INSTANCES, "one row or more", "none", text)
    bounds.check_rows(len(instances), where=INSTANCES)
    if isinstance(instances, NumericArray):
        return _plain_rows(instances, signature, bounds)
    try:
        if _is_object(instances[0]):
            return _named_rows(instances, signature, bounds)
        return _plain_rows(instances, signature, bounds)
    except GatewayError as error:
        names = _names(instances, signature)
        raise _explained(error, lambda: upstream_json.fault_of_rows(instances, signature, names)) from None


def _named_rows(instances: list[Any], signature: Signature, bounds: InputBounds) -> dict[str, Tensor]:
    names = _names(instances[:1], signature)
    for index, row in enumerate(instances):
        if not isinstance(row, dict):
            raise invalid_input(Violation(f"{INSTANCES}[{index}]", "an object, as the first row is", shown(row)))
        if row.keys() != names:
            expected = f"the inputs {listed(sorted(names))}"
            raise invalid_input(Violation(f"{INSTANCES}[{index}]", expected, listed(sorted(row)) or "none"))
    inputs = {}
    for name in names:
        column = stacked([row[name] for row in instances])
        try:
            inputs[name] = decode_json_tensor(column, signature.inputs[name].dtype, bounds=bounds, where=name)
        except GatewayError as error:
            raise _with_place(error, name) from None
    return inputs


def _names(rows: list[Any], signature: Signature) -> Set[str]:
    """Returns the inputs that each row must have: those that any has, and those that have to be given."""
    given = {name for row in rows if isinstance(row, dict) for name in row}
    return dict.fromkeys(name for name in signature.inputs if name in given or signature.is_required(name)).keys()


def _with_place(error: GatewayError, name: str) -> GatewayError:
    """Returns the error of a column with places as the body has them: row first, then name."""

    def placed(violation: Violation) -> Violation:
        match = _COLUMN.fullmatch(violation.where)
        where = f"{INSTANCES}[{match[2]}].{name}{match[3]}" if match else f"{INSTANCES}[*].{violation.where}"
        return replace(violation, where=where)

    return GatewayError(error.kind, error.message, [placed(violation) for violation in error.violations])


def _plain_rows(instances: list[Any] | NumericArray, signature: Signature, bounds: InputBounds) -> dict[str, Tensor]:
    if len(signature.inputs) > 1:
        got = "numbers" if isinstance(instances, NumericArray) else shown(instances[0])
        raise invalid_input(Violation(f"{INSTANCES}[0]", f"an object with {listed(sorted(signature.inputs))}", got))
    [(name, spec)] = signature.inputs.items()
    return {name: decode_json_tensor(instances, spec.dtype, bounds=bounds, where=INSTANCES)}


def _columns(value: Any, signature: Signature, bounds: InputBounds) -> dict[str, Tensor]:
    if not _is_object(value):
        if len(signature.inputs) > 1:
            text = (
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
            expected = f"an object with {listed(sorted(signature.inputs))}"
            raise _wrong(INPUTS, expected, shown(value), text)
        [(name, spec)] = signature.inputs.items()
        return {name: _column(value, spec.dtype, bounds, INPUTS)}
    inputs = {}
    for name, spec in signature.inputs.items():
        if name not in value and not signature.is_required(name):
            continue
        if name not in value:
            text = f"Missing named input: {name} in 'inputs' object."
            raise _wrong(f"{INPUTS}.{name}", str(spec), "nothing", text)
        inputs[name] = _column(value[name], spec.dtype, bounds, f"{INPUTS}.{name}")
    return inputs


def _column(value: Any, dtype: str, bounds: InputBounds, where: str) -> Tensor:
    try:
        return decode_json_tensor(value, dtype, bounds=bounds, where=where)
    except GatewayError as error:
        raise _explained(error, lambda: upstream_json.fault_of_tensor(value, dtype)) from None


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not is_base64(value)


def _explained(error: GatewayError, find: Callable[[], str | None]) -> GatewayError:
    """Returns the error in upstream's words, where upstream would have found one too."""
    if error.kind is ErrorKind.TOO_LARGE:
        return error
    text = find()
    return error if text is None else error.reworded(text)


def _wrong(where: str, expected: str, got: str, text: str) -> GatewayError:
    return invalid_input(Violation(where, expected, got)).reworded(text)


def document_of(value: Any) -> dict[str, Any]:
    """Returns a body that is an object.

    Raises:
        GatewayError: INVALID_INPUT in upstream's words.
    """
    if not isinstance(value, dict):
        text = f"JSON Value: {json_text(value)} Is not object"
        raise _wrong("body", "an object", json_type(value), text)
    return value


def signature_name_of(document: dict[str, Any]) -> str:
    """Returns the signature that a body names, an empty string when it names none.

    Raises:
        GatewayError: INVALID_INPUT in upstream's words.
    """
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        text = (
            f"JSON Value: {json_text(document)} not formatted correctly. 'signature_name' key must be a string value."
        )
        raise _wrong("signature_name", "a string", shown(as_lists(name)), text)
    return name


def check_examples(document: dict[str, Any]) -> None:
    """Refuses a classify or regress body without a list of examples.

    Raises:
        GatewayError: INVALID_INPUT in upstream's words, which say classify for both.
    """
    if "examples" not in document:
        text = "When method is classify, key 'examples' is expected and was not found"
        raise _wrong("examples", "a list", "nothing", f"JSON Value: {json_text(document)} {text}")
    examples = document["examples"]
    if not isinstance(examples, list):
        text = f"JSON Value: {json_text(document)} Expecting 'examples' value to be an list/array"
        raise _wrong("examples", "a list", shown(examples), text)
    if not examples:
        text = f"JSON Value: {json_text(document)} 'examples' value is an empty array"
        raise _wrong("examples", "one example or more", "none", text)
