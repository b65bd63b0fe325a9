"""Loads SavedModels into this process. TensorFlow is imported by the first load, and not by importing this."""

import functools
import gc
import importlib
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from service.backends.savedmodel.manifest import size_of, verify
from service.core import native_output
from service.core.batch_policy import ShapeMode
from service.core.load_progress import LoadProgress
from service.core.tensors import Tensor

if TYPE_CHECKING:
    from service.backends.savedmodel.loaded import LoadedModel

logger = logging.getLogger(__name__)

_WARNINGS_ONLY = "1"

Recorded = Mapping[str, Sequence[Mapping[str, Tensor]]]
"""Some of the requests that warmed a version up, by signature."""


@functools.cache
def import_tensorflow() -> str:
    """Imports it; returns which release it is, and on which devices it runs."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", _WARNINGS_ONLY)
    with native_output.quiet():  # some of it is written before its logging can be configured
        tensorflow = importlib.import_module("tensorflow")
        # Its Python loader recommends another one, which costs more at every call.
        tensorflow.get_logger().setLevel(logging.ERROR)
        devices = [
            device.name.removeprefix("/physical_device:") for device in tensorflow.config.list_physical_devices()
        ]
    found = f"TensorFlow {tensorflow.__version__} runs on {', '.join(devices)}"
    logger.info(found)
    # Its modules are half a million objects that live for ever: the collector need not look at them again.
    gc.freeze()
    return found


def load_and_warm_up(
    folder: Path, threads: int, shapes: ShapeMode | None, progress: LoadProgress
) -> "tuple[LoadedModel, Recorded, int]":
    """Loads the version in a folder.

    Args:
        folder: Of the version.
        threads: How many threads share the work of one operation.
        shapes: Which shapes the requests are given that warm it up; ``None`` for no warm-up.
        progress: Told of each stage, and how far it is.

    Returns:
        The model, some of the requests that warmed it up, and how many there were.

    Raises:
        GatewayError: BACKEND_FAILED when it cannot be served.
    """
    progress.enter("importing TensorFlow")
    import_tensorflow()
    from service.backends.savedmodel import warmup  # noqa: PLC0415  # imports tensorflow
    from service.backends.savedmodel.loaded import LoadedModel  # noqa: PLC0415  # likewise

    folder = folder.resolve()  # a link may be moved on meanwhile: what is loaded is all of one version
    verify(folder, progress)
    progress.enter("reading its graph and variables", "bytes", total=size_of(folder))
    model = LoadedModel(folder, threads=threads)
    if shapes is None:
        return model, {}, 0
    progress.enter("warming up", "requests", done=0)
    count, some = warmup.replay(model, folder, shapes, progress)
    logger.info("%s was warmed up with %d requests", folder, count)
    return model, some, count
