"""The check of a request's tensors against the signature, before any backend sees them.

A tensor of the wrong rank does not merely fail: it aborts the process that runs TensorFlow. So everything that the
signature states is checked here, for every protocol, and all that is wrong is reported at once.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice

from service.core.tensors import Shape, Signature, Tensor, TensorSpec, dtype_name, shape_text
from service.errors import Violation, invalid_input, listed, shown

_MAX_VIOLATIONS = 20
"""At most this many are reported, however many names are wrong."""


def check_inputs(signature: Signature, inputs: Mapping[str, Tensor], *, shapes: bool = True) -> int:
    """Checks names, dtypes, ranks, known dimensions and equal numbers of rows; all required inputs must be there.

    Args:
        signature: What the model takes.
        inputs: Tensors by input name.
        shapes: Whether ranks, dimensions and numbers of rows are checked; dtypes always are.

    Returns:
        The number of rows: the common first dimension, or 1 where no input has a free first dimension.

    Raises:
        GatewayError: INVALID_INPUT with one violation for each thing that is wrong.
    """
    rows = rows_if_valid(signature, inputs)
    return _rows_or_raise(signature, inputs, shapes=shapes) if rows is None else rows


def rows_if_valid(signature: Signature, inputs: Mapping[str, Tensor]) -> int | None:
    """Returns the number of rows; ``None`` where anything may be wrong: most requests pass here, and no further."""
    if len(inputs) != len(signature.inputs):
        return None
    rows = -1
    for name, spec in signature.inputs.items():
        tensor = inputs.get(name)
        if tensor is None or tensor.dtype != spec.numpy_dtype:
            return None
        shape = tensor.shape
        allowed = spec.shape
        if not _fits(shape, allowed):
            return None
        if allowed and allowed[0] is None:
            if rows not in (-1, shape[0]):
                return None
            rows = shape[0]
    return 1 if rows == -1 else rows


def _rows_or_raise(signature: Signature, inputs: Mapping[str, Tensor], *, shapes: bool) -> int:
    violations = _wrong_names(signature, inputs)
    for name, spec in signature.inputs.items():
        if name in inputs:
            violations += _tensor_violations(name, spec if shapes else TensorSpec(spec.dtype, None), inputs[name])
    if not violations and shapes:
        violations += _row_violations(signature, inputs)
    if violations:
        raise invalid_input(*violations)
    return next(_rows(signature, inputs), ("", 1))[1]


def check_names(signature: Signature, names: Collection[str]) -> None:
    """Checks only that the inputs are those of the signature, and that all required ones are there.

    Raises:
        GatewayError: INVALID_INPUT with one violation for each that is missing or too many.
    """
    if violations := _wrong_names(signature, names):
        raise invalid_input(*violations)


def check_outputs(signature: Signature, wanted: Sequence[str]) -> None:
    """Checks the names of the outputs that are wanted.

    Raises:
        GatewayError: INVALID_INPUT for the first that the signature does not have, or that is named twice.
    """
    for index, name in enumerate(wanted):
        if name not in signature.outputs:
            known = listed(sorted(signature.outputs)) or "none"
            raise invalid_input(Violation(f"outputs[{index}]", f"one of {known}", shown(name)))
        if name in wanted[:index]:
            raise invalid_input(Violation(f"outputs[{index}]", "each output once", f"{shown(name)} again"))


def _wrong_names(signature: Signature, names: Collection[str]) -> list[Violation]:
    if len(names) == len(signature.inputs) and signature.inputs.keys() >= set(names):
        return []
    return list(islice(_name_violations(signature, names), _MAX_VIOLATIONS))


def _name_violations(signature: Signature, names: Collection[str]) -> Iterator[Violation]:
    expected = "the inputs " + ", ".join(sorted(signature.inputs)) if signature.inputs else "no input"
    for name in names:
        if name not in signature.inputs:
            yield Violation(f"inputs.{name}", expected, "an input that the signature does not have")
    for name, spec in signature.inputs.items():
        if name not in names and signature.is_required(name):
            yield Violation(f"inputs.{name}", str(spec), "nothing")


def _tensor_violations(name: str, spec: TensorSpec, tensor: Tensor) -> Iterator[Violation]:
    where = f"inputs.{name}"
    if dtype_name(tensor) != spec.dtype:
        yield Violation(where, f"dtype {spec.dtype}", f"dtype {dtype_name(tensor)}")
    if not _fits(tensor.shape, spec.shape):
        got = f"shape {shape_text(tensor.shape)}{_hint(tensor.shape, spec.shape)}"
        yield Violation(where, f"shape {shape_text(spec.shape)}", got)


def _hint(shape: tuple[int, ...], allowed: Shape | None) -> str:
    """Returns what to say of the two dimensions that are forgotten most."""
    if not allowed or allowed[0] is not None:
        return ""
    if _fits(shape, allowed[1:]):
        return ", which is one row alone: put it into a list of one"
    if allowed[-1] == 1 and _fits(shape, allowed[:-1]):
        return ", without the last dimension: write [1.0], [2.0] in place of 1.0, 2.0"
    return ""


def _fits(shape: tuple[int, ...], allowed: Shape | None) -> bool:
    if allowed is None:
        return True
    if len(shape) != len(allowed):
        return False
    if allowed and allowed[0] is None and shape[1:] == allowed[1:]:
        return True  # as most do: a free number of rows of a known shape
    return all(known is None or size == known for size, known in zip(shape, allowed, strict=True))


def _row_violations(signature: Signature, inputs: Mapping[str, Tensor]) -> Iterator[Violation]:
    batched = list(_rows(signature, inputs))
    for name, rows in batched[1:]:
        first, expected = batched[0]
        if rows != expected:
            yield Violation(f"inputs.{name}", f"{expected} rows, as {first} has", f"{rows} rows")


def _rows(signature: Signature, inputs: Mapping[str, Tensor]) -> Iterator[tuple[str, int]]:
    """Yields the row counts of the inputs whose first dimension is free."""
    for name, spec in signature.inputs.items():
        if spec.shape and spec.shape[0] is None and name in inputs and inputs[name].ndim:
            yield name, inputs[name].shape[0]
