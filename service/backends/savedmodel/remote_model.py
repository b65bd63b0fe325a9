"""A model in a helper process, as the gateway sees it; when the process ends, it is loaded into the next one."""

import contextlib
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from service.backends.savedmodel.frames import Fields, Frame
from service.backends.savedmodel.helper import DEFINITIONS
from service.backends.savedmodel.helper_process import HelperProcess
from service.backends.savedmodel.loading import Recorded
from service.backends.savedmodel.runners import Source
from service.codecs.signature_def import decode_signatures
from service.core.batch_policy import ShapeMode
from service.core.load_progress import LoadProgress
from service.core.tensors import Signature, Tensor
from service.errors import ErrorKind, GatewayError, RunEndedError
from service.wire import tensorflow_pb2 as tf_pb

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Place:
    """Where a model is loaded.

    Attributes:
        at: The process, and the number of the model in it.
    """

    at: tuple[HelperProcess, int]

    def drop(self) -> None:
        """Frees the model; blocks until that is done."""
        process, number = self.at
        with contextlib.suppress(RunEndedError):  # and all models with it
            process.ask("drop", model=number)


class RemoteModel:
    """Loads a model into a process, and runs it there.

    Args:
        process: The process.
        source: Where the version is loaded from.
        shapes: The shapes of the requests that warm it up; ``None`` for no warm-up.
        progress: Updated with each stage.

    Attributes:
        signatures: Those that can be served, by name.
        unservable: Why others cannot, by name.
        stateful: An operation of a signature that keeps state or draws at random, by the signature's name.
        place: Where it is loaded.
        suspected: Whether the last process ended while this was loaded into it.
        broken: Why the last reload failed; empty while it can be run.
        seconds: How long the last reload took; 0 before that.

    Raises:
        GatewayError: BACKEND_FAILED when it cannot be served.
        RunEndedError: When the process ends meanwhile.
    """

    def __init__(
        self, process: HelperProcess, source: Source, shapes: ShapeMode | None, progress: LoadProgress
    ) -> None:
        self._again = source.again
        self._shapes = shapes
        self.suspected = False
        self.broken = ""
        self.seconds = 0.0
        fields, tensors = self._loaded(process, source.folder, progress)
        self.place = Place((process, fields["model"]))
        self._definitions = _definitions(fields, tensors)
        decoded = {name: tf_pb.SignatureDef.FromString(written) for name, written in self._definitions.items()}
        self.signatures: Mapping[str, Signature] = decode_signatures(decoded, with_all_defaults=True).servable
        self.unservable: Mapping[str, str] = fields["unservable"]
        self.stateful: Mapping[str, str] = fields["stateful"]
        self._recorded = {
            name: [
                {alias: tensors[f"{name}/{index}/{alias}"] for alias in self.signatures[name].inputs}
                for index in range(count)
            ]
            for name, count in fields["recorded"].items()
        }

    def take_recorded(self) -> Recorded:
        """Returns some of the requests that warmed it up, by signature, and releases them."""
        recorded, self._recorded = self._recorded, {}
        return recorded

    def reload(self, process: HelperProcess) -> None:
        """Loads it into another process, from the same source.

        Raises:
            GatewayError: BACKEND_FAILED when it cannot be served any more, or its signatures have changed.
            RunEndedError: When the process ends meanwhile.
        """
        began = time.monotonic()
        with self._again() as folder:
            fields, tensors = self._loaded(process, folder, LoadProgress())
        self.place.at = process, fields["model"]
        self.seconds = time.monotonic() - began
        if _definitions(fields, tensors) != self._definitions:
            raise GatewayError(ErrorKind.BACKEND_FAILED, "its files are others than those that were served")

    def run(self, signature: Signature, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Runs a signature and returns its outputs by name.

        Raises:
            GatewayError: INVALID_INPUT when the model refuses the values, else OVERLOADED or BACKEND_FAILED.
            RunEndedError: When the process ends before it has answered.
        """
        if self.broken:
            raise GatewayError(ErrorKind.BACKEND_FAILED, self.broken)
        process, number = self.place.at
        return process.ask("run", inputs, model=number, signature=signature.name)[1]

    def _loaded(self, process: HelperProcess, folder: Path, progress: LoadProgress) -> Frame:
        name = os.fsencode(folder).hex()  # names of files need not be text
        fields, tensors = process.ask("load", folder=name, shapes=self._shapes, progress=progress)
        logger.info("%s was warmed up with %d requests", folder, fields["count"])
        return fields, tensors


def _definitions(fields: Fields, tensors: Mapping[str, Tensor]) -> dict[str, bytes]:
    """Returns the serialised signatures of a model, as the process lists them."""
    return dict(zip(fields["signatures"], tensors[DEFINITIONS], strict=True))
