"""What TensorFlow Serving says: its texts for failures that the engine finds and calls by other names.

Clients have been written against these texts, so they are kept; code and details beside them are ours. Sources: the
texts of TensorFlow Serving's ``predict_util.cc``, ``server_core.cc`` and ``json_tensor.cc``, and recorded answers.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import islice

from service.core.model_version import ModelRef
from service.core.tensors import Signature, Tensor, dtype_name
from service.errors import ErrorKind, GatewayError

_DTYPES = {"float32": "float", "float64": "double", "float16": "half"}
_MAX_TEXT = 1024
_CUT = "...TRUNCATED"
_NOT_FOUND = "not found in request and no default value provided"
_WRONG_SIZE = "input size does not match signature"
_AS_IT_IS = frozenset({ErrorKind.FORBIDDEN, ErrorKind.RATE_LIMITED})
"""Errors that do not tell whether there is what was asked for."""
_SAID_BY_THE_MODEL = frozenset({ErrorKind.INVALID_INPUT, ErrorKind.BACKEND_FAILED})
"""What TensorFlow says of these is passed on, as upstream does; other kinds say how this server stands."""


def dtype_text(name: str) -> str:
    """Returns upstream's name of a dtype, such as ``float``."""
    return _DTYPES.get(name, name)


def shortened(text: str) -> str:
    """Returns the text, cut as upstream cuts what goes into a gRPC status."""
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - len(_CUT)] + _CUT


def unresolved(error: GatewayError, wanted: ModelRef, labels: Mapping[str, int]) -> GatewayError:
    """Rewords why a model could not be found.

    Args:
        error: What the catalog found.
        wanted: What the request named.
        labels: The model's labels.
    """
    if error.kind in _AS_IT_IS:
        return error
    if wanted.label is not None and wanted.label not in labels:  # upstream says so of unknown models, too
        text = shortened(f"Unrecognized servable version label: {wanted.label}")
        return GatewayError(ErrorKind.LABEL_NOT_FOUND, text, error.violations)
    if error.kind is not ErrorKind.MODEL_NOT_FOUND:
        return error
    number = wanted.version if wanted.label is None else labels.get(wanted.label)
    which = f"Latest({wanted.name})" if number is None else f"Specific({wanted.name}, {number})"
    return error.reworded(shortened(f"Servable not found for request: {which}"))


def wrong_inputs(error: GatewayError, signature: Signature, names: Collection[str]) -> GatewayError:
    """Rewords that the inputs are not those of the signature.

    Where there are as many as there should be, upstream finds the missing one later, and says something else.
    """
    missing = sorted(name for name in signature.inputs if name not in names and name not in signature.defaults)
    if len(names) == len(signature.inputs) and missing:
        alias = missing[0]
        feed = signature.inputs[alias].tensor_name
        text = f"Signature input alias: {alias}(feed name: {feed}) {_NOT_FOUND}"
        return error.reworded(shortened(text))
    extra = [name for name in names if name not in signature.inputs]
    return error.reworded(
        shortened(
            f"{_WRONG_SIZE}: {len(names)}!={len(signature.inputs)} "
            f"len({_set(names)}) != len({_set(signature.inputs)}). "
            f"Sent extra: {_set(extra)}. Missing but required: {_set(missing)}."
        )
    )


def says_input_is_missing(error: GatewayError) -> bool:
    """Returns whether it is in upstream's words for an input that was left out and has no default."""
    return error.kind is ErrorKind.INVALID_INPUT and any(text in error.message for text in (_NOT_FOUND, _WRONG_SIZE))


def refused(
    error: GatewayError, signature: Signature, inputs: Mapping[str, Tensor], wanted: Sequence[str]
) -> GatewayError:
    """Rewords what the engine found wrong with tensors and wanted outputs; shapes are reported in our own words.

    Args:
        error: What the engine found.
        signature: What was called.
        inputs: What came, by the signature's names.
        wanted: Names of the requested outputs.
    """
    if error.upstream and error.kind in _SAID_BY_THE_MODEL:
        return error.reworded(shortened(error.upstream))
    if error.kind is not ErrorKind.INVALID_INPUT:
        return error
    for index, alias in enumerate(sorted(inputs)):
        expected, got = signature.inputs[alias].dtype, dtype_name(inputs[alias])
        if expected != got:
            text = f"Expects arg[{index}] to be {dtype_text(expected)} but {dtype_text(got)} is provided"
            return error.reworded(text)
    for position, alias in enumerate(wanted):
        if alias not in signature.outputs:
            text = f"output tensor alias not found in signature: {alias} Outputs expected to be in the set "
            return error.reworded(shortened(f"{text}{_set(signature.outputs)}."))
        if alias in wanted[:position]:
            return error.reworded(shortened(f"duplicate output tensor alias: {alias}"))
    return error


def _set(names: Collection[str]) -> str:
    """Returns the names as upstream lists them; of many, those that come first, as the text is cut anyway."""
    return "{" + ",".join(sorted(islice(names, _MAX_TEXT))) + "}"
