"""Inference on any signature, by the Open Inference Protocol.

Of the server's protocols it is the one for arrays: their bytes travel as they lie in memory, both ways, where
TensorFlow Serving's answers hold a varint for each integer. What it lacks are complex numbers.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tensorgate.client.answers import Prediction
from tensorgate.client.calls import INFER, Call, Limits, split
from tensorgate.client.metadata import Signature
from tensorgate.client.packed import Array
from tensorgate.client.tensors import array_of, decode, encode
from tensorgate.wire import infer_pb2 as pb

_SIGNATURE_NAME = "signature_name"


class InferRequest(NamedTuple):
    """What is asked of one signature.

    Attributes:
        model: Its name.
        version: Its number or label; ``None`` for the newest that is available.
        signature: What is known of it; ``None`` leaves everything to the server.
        signature_name: As it was asked for.
        outputs: Those that are wanted; ``None`` for all.
    """

    model: str
    version: int | str | None
    signature: Signature | None
    signature_name: str | None
    outputs: Sequence[str] | None

    def calls(self, inputs: Mapping[str, Any], limits: Limits) -> list[Call]:
        """Returns the calls that ask it, several where the rows are more than one may hold.

        Raises:
            InvalidInput: When an input cannot be what the model takes.
        """
        specs = {} if self.signature is None else self.signature.inputs
        arrays = {name: array_of(value, specs.get(name), name) for name, value in inputs.items()}
        rows = 1 if _are_few(arrays, limits) else self._rows(arrays) or 1
        if rows == 1:
            return [self._call(arrays)]
        sizes = sum(_row_sizes(array, rows) for array in arrays.values())
        parts = split(np.asarray(sizes).tolist(), limits)
        return [self._call({name: array[part] for name, array in arrays.items()}) for part in parts]

    def _rows(self, arrays: Mapping[str, Array]) -> int | None:
        """Returns how many rows there are, where they do not depend on each other."""
        if self.signature is None or not self.signature.batched:
            return None
        rows = {len(array) if array.ndim else 0 for array in arrays.values()}
        specs = self.signature.inputs
        free = all(name in specs and (specs[name].shape or (0,))[0] is None for name in arrays)
        return rows.pop() if free and len(rows) == 1 else None

    def _call(self, arrays: Mapping[str, Array]) -> Call:
        request = pb.ModelInferRequest(model_name=self.model)
        if self.version is not None:
            request.model_version = str(self.version)
        if self.signature_name is not None:
            request.parameters[_SIGNATURE_NAME].string_param = self.signature_name
        specs = {} if self.signature is None else self.signature.inputs
        for name, array in arrays.items():
            datatype, data = encode(array, specs[name].dtype if name in specs else "", name)
            request.inputs.add(name=name, datatype=datatype, shape=array.shape)
            request.raw_input_contents.append(data)
        for name in self.outputs or ():
            request.outputs.add(name=name)
        return Call(INFER, request)


def joined(answers: Sequence[pb.ModelInferResponse]) -> Prediction:
    """Returns the outputs, the rows of one answer after those of the one before.

    Raises:
        ServerError: When an answer is not what it says.
    """
    outputs = [_outputs(answer) for answer in answers]
    names = outputs[0]
    first = answers[0]
    arrays = names if len(outputs) == 1 else {name: np.concatenate([one[name] for one in outputs]) for name in names}
    return Prediction(arrays, first.model_name, int(first.model_version))


def _outputs(answer: pb.ModelInferResponse) -> dict[str, Array]:
    return {
        output.name: decode(output.datatype, tuple(output.shape), data, output.name)
        for output, data in zip(answer.outputs, answer.raw_output_contents, strict=True)
    }


def _are_few(arrays: Mapping[str, Array], limits: Limits) -> bool:
    """Whether one call holds them, as is seen at once."""
    size = 0
    for array in arrays.values():
        if array.dtype.kind == "O" or (array.ndim and len(array) > limits.rows):
            return False
        size += array.nbytes
    return size <= limits.size // 2


def _row_sizes(array: Array, rows: int) -> Array:
    """Returns the bytes of each row."""
    if array.dtype.kind != "O":
        return np.full(rows, array.nbytes // rows)
    return np.array([sum(len(value) + 4 for value in row.ravel().tolist()) for row in array.reshape(rows, -1)])
