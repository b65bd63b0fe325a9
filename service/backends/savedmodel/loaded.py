"""One SavedModel in memory: its signatures, and how to call them. Imports tensorflow."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from service.backends.reasons import reason_in, shortened
from service.backends.savedmodel.prepared import PreparedCall
from service.backends.savedmodel.stateful import stateful_operation
from service.core.tensors import NUMPY_DTYPES, Signature, Tensor, TensorSpec
from service.errors import ErrorKind, GatewayError

logger = logging.getLogger(__name__)

v1 = tf.compat.v1

_SERVE = "serve"
_VARIABLES = Path("variables", "variables.index")
_INTERNAL = "__saved_model_"
"""What TensorFlow calls the signatures that it writes for itself."""
_KINDS = {
    tf.errors.InvalidArgumentError: ErrorKind.INVALID_INPUT,
    tf.errors.OutOfRangeError: ErrorKind.INVALID_INPUT,
    tf.errors.ResourceExhaustedError: ErrorKind.OVERLOADED,
}


class LoadedModel:
    """A SavedModel in a session, as TensorFlow Serving runs it; `run` may be called from several threads.

    A session's prepared call takes and gives arrays, and costs half of what a call of the loaded function does.

    Args:
        folder: Of the version.
        threads: How many threads share the work of one operation; the first model of a process decides for all.

    Attributes:
        signatures: Those that can be served, by name.
        stateful: An operation of a signature that keeps state or draws at random, by the signature's name.

    Raises:
        GatewayError: BACKEND_FAILED when it cannot be loaded.
    """

    def __init__(self, folder: Path, *, threads: int = 0) -> None:
        try:
            self._session, graph = _loaded(folder, threads)
            definitions = {name: graph.signature_def[name] for name in sorted(graph.signature_def)}
            self.signatures = {
                name: _signature(name, definition)
                for name, definition in definitions.items()
                if _is_servable(name, definition)
            }
            self._calls = {name: PreparedCall(self._session, signature) for name, signature in self.signatures.items()}
            self.stateful = {
                name: reason
                for name in self.signatures
                if (reason := stateful_operation(graph.graph_def, _tensors(definitions[name].outputs)))
            }
        except (OSError, ValueError, RuntimeError, KeyError, tf.errors.OpError) as error:
            reason = _first_line(str(error)).replace(f"{folder}/", "")  # clients need not know where models lie
            raise GatewayError(ErrorKind.BACKEND_FAILED, reason) from error

    def run(self, signature: Signature, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Runs a signature and returns its outputs by name.

        Raises:
            GatewayError: INVALID_INPUT when the model refuses the values, else OVERLOADED or BACKEND_FAILED.
        """
        try:
            return self._calls[signature.name](inputs)
        except tf.errors.OpError as error:
            kind = _KINDS.get(type(error), ErrorKind.BACKEND_FAILED)
            raise GatewayError(kind, reason_in(str(error.message)) or type(error).__name__) from error
        except UnicodeDecodeError as error:
            # TensorFlow quotes in its error what it could not read, and its Python layer cannot read that.
            text = error.object.decode("utf-8", "replace") if isinstance(error.object, bytes) else str(error)
            raise GatewayError(ErrorKind.INVALID_INPUT, reason_in(text) or "what came cannot be read") from error
        except Exception as error:
            raise GatewayError(ErrorKind.BACKEND_FAILED, _first_line(f"{type(error).__name__}: {error}")) from error


def _loaded(folder: Path, threads: int) -> tuple[Any, Any]:
    """Returns a session with the model in it, and the graph's definition."""
    config = v1.ConfigProto(gpu_options=v1.GPUOptions(allow_growth=True), intra_op_parallelism_threads=threads)
    with tf.Graph().as_default() as graph:
        session = v1.Session(graph=graph, config=config)
        definition = v1.saved_model.load(session, [_SERVE], str(folder))
    if definition.HasField("saver_def") and not (folder / _VARIABLES).is_file():
        # The loader takes a model without this file for one that has no variables.
        raise ValueError(f"{_VARIABLES} is missing")
    return session, definition


def _tensors(outputs: Mapping[str, Any]) -> list[str]:
    return [info.name for info in outputs.values()]


def _is_servable(name: str, definition: Any) -> bool:
    """Returns whether all tensors of the signature are dense, of supported dtypes."""
    if name.startswith(_INTERNAL):
        return False
    for alias, info in (*definition.inputs.items(), *definition.outputs.items()):
        if not info.name or not info.dtype or tf.dtypes.as_dtype(info.dtype).name not in NUMPY_DTYPES:
            logger.warning("the signature %s is not served: %s is not a dense tensor of a supported dtype", name, alias)
            return False
    return True


def _signature(name: str, definition: Any) -> Signature:
    return Signature(
        name=name,
        method_name=definition.method_name,
        # A protobuf map has no order of its own; errors and lists must have the same one each time.
        inputs={alias: _spec(info) for alias, info in sorted(definition.inputs.items())},
        outputs={alias: _spec(info) for alias, info in sorted(definition.outputs.items())},
        defaults={alias: tf.make_ndarray(value) for alias, value in definition.defaults.items()},
    )


def _spec(info: meta_graph_pb2.TensorInfo) -> TensorSpec:
    dtype = tf.dtypes.as_dtype(info.dtype).name
    if info.tensor_shape.unknown_rank:
        return TensorSpec(dtype, None, info.name)
    return TensorSpec(dtype, tuple(None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim), info.name)


def _first_line(text: str) -> str:
    return shortened(next((line.strip() for line in text.splitlines() if line.strip()), "no reason given"))
