"""One SavedModel in memory: its signatures, and how to call them. Imports tensorflow."""

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2

from service.backends.reasons import reason_in, shortened
from service.backends.savedmodel.meta_graph import MetaGraph
from service.backends.savedmodel.session import Session
from service.backends.savedmodel.stateful import Nodes
from service.core.tensors import NUMPY_DTYPES, Signature, Tensor, TensorSpec
from service.errors import ErrorKind, GatewayError

logger = logging.getLogger(__name__)

_VARIABLES, _INDEX = Path("variables", "variables"), Path("variables", "variables.index")
_ASSETS = "assets"
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
        calls: By the signature's name; they alone keep the session.
        stateful: An operation of a signature that keeps state or draws at random, by the signature's name.

    Raises:
        GatewayError: BACKEND_FAILED when it cannot be loaded.
    """

    def __init__(self, folder: Path, *, threads: int = 0) -> None:
        try:
            meta_graph = MetaGraph.read(folder)
            session = _opened(folder, meta_graph, threads)
            definitions = dict(sorted(meta_graph.definition.signature_def.items()))
            self.signatures = {
                name: _signature(name, definition)
                for name, definition in definitions.items()
                if _is_servable(name, definition)
            }
            self.calls = {name: _prepared(session, definitions[name]) for name in self.signatures}
            nodes = Nodes(meta_graph.graph_def)
            self.stateful = {
                name: reason
                for name in self.signatures
                if (reason := nodes.stateful_operation(_tensors(definitions[name].outputs)))
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
            outputs = self.calls[signature.name](*[inputs[name] for name in signature.inputs])
        except tf.errors.OpError as error:
            kind = _KINDS.get(type(error), ErrorKind.BACKEND_FAILED)
            raise GatewayError(kind, reason_in(str(error.message)) or type(error).__name__) from error
        except UnicodeDecodeError as error:
            # TensorFlow quotes in its error what it could not read, and its Python layer cannot read that.
            text = error.object.decode("utf-8", "replace") if isinstance(error.object, bytes) else str(error)
            raise GatewayError(ErrorKind.INVALID_INPUT, reason_in(text) or "what came cannot be read") from error
        except Exception as error:
            raise GatewayError(ErrorKind.BACKEND_FAILED, _first_line(f"{type(error).__name__}: {error}")) from error
        return {name: np.asarray(output) for name, output in zip(signature.outputs, outputs, strict=True)}


def _opened(folder: Path, meta_graph: MetaGraph, threads: int) -> Session:
    """Returns a session in which the variables have their values, and the tables theirs."""
    gpu_options = config_pb2.GPUOptions(allow_growth=True)
    config = config_pb2.ConfigProto(gpu_options=gpu_options, intra_op_parallelism_threads=threads)
    session = Session(meta_graph.graph_def, config)
    if meta_graph.definition.HasField("saver_def"):
        if not (folder / _INDEX).is_file():
            raise ValueError(f"{_INDEX} is missing")
        saver = meta_graph.definition.saver_def
        restore = session.prepare(feed=[saver.filename_tensor_name], target=[saver.restore_op_name])
        restore(_path(folder / _VARIABLES))
    if meta_graph.initializer:
        paths = {tensor: _path(folder / _ASSETS / name) for tensor, name in meta_graph.assets.items()}
        session.prepare(feed=list(paths), target=[meta_graph.initializer])(*paths.values())
    return session


def _path(path: Path) -> Tensor:
    return np.array(os.fsencode(path), object)


def _prepared(session: Session, definition: Any) -> Callable[..., list[Tensor]]:
    """Returns a call that takes the inputs' arrays and gives the outputs', both in the order of their names."""
    return session.prepare(
        feed=[info.name for _, info in sorted(definition.inputs.items())],
        fetch=[info.name for _, info in sorted(definition.outputs.items())],
    )


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
