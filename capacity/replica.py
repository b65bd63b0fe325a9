"""A stand-in for a replica with a GPU: ``python -m capacity.replica PORT FIXED EACH``, in seconds.

It speaks as much of TensorFlow Serving's gRPC API as a gateway uses, for the model and input of `capacity.model`, and
answers each row with its mean. It does one run at a time, in the order of arrival; a run takes FIXED and, for each row,
EACH. It sleeps for that time and computes next to nothing, so that its speed depends neither on the cores of this
machine nor on what else they do.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

import grpc
import numpy as np
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from grpc import aio

from capacity.model import INPUT, OUTPUT
from service.wire import tensorflow_pb2 as tf_pb
from service.wire import tensorflow_serving_pb2 as tfs

_MAP = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
_PREDICTION, _MODELS = "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"
_UNBOUNDED = [("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)]

Handler = Callable[[Any, Any], Coroutine[None, None, Message]]


class Device:
    """The stand-in for a GPU, which does one run at a time.

    Args:
        fixed: Seconds of a run.
        each: Seconds of a row in it.
    """

    def __init__(self, fixed: float, each: float) -> None:
        self._fixed = fixed
        self._each = each
        self._free = 0.0

    async def run(self, rows: int) -> None:
        """Returns when a run of that many rows is done, after all runs that came before.

        The end of a run is computed when it arrives: waking up late delays its answer, but no later run.
        """
        self._free = max(self._free, time.monotonic()) + self._fixed + self._each * rows
        await asyncio.sleep(self._free - time.monotonic())


async def serve(port: int, device: Device) -> None:
    """Serves until the process is stopped."""

    async def predict(request: tfs.PredictRequest, _: object) -> tfs.PredictResponse:
        given = request.inputs[INPUT]
        rows = given.tensor_shape.dim[0].size
        means = np.frombuffer(given.tensor_content, np.float32).reshape(rows, -1).mean(1, keepdims=True)
        await device.run(rows)
        return tfs.PredictResponse(outputs={OUTPUT: _tensor(means)}, model_spec=request.model_spec)

    async def metadata(request: tfs.GetModelMetadataRequest, _: object) -> tfs.GetModelMetadataResponse:
        both = (_info(-1, -1), _info(-1, 1))
        signature = tf_pb.SignatureDef(
            inputs={INPUT: both[0]}, outputs={OUTPUT: both[1]}, method_name="tensorflow/serving/predict"
        )
        found = tfs.SignatureDefMap(signature_def={"serving_default": signature})
        packed = AnyMessage(type_url=_MAP, value=found.SerializeToString())
        return tfs.GetModelMetadataResponse(model_spec=request.model_spec, metadata={"signature_def": packed})

    async def status(_: tfs.GetModelStatusRequest, __: object) -> tfs.GetModelStatusResponse:
        available = tfs.ModelVersionStatus(version=1, state=tfs.ModelVersionStatus.AVAILABLE)
        return tfs.GetModelStatusResponse(model_version_status=[available])

    server = aio.server(options=_UNBOUNDED)
    predictions = {
        "Predict": _handler(predict, tfs.PredictRequest),
        "GetModelMetadata": _handler(metadata, tfs.GetModelMetadataRequest),
    }
    models = {"GetModelStatus": _handler(status, tfs.GetModelStatusRequest)}
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(_PREDICTION, predictions),
            grpc.method_handlers_generic_handler(_MODELS, models),
        )
    )
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


def _handler(handler: Handler, request: type[Message]) -> Any:
    return grpc.unary_unary_rpc_method_handler(
        handler,
        request_deserializer=request.FromString,
        response_serializer=lambda answer: answer.SerializeToString(),
    )


def _info(*shape: int) -> tf_pb.TensorInfo:
    return tf_pb.TensorInfo(name="x:0", dtype=tf_pb.DT_FLOAT, tensor_shape=_shape(shape))


def _tensor(values: Any) -> tf_pb.TensorProto:
    shape = _shape(values.shape)
    return tf_pb.TensorProto(dtype=tf_pb.DT_FLOAT, tensor_shape=shape, tensor_content=values.tobytes())


def _shape(sizes: tuple[int, ...]) -> tf_pb.TensorShapeProto:
    return tf_pb.TensorShapeProto(dim=[tf_pb.TensorShapeProto.Dim(size=size) for size in sizes])


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Device(float(sys.argv[2]), float(sys.argv[3]))))
