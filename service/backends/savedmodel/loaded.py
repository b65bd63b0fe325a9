"""One SavedModel in memory: its signatures, and how to call them. Imports tensorflow."""

import os
import threading
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

from service.backends.reasons import none_servable, reason_in, shortened
from service.backends.savedmodel.meta_graph import MetaGraph
from service.backends.savedmodel.prepared import PreparedCall
from service.backends.savedmodel.session import Session, open_session
from service.backends.savedmodel.stateful import Nodes
from service.codecs.signature_def import decode_signatures
from service.core.tensors import Signature, Tensor, TensorSpec
from service.errors import ErrorKind, GatewayError
from service.wire import tensorflow_pb2 as tf_pb

_VARIABLES, _INDEX = Path("variables", "variables"), Path("variables", "variables.index")
_ASSETS = "assets"
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
        definitions: All that there are, by name, as they are written.
        signatures: Those that can be served, by name.
        unservable: Why others cannot, by name.
        calls: By the signature's name; they alone keep the session.
        stateful: An operation of a signature that keeps state or draws at random, by the signature's name.

    Raises:
        GatewayError: BACKEND_FAILED when it cannot be loaded, or none of its signatures can be served.
    """

    def __init__(self, folder: Path, *, threads: int = 0) -> None:
        try:
            meta_graph = MetaGraph.read(folder)
            session = _opened(folder, meta_graph, threads)
            self.definitions = _definitions(meta_graph)
            decoded = decode_signatures(self.definitions, with_all_defaults=True)
            self.unservable = decoded.unservable
            self.calls = self._prepared(session, decoded.servable)
            self.signatures = {name: decoded.servable[name] for name in self.calls}
            self._turn = threading.Lock()
            nodes = Nodes(meta_graph.graph_def)
            self.stateful = {
                name: reason
                for name, signature in self.signatures.items()
                if (reason := nodes.stateful_operation(_tensors(signature.outputs)))
            }
        except (OSError, ValueError, RuntimeError, KeyError, tf.errors.OpError) as error:
            reason = _first_line(str(error)).replace(f"{folder}/", "")  # clients need not know where models lie
            raise GatewayError(ErrorKind.BACKEND_FAILED, reason) from error
        if self.unservable and not self.signatures:
            raise GatewayError(ErrorKind.BACKEND_FAILED, none_servable(self.unservable))

    def _prepared(self, session: Session, signatures: Mapping[str, Signature]) -> dict[str, PreparedCall]:
        """Returns the calls of those that the graph has the tensors for; the others cannot be served either."""
        calls = {}
        for name, signature in signatures.items():
            try:
                calls[name] = PreparedCall(session, signature)
            except (ValueError, tf.errors.OpError) as error:
                self.unservable[name] = _first_line(str(error))
        return calls

    def run(self, signature: Signature, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Runs a signature and returns its outputs by name.

        Raises:
            GatewayError: INVALID_INPUT when the model refuses the values, else OVERLOADED or BACKEND_FAILED.
        """
        try:
            # What keeps state runs one at a time: two runs that overlap would read what the other has written.
            with self._turn if signature.name in self.stateful else nullcontext():
                return self.calls[signature.name](inputs)
        except tf.errors.OpError as error:
            kind = _KINDS.get(type(error), ErrorKind.BACKEND_FAILED)
            text = str(error.message)
            raise GatewayError(kind, reason_in(text) or type(error).__name__, upstream=text) from error
        except UnicodeDecodeError as error:
            # TensorFlow quotes in its error what it could not read, and its Python layer cannot read that.
            text = error.object.decode("utf-8", "replace") if isinstance(error.object, bytes) else str(error)
            reason = reason_in(text) or "what came cannot be read"
            raise GatewayError(ErrorKind.INVALID_INPUT, reason, upstream=text) from error
        except Exception as error:
            raise GatewayError(ErrorKind.BACKEND_FAILED, _first_line(f"{type(error).__name__}: {error}")) from error


def _opened(folder: Path, meta_graph: MetaGraph, threads: int) -> Session:
    """Returns a session in which the variables have their values, and the tables theirs."""
    gpu_options = config_pb2.GPUOptions(allow_growth=True)
    config = config_pb2.ConfigProto(gpu_options=gpu_options, intra_op_parallelism_threads=threads)
    session = open_session(meta_graph.graph_def, config)
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


def _definitions(meta_graph: MetaGraph) -> dict[str, tf_pb.SignatureDef]:
    return {
        name: tf_pb.SignatureDef.FromString(definition.SerializeToString())
        for name, definition in meta_graph.definition.signature_def.items()
    }


def _tensors(outputs: Mapping[str, TensorSpec]) -> list[str]:
    return [spec.tensor_name for spec in outputs.values()]


def _first_line(text: str) -> str:
    return shortened(next((line.strip() for line in text.splitlines() if line.strip()), "no reason given"))
