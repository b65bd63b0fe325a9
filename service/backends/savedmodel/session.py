"""TensorFlow sessions for graphs of which no objects are made in Python. Imports tensorflow.

TensorFlow's Python makes an object of every operation of a graph, and holds the interpreter's lock meanwhile, for tens
to hundreds of milliseconds at a time. Here all that takes long happens in TensorFlow's C++ with the lock released, so
other threads go on; that goes for the end of a session too. It needs what TensorFlow's Python keeps to itself, so it is
done with releases that are known alone; with others a session is made as TensorFlow's documentation says.
"""

import ctypes
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import graph_pb2
from tensorflow.core.protobuf import config_pb2
from tensorflow.python.client import _pywrap_tf_session
from tensorflow.python.client import pywrap_tf_session as c_api
from tensorflow.python.framework import errors_impl

from service.core.tensors import Tensor

_KNOWN_RELEASES = ("2.21.",)
"""Of TensorFlow: those whose PyGraph has its TF_Graph where `_address` looks for it."""
_CALLING_THREAD = -1
_POINTER_BYTES = ctypes.sizeof(ctypes.c_void_p)
_HEADER_BYTES = object.__basicsize__

Call = Callable[..., Sequence[Tensor]]


class Session(Protocol):
    """A session with a graph; its calls may be made from several threads, and keep it."""

    def prepare(self, *, feed: Sequence[str] = (), fetch: Sequence[str] = (), target: Sequence[str] = ()) -> Call:
        """Returns a call that takes the tensors to feed, runs the targets, and gives the tensors to fetch.

        Raises:
            ValueError: When the graph does not have them; also as an error of TensorFlow.
        """


def open_session(graph_def: memoryview, config: Any) -> Session:
    """Returns a session with a graph.

    Args:
        graph_def: The graph, serialised.
        config: A ``ConfigProto``.

    Raises:
        tf.errors.OpError: When TensorFlow does not take the graph; ValueError, too.
    """
    if tf.__version__.startswith(_KNOWN_RELEASES) and _is_laid_out_as_known():
        return _NativeSession(graph_def, config)
    return _PythonSession(graph_def, config)


def _callable_options(feed: Sequence[str], fetch: Sequence[str], target: Sequence[str]) -> Any:
    # Operations follow each other on the calling thread. To hand each to a pool costs small models more than the work
    # itself, and with several requests at a time there are no idle cores to hand anything to; nor are there while a
    # model is loaded, as others are asked meanwhile.
    run_options = config_pb2.RunOptions(inter_op_thread_pool=_CALLING_THREAD)
    return config_pb2.CallableOptions(feed=feed, fetch=fetch, target=target, run_options=run_options)


class _PythonSession:
    """One as TensorFlow's Python makes it."""

    def __init__(self, graph_def: memoryview, config: Any) -> None:
        with tf.Graph().as_default() as graph:
            tf.import_graph_def(graph_pb2.GraphDef.FromString(bytes(graph_def)), name="")
        self._session = tf.compat.v1.Session(graph=graph, config=config)

    def prepare(self, *, feed: Sequence[str] = (), fetch: Sequence[str] = (), target: Sequence[str] = ()) -> Call:
        prepared: Call = self._session._make_callable_from_options(_callable_options(feed, fetch, target))
        return prepared


class _NativeSession:
    """One without objects in Python."""

    def __init__(self, graph_def: memoryview, config: Any) -> None:
        self._session = None
        graph = _pywrap_tf_session.PyGraph()
        _import(graph, graph_def)
        options = c_api.TF_NewSessionOptions(config=config)
        try:
            self._session = c_api.TF_NewSessionRef(graph, options)
        finally:
            c_api.TF_DeleteSessionOptions(options)
        c_api.ExtendSession(self._session)

    def __del__(self) -> None:
        # The graph goes with it: if it went later, that would be with the interpreter's lock held.
        if self._session is not None:
            c_api.TF_CloseSession(self._session)
            c_api.TF_DeleteSession(self._session)

    def prepare(self, *, feed: Sequence[str] = (), fetch: Sequence[str] = (), target: Sequence[str] = ()) -> Call:
        options = _callable_options(feed, fetch, target)
        buffer = c_api.TF_NewBufferFromString(options.SerializeToString())
        try:
            handle = c_api.TF_SessionMakeCallable(self._session, buffer)
        finally:
            c_api.TF_DeleteBuffer(buffer)

        def call(*tensors: Tensor) -> list[Tensor]:
            outputs: list[Tensor] = c_api.TF_SessionRunCallable(self._session, handle, tensors, None)
            return outputs

        return call


class _Buffer(ctypes.Structure):
    """A TF_Buffer."""

    _fields_ = (("data", ctypes.c_void_p), ("length", ctypes.c_size_t), ("deallocator", ctypes.c_void_p))


def _import(graph: Any, graph_def: memoryview) -> None:
    """Puts nodes and functions into an empty graph; TensorFlow's function for it in Python does not release the lock.

    Raises:
        tf.errors.OpError: When TensorFlow does not take them.
    """
    library = ctypes.CDLL(_pywrap_tf_session.__file__)
    library.TF_NewStatus.restype = library.TF_NewImportGraphDefOptions.restype = ctypes.c_void_p
    library.TF_Message.restype = ctypes.c_char_p
    data = np.frombuffer(graph_def, np.uint8)
    buffer = _Buffer(data.ctypes.data, len(data), None)
    status = ctypes.c_void_p(library.TF_NewStatus())
    options = ctypes.c_void_p(library.TF_NewImportGraphDefOptions())
    try:
        library.TF_GraphImportGraphDef(_address(graph), ctypes.byref(buffer), options, status)
        if code := library.TF_GetCode(status):
            message = library.TF_Message(status).decode("utf-8", "replace")
            raise errors_impl.exception_type_from_error_code(code)(None, None, message)
    finally:
        library.TF_DeleteImportGraphDefOptions(options)
        library.TF_DeleteStatus(status)


def _is_laid_out_as_known() -> bool:
    """Returns whether a PyGraph has behind its header a dictionary, its weak references, and then what it holds."""
    kind = _pywrap_tf_session.PyGraph
    return (kind.__dictoffset__, kind.__weakrefoffset__) == (_HEADER_BYTES, _HEADER_BYTES + _POINTER_BYTES)


def _address(graph: Any) -> ctypes.c_void_p:
    """Returns the C API's TF_Graph, the first of what a PyGraph holds."""
    return ctypes.c_void_p.from_address(id(graph) + _HEADER_BYTES + 2 * _POINTER_BYTES)
