"""What a request was and how it was answered, for whoever keeps that."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from service.core.tensors import Tensor
from service.errors import OK


@dataclass(frozen=True, slots=True)
class Record:
    """One request that a model was asked, in no protocol's terms.

    Attributes:
        model: Name of the model.
        signature: Name of the signature.
        inputs: Tensors by input name, as the model took them.
        outputs: Tensors by output name; ``None`` where it failed, or where the answer is not known.
        wanted: Names of the outputs that were wanted; all of them when it is empty.
        code: ``ok``, or the kind of the error.
        version: Number of the version that answered; ``None`` where that is not known.
        method: What was called, as metrics have it; empty where that is not known.
        request_id: The client's, or one of ours; empty where it is not known.
        time: When it was answered, in seconds since 1970; 0 where that is not known.
        seconds: From the arrival of the request to the answer.
        redacted: Names of inputs that are not kept: they are missing, or zeros and empty strings stand for them.
    """

    model: str
    signature: str
    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor] | None = None
    wanted: tuple[str, ...] = ()
    code: str = OK
    version: int | None = None
    method: str = ""
    request_id: str = ""
    time: float = 0.0
    seconds: float = 0.0
    redacted: tuple[str, ...] = ()


class Recorder(Protocol):
    """Keeps some of the requests. It raises nothing, and makes nobody wait."""

    def chooses(self) -> bool:
        """Returns whether the next request is to be kept; asked once for each."""

    def record(self, record: Record) -> None:
        """Keeps a request that was chosen, or counts that it could not."""
