"""Whether requests of a signature may be merged and split: found out by trial, before its version takes any.

That all first dimensions are free says only that a model takes any number of rows, not that each row's answer is its
own. So rows are run together and apart, and what differs is neither merged nor split; nor is what cannot be tried.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from math import prod
from random import Random

import numpy as np

from service.core.batch_policy import BatchMode, BatchPolicy
from service.core.tasks import Run
from service.core.tensors import NUMPY_DTYPES, STRING, Signature, Tensor, TensorSpec, byte_size, dtype_name
from service.errors import ErrorKind, GatewayError

Inputs = Mapping[str, Tensor]

_TOLERANCES = {"float64": 1e-6, "complex128": 1e-6, "float16": 3e-2, "bfloat16": 3e-2}
_TOLERANCE = 1e-3
"""How far rows that were run together and alone may be apart, as a share of the largest number in the output: float32
may be added up in another order, and on some GPUs it is rounded to 10 bits."""
_FEW_ROWS = (2, 3)
_SECONDS = 2.0
"""About how long the rows of the full batch may take."""
_MAX_BYTES = 32 * 1024 * 1024
_FREE_SIZES = (3, 1, 16)
"""What is tried for dimensions that a signature leaves open."""
_INTEGERS_BELOW = (10, 2)
"""What is tried for integers: they may be indices, of which there are not many."""
_UNREACHABLE = frozenset({ErrorKind.BACKEND_UNAVAILABLE, ErrorKind.NOT_READY})
_WORDS = np.array([b"one", b"two words", b"", b"three more words", b"4"], object)


async def find_unbatched(
    signatures: Mapping[str, Signature],
    run: Run,
    *,
    policy: Callable[[str], BatchPolicy],
    stateful: Mapping[str, str] | None = None,
    recorded: Mapping[str, Sequence[Inputs]] | None = None,
) -> dict[str, str]:
    """Returns why requests of a signature are neither merged nor split, by its name; without those that may be.

    Args:
        signatures: The model's, by name.
        run: Runs one signature on tensors. `GatewayError` means that the model does not take them.
        policy: Returns how requests of a signature are merged. Those that are not to be are not tried.
        stateful: Which operation of a signature keeps state or draws at random, where that is known.
        recorded: Requests that are known to make sense, by signature.

    Raises:
        GatewayError: BACKEND_UNAVAILABLE or NOT_READY, which say nothing of the model.
    """
    found: dict[str, str] = {}
    for name, signature in signatures.items():
        if policy(name).mode is BatchMode.OFF:
            reason = "batching was off when it was loaded"
        elif not signature.batchable:
            reason = "the first dimension of a tensor is not free"
        elif signature.defaults:
            reason = "an input has a default"
        else:
            reason = (stateful or {}).get(name, "")
            reason = reason or await _try(signature, run, (recorded or {}).get(name, ()), policy(name).rows)
        if reason:
            found[name] = reason
    return found


async def _try(signature: Signature, run: Run, recorded: Sequence[Inputs], max_rows: int) -> str:
    """Returns why a signature's rows are not independent of each other; empty when they are."""
    for make in likely_inputs(signature, recorded):
        try:
            await run(signature, make(_FEW_ROWS[0]))
        except GatewayError as error:
            _raise_if_unreachable(error)
            continue
        return await _compare(signature, run, make, max_rows)
    return "no input was found that the model takes"


