"""Numbers in any shape where a signature asks for a column: [3], [] or [2, 2] for [?, 1].

TensorFlow Serving leaves shapes to the graph, and the first example of its documentation sends [3] to a signature that
says [?, 1]. A graph that was given a rank it was not traced for may end the process, so the numbers are run as the
column that the signature promises, one a row, and each row of the answer goes where its number stood.
"""

from collections.abc import Mapping

from service.core.tensors import Signature, Tensor, TensorSpec


def as_columns(signature: Signature, inputs: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], tuple[int, ...]] | None:
    """Returns the inputs as the columns that a signature asks for, and the one shape in which all of them came.

    ``None`` where it asks for anything else, or where they came in several shapes.
    """
    shapes = {tensor.shape for tensor in inputs.values()}
    if inputs.keys() != signature.inputs.keys() or len(shapes) != 1:
        return None
    columns = {}
    for name, spec in signature.inputs.items():
        if not _is_column(spec):
            return None
        columns[name] = inputs[name].reshape((-1, *[1] * len((spec.shape or ())[1:])))
    return columns, shapes.pop()


def in_shape(outputs: Mapping[str, Tensor], rows: int, shape: tuple[int, ...]) -> dict[str, Tensor]:
    """Returns outputs [rows, ...] with their rows in that shape; rows of one number each as that number."""
    return {name: _in_shape(tensor, rows, shape) for name, tensor in outputs.items()}


def _in_shape(tensor: Tensor, rows: int, shape: tuple[int, ...]) -> Tensor:
    if not tensor.ndim or len(tensor) != rows:
        return tensor
    row = () if set(tensor.shape[1:]) <= {1} else tensor.shape[1:]
    return tensor.reshape((*shape, *row))


def _is_column(spec: TensorSpec) -> bool:
    return spec.shape is not None and len(spec.shape) > 1 and spec.shape[0] is None and set(spec.shape[1:]) == {1}
