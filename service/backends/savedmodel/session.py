"""A TensorFlow session whose graph has no objects in Python. Imports tensorflow.

TensorFlow's Python makes an object of every operation of a graph, and holds the interpreter's lock meanwhile, for tens
of milliseconds at a time. Here all that takes long happens in TensorFlow's C++ with the lock released, so other threads
go on; that goes for the end of a session too.
"""

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from tensorflow.core.protobuf import config_pb2
from tensorflow.python.client import _pywrap_tf_session
from tensorflow.python.client import pywrap_tf_session as c_api
from tensorflow.python.framework import errors_impl

from service.core.tensors import Tensor

_CALLING_THREAD = -1
_POINTER_BYTES = ctypes.sizeof(ctypes.c_void_p)
_HEADER_BYTES = object.__basicsize__
_library = ctypes.CDLL(_pywrap_tf_session.__file__)
_library.TF_NewStatus.restype = _library.TF_NewImportGraphDefOptions.restype = ctypes.c_void_p
_library.TF_Message.restype = ctypes.c_char_p


class Session:
    """A session with a graph; its calls may be made from several threads, and keep it.

    Args:
        graph_def: The graph, serialised.
        config: A ``ConfigProto``.

    Raises:
        tf.errors.OpError: When TensorFlow does not take the graph.
        RuntimeError: When this code does not know this release of TensorFlow.
    """

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

    def prepare(
        self, *, feed: Sequence[str] = (), fetch: Sequence[str] = (), target: Sequence[str] = ()
    ) -> Callable[..., list[Tensor]]:
        """Returns a call that takes the tensors to feed, runs the targets, and gives the tensors to fetch."""
        # Operations follow each other on the calling thread. To hand each to a pool costs small models more than the
        # work itself, and with several requests at a time there are no idle cores to hand anything to; nor are there
        # while a model is loaded, as others are asked meanwhile.
        run_options = config_pb2.RunOptions(inter_op_thread_pool=_CALLING_THREAD)
        options = config_pb2.CallableOptions(feed=feed, fetch=fetch, target=target, run_options=run_options)
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
        RuntimeError: When this code does not know this release of TensorFlow.
    """
    data = np.frombuffer(graph_def, np.uint8)
    buffer = _Buffer(data.ctypes.data, len(data), None)
    status = ctypes.c_void_p(_library.TF_NewStatus())
    options = ctypes.c_void_p(_library.TF_NewImportGraphDefOptions())
    try:
        _library.TF_GraphImportGraphDef(_address(graph), ctypes.byref(buffer), options, status)
        if code := _library.TF_GetCode(status):
            message = _library.TF_Message(status).decode("utf-8", "replace")
            raise errors_impl.exception_type_from_error_code(code)(None, None, message)
    finally:
        _library.TF_DeleteImportGraphDefOptions(options)
        _library.TF_DeleteStatus(status)


def _address(graph: Any) -> ctypes.c_void_p:
    """Returns the C API's TF_Graph: of what a PyGraph holds, the first after what all objects have."""
    kind = _pywrap_tf_session.PyGraph
    if (kind.__dictoffset__, kind.__weakrefoffset__) != (_HEADER_BYTES, _HEADER_BYTES + _POINTER_BYTES):
        raise RuntimeError("this release of TensorFlow lays out its graphs in a way that is not known here")
    return ctypes.c_void_p.from_address(id(graph) + _HEADER_BYTES + 2 * _POINTER_BYTES)