async def _compare(signature: Signature, run: Run, make: Callable[[int], Inputs], max_rows: int) -> str:
    seconds = 0.0
    for rows in _FEW_ROWS:
        began = time.monotonic()
        if reason := await _difference(signature, run, make(rows)):
            return reason
        seconds = time.monotonic() - began
    few = _FEW_ROWS[-1]
    row_bytes = max(1, byte_size(make(few).values()) // few)
    rows = min(max_rows, _MAX_BYTES // row_bytes, int(_SECONDS / max(seconds, 1e-6) * few))
    return await _difference(signature, run, make(rows)) if rows > few else ""


async def _difference(signature: Signature, run: Run, inputs: Inputs) -> str:
    """Returns how the answer to rows together differs from the answers to two parts of them, or to the same again."""
    rows = len(next(iter(inputs.values())))
    parts = [{name: tensor[part] for name, tensor in inputs.items()} for part in _halves(rows)]
    try:
        whole = await run(signature, inputs)
        again = await run(signature, inputs)
        apart = [await run(signature, part) for part in parts]
    except GatewayError as error:
        _raise_if_unreachable(error)
        return f"of {rows} rows it takes some and not others: {error}"
    for name, tensor in whole.items():
        if not _is_same(tensor, again[name]):
            return f"{name} is another each time"
        pieces = [outputs[name] for outputs in apart]
        if tensor.ndim == 0 or len(tensor) != rows or len({piece.shape[1:] for piece in (tensor, *pieces)}) > 1:
            return f"{name} has no row for each of {rows} rows"
        if not _is_same(tensor, np.concatenate(pieces)):
            return f"{name} of {rows} rows together differs from that of the rows apart"
    return ""


def _raise_if_unreachable(error: GatewayError) -> None:
    """Raises an error that says nothing of the model."""
    if error.kind in _UNREACHABLE:
        raise error


def _halves(rows: int) -> tuple[slice, slice]:
    return slice(0, rows // 2), slice(rows // 2, rows)


def _is_same(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape:
        return False
    name = dtype_name(one)
    if one.dtype.kind not in "fc" and name != "bfloat16":
        return bool(np.array_equal(one, other))
    exact = np.complex128 if one.dtype.kind == "c" else np.float64
    one, other = one.astype(exact), other.astype(exact)
    finite = np.abs(one[np.isfinite(one)])
    allowed = _TOLERANCES.get(name, _TOLERANCE) * (float(finite.max()) if finite.size else 0.0)
    return bool(np.allclose(one, other, rtol=0.0, atol=allowed, equal_nan=True))


def likely_inputs(signature: Signature, recorded: Sequence[Inputs]) -> Iterator[Callable[[int], Inputs]]:
    """Yields what makes inputs of so many rows, the likeliest to be taken first."""
    if (rows := _recorded_rows(signature, recorded)) is not None:
        yield partial(_repeated, rows)
    specs = signature.inputs.values()
    has_free = any(None in (spec.shape or ())[1:] for spec in specs)
    for size in _FREE_SIZES if has_free else _FREE_SIZES[:1]:
        for below in _INTEGERS_BELOW:
            yield partial(_generated, signature, size=size, below=below)


def _recorded_rows(signature: Signature, recorded: Sequence[Inputs]) -> Inputs | None:
    """Returns the rows of all records that can stand together; ``None`` where they do not differ."""
    fitting = [
        inputs
        for inputs in recorded
        if inputs.keys() == signature.inputs.keys()
        and {name: tensor.shape[1:] for name, tensor in inputs.items()}
        == {name: tensor.shape[1:] for name, tensor in recorded[0].items()}
    ]
    if not fitting:
        return None
    rows = {name: np.concatenate([inputs[name] for inputs in fitting]) for name in signature.inputs}
    differ = any(not np.array_equal(tensor, np.repeat(tensor[:1], len(tensor), axis=0)) for tensor in rows.values())
    return rows if differ else None


def _repeated(inputs: Inputs, rows: int) -> Inputs:
    """Returns that many rows of the inputs, from the first again after the last; two neighbours differ where any do."""
    return {name: np.resize(tensor, (rows, *tensor.shape[1:])) for name, tensor in inputs.items()}


def _generated(signature: Signature, rows: int, *, size: int, below: int) -> Inputs:
    random = Random(rows)  # noqa: S311  # to be repeatable, not secret
    return {name: _values(spec, random, rows, size, below) for name, spec in signature.inputs.items()}


def _values(spec: TensorSpec, random: Random, rows: int, size: int, below: int) -> Tensor:
    known = (None,) if spec.shape is None else spec.shape
    shape = tuple((size if axis else rows) if length is None else length for axis, length in enumerate(known))
    if spec.dtype == STRING:
        return np.asarray(_WORDS[(_fractions(random, shape) * len(_WORDS)).astype(int)])
    dtype = NUMPY_DTYPES[spec.dtype]
    if dtype.kind in "iu":
        return (_fractions(random, shape) * below).astype(dtype)
    if dtype.kind == "b":
        return np.asarray(_fractions(random, shape) < 0.5)
    values = 4 * _fractions(random, shape) - 2
    return (values + 1j * _fractions(random, shape) if dtype.kind == "c" else values).astype(dtype)


def _fractions(random: Random, shape: tuple[int, ...]) -> Tensor:
    """Returns numbers from 0 to below 1; of bytes, as numpy's own generators are not in the gateway's image."""
    integers = np.frombuffer(random.randbytes(4 * prod(shape)), np.uint32)
    return np.asarray(integers.reshape(shape) / 2**32)
