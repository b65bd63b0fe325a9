"""The helper process: loads and runs models for the gateway that started it, and ends when the gateway does.

It reads no settings and writes no log. Output of native code goes where the gateway's goes.
"""

import faulthandler
import gc
import itertools
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from service.backends.savedmodel import frames
from service.backends.savedmodel.frames import Fields
from service.backends.savedmodel.loading import import_tensorflow, load_and_warm_up
from service.core import native_output
from service.core.batch_policy import ShapeMode
from service.core.load_progress import LoadProgress
from service.core.tensors import Tensor
from service.errors import GatewayError

if TYPE_CHECKING:
    from service.backends.savedmodel.loaded import LoadedModel

CONNECT = b"+"
"""Sent along with each new connection."""
DEFINITIONS = ""
"""Name of the tensor that holds the signatures, beside those of inputs."""
_HEARTBEAT_SECONDS = 1.0
_SWITCH_SECONDS = 0.0005
"""As in the gateway (`service.app.process`)."""

PROGRESS = "progress"
"""The field of messages that are sent before the answer, which does not have it."""
_PROGRESS_SECONDS = 0.2

Answer = tuple[Fields, Mapping[str, Tensor]]
Tell = Callable[[Fields], None]
"""Sends something before the answer."""


class _ToldProgress(LoadProgress):
    """The progress of a load, sent now and then to whoever asked for it."""

    def __init__(self, tell: Tell) -> None:
        super().__init__()
        self._tell = tell
        self._next = 0.0

    def enter(self, stage: str, unit: str = "", *, done: int | None = None, total: int | None = None) -> None:
        """Begins another stage."""
        super().enter(stage, unit, done=done, total=total)
        self._report()

    def advance(self, count: int = 1) -> None:
        """Counts what has been done of the stage."""
        super().advance(count)
        if time.monotonic() >= self._next:
            self._report()

    def _report(self) -> None:
        self._next = time.monotonic() + _PROGRESS_SECONDS
        self._tell({PROGRESS: {"stage": self.stage, "unit": self.unit, "done": self.done, "total": self.total}})


class Helper:
    """Answers requests; its methods may be called from several threads.

    Args:
        threads: Number of threads for one operation of TensorFlow.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._models: dict[int, LoadedModel] = {}
        self._numbers = itertools.count()
        self._requests: dict[str, Callable[[Fields, Mapping[str, Tensor], Tell], Answer]] = {
            "start": self._start,
            "load": self._load,
            "run": self._run,
            "drop": self._drop,
        }

    def answer(self, fields: Fields, tensors: Mapping[str, Tensor], tell: Tell) -> list[memoryview]:
        """Returns the frame with the answer to a request, or with the error."""
        try:
            return frames.encode(*self._requests[fields["request"]](fields, tensors, tell))
        except GatewayError as error:
            return frames.encode({"kind": error.kind, "message": error.message, "upstream": _text(error.upstream)}, {})
        except Exception:
            return frames.encode({"unexpected": _text(traceback.format_exc())}, {})

    def _start(self, fields: Fields, tensors: Mapping[str, Tensor], tell: Tell) -> Answer:
        return {"text": import_tensorflow()}, {}

    def _load(self, fields: Fields, tensors: Mapping[str, Tensor], tell: Tell) -> Answer:
        """Answers with the number of the model, its signatures, and some of the requests that warmed it up."""
        folder = Path(os.fsdecode(bytes.fromhex(fields["folder"])))
        shapes = None if fields["shapes"] is None else ShapeMode(fields["shapes"])
        model, recorded, count = load_and_warm_up(folder, self._threads, shapes, _ToldProgress(tell))
        number = next(self._numbers)
        self._models[number] = model
        written = [model.definitions[name].SerializeToString(deterministic=True) for name in model.signatures]
        answer = {
            "model": number,
            "signatures": list(model.signatures),
            "unservable": model.unservable,
            "stateful": model.stateful,
            "recorded": {name: len(requests) for name, requests in recorded.items()},
            "count": count,
        }
        given = {
            f"{name}/{index}/{alias}": tensor
            for name, requests in recorded.items()
            for index, inputs in enumerate(requests)
            for alias, tensor in inputs.items()
        }
        return answer, {DEFINITIONS: np.array(written, object)} | given

    def _run(self, fields: Fields, tensors: Mapping[str, Tensor], tell: Tell) -> Answer:
        model = self._models[fields["model"]]
        return {}, model.run(model.signatures[fields["signature"]], tensors)

    def _drop(self, fields: Fields, tensors: Mapping[str, Tensor], tell: Tell) -> Answer:
        self._models.pop(fields["model"]).calls.clear()
        gc.collect()
        return {}, {}


def _text(text: str) -> str:
    """Returns the text as JSON in UTF-8 can have it."""
    return text.encode("utf-8", "backslashreplace").decode()


def _serve(helper: Helper, connection: socket.socket) -> None:
    def tell(fields: Fields) -> None:
        frames.send(connection, frames.encode(fields, {}))

    try:
        while True:
            frames.send(connection, helper.answer(*frames.receive(connection), tell))
    except frames.ConnectionEndedError:
        os._exit(0)  # the gateway is gone


def main() -> None:
    """Sends heartbeats on an inherited socket, and receives connections for requests by it."""
    secret, threads, descriptor = sys.argv[1:]
    # A terminal or a service manager sends these to all processes; the gateway decides when this one ends.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    native_output.mark(secret or None)
    faulthandler.enable(native_output.STANDARD_ERROR)
    sys.setswitchinterval(_SWITCH_SECONDS)
    control = socket.socket(fileno=int(descriptor))
    helper = Helper(int(threads))
    try:
        while True:
            control.send(b".")
            if select.select([control], [], [], _HEARTBEAT_SECONDS)[0]:
                data, connections, _, _ = socket.recv_fds(control, len(CONNECT), 1)
                if not data:
                    break
                connection = socket.socket(fileno=connections[0])
                threading.Thread(target=_serve, args=(helper, connection), daemon=True).start()
    finally:
        os._exit(0)  # the gateway is gone


if __name__ == "__main__":
    main()
