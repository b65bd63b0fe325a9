"""Requests whose answers are known, one of each protocol over each transport: whether the server is still well."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import numpy as np
from grpc import aio

from fuzz.http1 import Http1
from fuzz.requests import REST, WEB, Request, unframed
from fuzz.target import check
from service.transport.grpc.framing import framed
from service.wire import open_inference_pb2 as oip
from service.wire import tensorflow_pb2 as tf_pb
from service.wire import tensorflow_serving_pb2 as tfs
from tensorgate.v1 import tensorgate_pb2 as typed
from tests.valid_rpcs import INFER, PREDICT, SERIES, RpcMethod

_JSON = ((b"content-type", b"application/json"),)
_SECONDS = 120
_FLOATS = np.array([[1, 2.5], [3, -4]], np.float32)
_REST: Mapping[str, tuple[Any, Any]] = {
    "/v1/models/scales/versions/2:predict": ({"instances": [1.5, -2]}, {"predictions": [3.0, -4.0]}),
    "/v2/models/scales/versions/2/infer": (
        {"id": "known", "inputs": [{"name": "x", "datatype": "FP32", "shape": [2], "data": [1.5, -2]}]},
        {
            "model_name": "scales",
            "model_version": "2",
            "id": "known",
            "outputs": [{"name": "y", "datatype": "FP32", "shape": [2], "data": [3.0, -4.0]}],
        },
    ),
    "/api/v1/models/steps/forecast": (
        {"series": [[1, 2, 3, 4, 5, 6]], "horizon": 2, "quantiles": [0.5]},
        {
            "model": "steps",
            "version": 7,
            "forecasts": [{"values": [7.0, 8.0], "quantiles": [{"level": 0.5, "values": [7.0, 8.0]}]}],
        },
    ),
}


def _tensor(values: np.ndarray[Any, Any]) -> tf_pb.TensorProto:
    dims = [tf_pb.TensorShapeProto.Dim(size=size) for size in values.shape]
    return tf_pb.TensorProto(
        dtype=tf_pb.DT_FLOAT, tensor_shape=tf_pb.TensorShapeProto(dim=dims), tensor_content=values.tobytes()
    )


_PREDICT = tfs.PredictRequest(
    model_spec=tfs.ModelSpec(name="sum"), inputs={"a": _tensor(_FLOATS), "b": _tensor(_FLOATS)}, output_filter=["sum"]
)
_INFER = oip.ModelInferRequest(
    model_name="sum",
    inputs=[oip.ModelInferRequest.InferInputTensor(name=name, datatype="FP32", shape=[2, 2]) for name in ("a", "b")],
    outputs=[oip.ModelInferRequest.InferRequestedOutputTensor(name="sum")],
    raw_input_contents=[_FLOATS.tobytes()] * 2,
)
_SERIES = typed.ForecastRequest(model="steps", series=[typed.Series(values=[1, 2, 3, 4, 5, 6])], horizon=2)


def _predicted(answer: Any) -> bool:
    # Numbers that were asked for as content come back in the field of their dtype, or as content again.
    got = answer.outputs["sum"]
    values = np.frombuffer(got.tensor_content, np.float32) if got.tensor_content else np.array(got.float_val)
    return bool(np.array_equal(values, 2 * _FLOATS.ravel()))


def _inferred(answer: Any) -> bool:
    return list(answer.raw_output_contents) == [(2 * _FLOATS).tobytes()]


def _forecast(answer: Any) -> bool:
    return [list(forecast.values) for forecast in answer.forecasts] == [[7.0, 8.0]]


_RPCS: tuple[tuple[RpcMethod, Any, Callable[[Any], bool]], ...] = (
    (PREDICT, _PREDICT, _predicted),
    (INFER, _INFER, _inferred),
    (SERIES, _SERIES, _forecast),
)


async def check_known(rest: int, grpc: int, channel: aio.Channel) -> None:
    """Asks what is known, on connections of its own.

    Args:
        rest: The REST port.
        grpc: The gRPC port.
        channel: To the gRPC port.

    Raises:
        FindingError: When an answer is not the right one.
        Exception: What a client raises that gets none.
    """
    clients = [Http1(rest), Http1(grpc)]
    try:
        for client in clients:
            for path, (document, expected) in _REST.items():
                answer = await client.ask(Request(REST, "POST", path, _JSON, json.dumps(document).encode()))
                right = answer.status == 200 and json.loads(answer.body) == expected
                check(right, f"{path} was answered {answer.status} {answer.body[:300]!r}")
            await _check_rpcs(lambda method, data, client=client: _over_web(client, method, data))  # type: ignore[misc]
    finally:
        for client in clients:
            client.close()

    async def over_grpc(method: RpcMethod, data: bytes) -> bytes:
        ask: Any = channel.unary_unary(method.path)
        answered: bytes = await ask(data, timeout=_SECONDS)
        return answered

    await _check_rpcs(over_grpc)


async def _over_web(client: Http1, method: RpcMethod, data: bytes) -> bytes:
    headers = ((b"content-type", b"application/grpc-web+proto"),)
    answer = await client.ask(Request(WEB, "POST", method.path, headers, framed(data)))
    return unframed(answer.body.partition(b"\x80\0\0\0")[0])[0]


async def _check_rpcs(ask: Callable[[RpcMethod, bytes], Awaitable[bytes]]) -> None:
    for method, request, is_right in _RPCS:
        answer = method.response.FromString(await ask(method, request.SerializeToString()))
        check(is_right(answer), f"{method.path} was answered {answer}")
