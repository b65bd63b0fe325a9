"""Questions in every protocol: each is about numbers of its own, and knows what the answer must be."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
from grpc import aio

from reliability.load import OK, OVERLOADED, WRONG
from service.wire import open_inference_pb2 as oip
from service.wire import tensorflow_pb2 as tf_pb
from service.wire import tensorflow_serving_pb2 as tfs

MODEL, FACTOR = "slow", 3.0
"""The model that is asked, and what it multiplies by."""
DEADLINE = 6.0
"""Seconds that each request allows."""
_DIFFERENT = 2**22
"""Whole numbers that stay whole as float32 when they are multiplied; after so many requests they come again."""
_CHANNELS = 4
"""Several connections: one that is lost is not to look like many."""
_GRACE = 2.0
"""A client over HTTP waits so many seconds beyond its deadline, which is the server's to keep."""
_PREDICT, _OIP = "/tensorflow.serving.PredictionService/Predict", "/inference.GRPCInferenceService/"


class Client:
    """A client of one server.

    Args:
        rest: ``host:port`` of its REST API; empty for a server that is asked over gRPC alone.
        grpc: ``host:port`` of its gRPC API.
        ca: Of the certificates that gRPC's are to be signed by; without it there is no TLS.
        streamed: Messages of a stream.
    """

    def __init__(self, rest: str, grpc: str, *, ca: Path | None = None, streamed: int = 3) -> None:
        limits = httpx.Limits(max_connections=2000, max_keepalive_connections=100)
        self._rest = httpx.AsyncClient(base_url=f"http://{rest}", timeout=DEADLINE + _GRACE, limits=limits)
        self._streamed = streamed
        own = [("grpc.use_local_subchannel_pool", 1)]
        self._channels = [_channel(grpc, own, ca) for _ in range(_CHANNELS)]
        rpcs: list[Callable[[int], Awaitable[bool]]] = [self.predict, self.infer, self.infer_in_stream]
        self._kinds = [*rpcs, self.rest_predict, self.rest_infer] if rest else rpcs

    async def close(self) -> None:
        """Closes its connections."""
        await self._rest.aclose()
        for channel in self._channels:
            await channel.close()

    async def ask(self, number: int) -> str:
        """Asks about a number, each in the protocol whose turn it is; returns what came of it as a code."""
        return await code_of(self._kinds[number % len(self._kinds)](number))

    async def predict(self, number: int) -> bool:
        """Asks by TensorFlow Serving's gRPC API; returns whether the answer is right."""
        shape = tf_pb.TensorShapeProto(dim=[tf_pb.TensorShapeProto.Dim(size=1)])
        x = tf_pb.TensorProto(dtype=tf_pb.DT_FLOAT, tensor_shape=shape, float_val=[_value(number)])
        request = tfs.PredictRequest(model_spec=tfs.ModelSpec(name=MODEL), inputs={"x": x})
        call: Any = self._channel(number).unary_unary(_PREDICT)
        answer = tfs.PredictResponse.FromString(await call(request.SerializeToString(), timeout=DEADLINE))
        y = answer.outputs["y"]
        return _right(y.float_val or np.frombuffer(y.tensor_content, np.float32), number)

    async def infer(self, number: int) -> bool:
        """Asks by the Open Inference Protocol over gRPC."""
        call: Any = self._channel(number).unary_unary(_OIP + "ModelInfer")
        answer = await call(infer_request(number).SerializeToString(), timeout=DEADLINE)
        return is_right(oip.ModelInferResponse.FromString(answer), number)

    async def infer_in_stream(self, number: int) -> bool:
        """Asks by a stream of it, about several numbers."""
        numbers = [number + place * (_DIFFERENT // self._streamed) for place in range(self._streamed)]
        call: Any = self._channel(number).stream_stream(_OIP + "ModelStreamInfer")
        stream = call((infer_request(each).SerializeToString() for each in numbers), timeout=DEADLINE)
        answers = [oip.ModelStreamInferResponse.FromString(answer) async for answer in stream]
        if errors := [answer.error_message for answer in answers if answer.error_message]:
            raise StreamError(errors[0])
        rights = [is_right(answer.infer_response, each) for answer, each in zip(answers, numbers, strict=False)]
        return len(rights) == self._streamed and all(rights)

    async def rest_predict(self, number: int) -> bool:
        """Asks by TensorFlow Serving's REST API."""
        answer = await self._post(f"/v1/models/{MODEL}:predict", {"instances": [_value(number)]})
        return _right(answer["predictions"], number)

    async def rest_infer(self, number: int) -> bool:
        """Asks by the Open Inference Protocol over REST."""
        x = {"name": "x", "datatype": "FP32", "shape": [1], "data": [_value(number)]}
        answer = await self._post(f"/v2/models/{MODEL}/infer", {"id": str(number), "inputs": [x]})
        return bool(answer["id"] == str(number)) and _right(answer["outputs"][0]["data"], number)

    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        answer = await self._rest.post(path, json=body, headers={"X-Request-Timeout": str(DEADLINE)})
        return answer.raise_for_status().json()

    def _channel(self, number: int) -> aio.Channel:
        return self._channels[number % _CHANNELS]


def _channel(address: str, options: list[tuple[str, int]], ca: Path | None) -> aio.Channel:
    if ca is None:
        return aio.insecure_channel(address, options)
    return aio.secure_channel(address, grpc.ssl_channel_credentials(ca.read_bytes()), options)


class StreamError(Exception):
    """A message of a stream was refused; the text says why."""


@asynccontextmanager
async def client(rest: str, grpc: str, *, ca: Path | None = None, streamed: int = 3) -> AsyncIterator[Client]:
    """Makes a client for as long as the body runs; see `Client`."""
    made = Client(rest, grpc, ca=ca, streamed=streamed)
    try:
        yield made
    finally:
        await made.close()


async def code_of(asked: Awaitable[bool]) -> str:
    """Returns what came of a request as a code of `reliability.load`."""
    try:
        return OK if await asked else WRONG
    except aio.AioRpcError as error:
        full = error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        return OVERLOADED if full else f"gRPC {error.code().name}: {(error.details() or '')[:80]}"
    except httpx.HTTPStatusError as error:
        full = error.response.status_code == HTTPStatus.TOO_MANY_REQUESTS
        return OVERLOADED if full else f"HTTP {error.response.status_code}: {error.response.text[:80]}"
    except httpx.HTTPError as error:
        return f"HTTP {type(error).__name__}"
    except StreamError as error:
        return OVERLOADED if "max_queue_size" in str(error) else f"stream: {str(error)[:80]}"
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        return "gRPC CANCELLED"


def infer_request(number: int) -> oip.ModelInferRequest:
    """Returns a request of the Open Inference Protocol about a number, with its id."""
    x = oip.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=[1])
    raw = np.float32(_value(number)).tobytes()
    return oip.ModelInferRequest(model_name=MODEL, id=str(number), inputs=[x], raw_input_contents=[raw])


def is_right(answer: oip.ModelInferResponse, number: int) -> bool:
    """Returns whether an answer is the one to that request."""
    return answer.id == str(number) and _right(np.frombuffer(answer.raw_output_contents[0], np.float32), number)


def _value(number: int) -> float:
    return float(number % _DIFFERENT + 1)


def _right(got: Sequence[float] | np.ndarray[Any, Any], number: int) -> bool:
    return list(got) == [FACTOR * _value(number)]
