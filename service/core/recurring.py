"""Requests that come again and again and differ in nothing but their numbers.

What a client asks for hardly ever changes: the model, the names, types and shapes are in each of its messages the
same bytes, and after them come the numbers of one tensor. Where such a message was found right once, one that begins
with the same bytes and is as long is right too, and need neither be parsed nor checked again. Answers likewise.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from service.core.catalog import Catalog, ModelVersion
from service.core.tensors import STRING, Signature, Tensor

_MOST_KINDS = 1024
_MOST_LENGTHS = 8
"""Of beginnings of messages of one length, each of which is looked for."""
_MOST_ANSWERS = 8
_LONGEST_BEGINNING = 1024
_BY_VALUE = {"bool", STRING}
"""Dtypes of which the values themselves are checked, or measured."""
_NUMBERS = "iuf"
"""Kinds of numpy's dtypes of which every value travels as it is."""
_OTHER_BYTES = bytes(byte ^ 0xFF for byte in range(256))


@dataclass(slots=True)
class RecurringRequest:
    """What all requests ask for that begin with the same bytes.

    Attributes:
        beginning: The bytes before the numbers.
        version: What is to answer.
        signature: What is to be run of it.
        name: Of the one input.
        shape: Of its tensor.
        dtype: Likewise.
        rows: As the check of the inputs gave them.
        outputs: Names of those that are wanted, in their order; all when it is empty.
    """

    beginning: bytes
    version: ModelVersion
    signature: Signature
    name: str
    shape: tuple[int, ...]
    dtype: "np.dtype[np.generic]"
    rows: int
    outputs: tuple[str, ...] = ()
    _answers: dict[object, bytes] = field(default_factory=dict)

    def inputs(self, data: bytes) -> dict[str, Tensor]:
        """Returns the input of one of the requests, read-only."""
        return {self.name: np.frombuffer(data[len(self.beginning) :], self.dtype).reshape(self.shape)}

    def answer(self, outputs: Mapping[str, Tensor], write: Callable[[Mapping[str, Tensor]], bytes]) -> bytes:
        """Returns the answer to one of the requests.

        Args:
            outputs: All that there are, by name.
            write: Writes those that are wanted; nothing but the end of what it returns may depend on one tensor's
                numbers.
        """
        if self.outputs:
            outputs = {name: outputs[name] for name in self.outputs}
        if len(outputs) != 1:
            return write(outputs)
        ((name, tensor),) = outputs.items()
        numbers = tensor.tobytes()
        kind = (name, tensor.dtype, tensor.shape)
        beginning = self._answers.get(kind)
        if beginning is not None:
            return beginning + numbers
        answer = write(outputs)
        if numbers and tensor.dtype.kind in _NUMBERS and len(self._answers) < _MOST_ANSWERS:
            # As with requests: the numbers are the end of the answer, if others come out in their place.
            beginning = answer[: len(answer) - len(numbers)]
            others = numbers.translate(_OTHER_BYTES)
            if write({name: np.frombuffer(others, tensor.dtype).reshape(tensor.shape)}) == beginning + others:
                self._answers[kind] = beginning
        return answer


@dataclass(frozen=True, slots=True)
class StreamedMessage:
    """A message of a stream.

    Attributes:
        data: As it came.
        known: What it asks for, if that is known.
        parsed: The message, if it is not.
    """

    data: bytes
    known: RecurringRequest | None
    parsed: Any = None


class RecurringRequests:
    """Those that are known, until anything about the models changes.

    Args:
        catalog: The models that there are.
        tail: Parses a message, and returns the bytes of its one tensor; ``None`` where it has another form.
    """

    def __init__(self, catalog: Catalog, tail: Callable[[bytes], bytes | None]) -> None:
        self._tail = tail
        self._count = 0
        # By length of the message, and of its beginning, and by the beginning.
        self._known: dict[int, dict[int, dict[bytes, RecurringRequest]]] = {}
        catalog.subscribe(lambda _: self._forget())

    def find(self, data: bytes) -> RecurringRequest | None:
        """Returns what a message asks for, if that is known."""
        for length, known in self._known.get(len(data), _NONE).items():
            found = known.get(data[:length])
            if found is not None:
                return found
        return None

    def remember(
        self,
        data: bytes,
        version: ModelVersion,
        signature: Signature,
        inputs: Mapping[str, Tensor],
        rows: int,
        outputs: tuple[str, ...] = (),
    ) -> None:
        """Notes a request that was found right, if it is one whose numbers come last.

        Args:
            data: Its message, which names no label, and in which there is nothing but the model, its input and outputs.
            version: What answered it.
            signature: What was run.
            inputs: As they were checked.
            rows: As the check gave them.
            outputs: Names of those that are wanted, in their order; all when it is empty.
        """
        if len(inputs) != 1:
            return
        ((name, tensor),) = inputs.items()
        size = tensor.nbytes
        beginning = data[: len(data) - size]
        if not size or len(beginning) > _LONGEST_BEGINNING or signature.inputs[name].dtype in _BY_VALUE:
            return
        # The numbers are the end of the message if others in their place are found as its tensor, all of them.
        others = data[-size:].translate(_OTHER_BYTES)
        if self._tail(beginning + others) != others:
            return
        if self._count >= _MOST_KINDS:
            self._forget()
        self._count += 1
        by_length = self._known.setdefault(len(data), {})
        if len(by_length) >= _MOST_LENGTHS and len(beginning) not in by_length:
            by_length.clear()
        by_length.setdefault(len(beginning), {})[beginning] = RecurringRequest(
            beginning, version, signature, name, tensor.shape, tensor.dtype, rows, outputs
        )

    def _forget(self) -> None:
        self._known.clear()
        self._count = 0


_NONE: dict[int, dict[bytes, RecurringRequest]] = {}
