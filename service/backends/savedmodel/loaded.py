"""One SavedModel in memory: its signatures, and how to call them. Imports tensorflow."""

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow.python.saved_model import loader_impl

from service.core.tensors import NUMPY_DTYPES, Signature, Tensor, TensorSpec
from service.errors import ErrorKind, GatewayError

logger = logging.getLogger(__name__)

_SERVE = "serve"
_MAX_REASON = 300
_ASSERTION = re.compile(r"assertion failed: \[(.*?)\]")
_AROUND_A_REASON = ("Graph execution error", "Detected at node", "<stack traces", "[[")
_KINDS = {
    tf.errors.InvalidArgumentError: ErrorKind.INVALID_INPUT,
    tf.errors.OutOfRangeError: ErrorKind.INVALID_INPUT,
    tf.errors.ResourceExhaustedError: ErrorKind.OVERLOADED,
}


class LoadedModel:
    """A SavedModel, loaded; its methods may be called from several threads.

    Args:
        folder: Of the version.

    Raises:
        GatewayError: BACKEND_FAILED when it cannot be loaded.
    """

    def __init__(self, folder: Path) -> None:
        try:
            definitions = _signature_definitions(folder)
            # The functions live only as long as the object that was loaded.
            self._root = tf.saved_model.load(str(folder), tags=[_SERVE])
        except (OSError, ValueError, RuntimeError, KeyError, tf.errors.OpError) as error:
            reason = _first_line(str(error)).replace(f"{folder}/", "")  # clients need not know where models lie
            raise GatewayError(ErrorKind.BACKEND_FAILED, reason) from error
        self._functions = dict(self._root.signatures)
        self.signatures = {
            name: _signature(name, definition)
            for name, definition in definitions.items()
            if name in self._functions and _is_servable(name, definition)
        }

    def run(self, signature: Signature, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Runs a signature and returns its outputs by name.

        Raises:
            GatewayError: INVALID_INPUT when the model refuses the values, else OVERLOADED or BACKEND_FAILED.
        """
        tensors = {
            name: tf.constant(inputs[name], dtype=tf.dtypes.as_dtype(spec.dtype))
            for name, spec in signature.inputs.items()
        }
        try:
            outputs = self._functions[signature.name](**tensors)
        except tf.errors.OpError as error:
            kind = _KINDS.get(type(error), ErrorKind.BACKEND_FAILED)
            raise GatewayError(kind, _reason(error)) from error
        return {name: np.asarray(output) for name, output in outputs.items()}


def _signature_definitions(folder: Path) -> Mapping[str, Any]:
    """Returns the SignatureDefs of the graph that is tagged for serving."""
    saved_model = loader_impl.parse_saved_model(str(folder))
    for graph in saved_model.meta_graphs:
        if _SERVE in graph.meta_info_def.tags:
            return dict(graph.signature_def)
    raise ValueError(f"no graph in it is tagged {_SERVE!r}")


def _is_servable(name: str, definition: Any) -> bool:
    """Tells whether all tensors of the signature are plain ones, of dtypes that can travel."""
    for alias, info in (*definition.inputs.items(), *definition.outputs.items()):
        if not info.name or tf.dtypes.as_dtype(info.dtype).name not in NUMPY_DTYPES:
            logger.warning("the signature %s is not served: %s is no tensor that can travel", name, alias)
            return False
    return True


def _signature(name: str, definition: Any) -> Signature:
    return Signature(
        name=name,
        method_name=definition.method_name,
        # A protobuf map has no order of its own; errors and lists are to have the same one each time.
        inputs={alias: _spec(info) for alias, info in sorted(definition.inputs.items())},
        outputs={alias: _spec(info) for alias, info in sorted(definition.outputs.items())},
        defaults={alias: tf.make_ndarray(value) for alias, value in definition.defaults.items()},
    )


def _spec(info: meta_graph_pb2.TensorInfo) -> TensorSpec:
    dtype = tf.dtypes.as_dtype(info.dtype).name
    if info.tensor_shape.unknown_rank:
        return TensorSpec(dtype, None, info.name)
    return TensorSpec(dtype, tuple(None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim), info.name)


def _reason(error: Any) -> str:
    """Returns what went wrong without what TensorFlow puts around it: traces, and names of graph nodes."""
    lines = [re.sub(r"\{\{.*?\}\}|\[Op:\w+\]", "", line).strip() for line in str(error.message).splitlines()]
    reasons = [line for line in lines if line and not line.startswith(_AROUND_A_REASON)]
    if not reasons:
        return type(error).__name__
    asserted = _ASSERTION.match(reasons[-1])
    return _shortened(asserted[1] if asserted else reasons[-1])


def _first_line(text: str) -> str:
    return _shortened(next((line.strip() for line in text.splitlines() if line.strip()), "no reason given"))


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_REASON else text[:_MAX_REASON] + "…"
