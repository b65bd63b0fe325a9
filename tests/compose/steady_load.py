"""Steady load on the default classifier, in three protocols: requests differ from each other, answers are checked."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import numpy as np
from grpc import aio

from reliability.asking import DEADLINE, code_of
from reliability.load import Outcomes, steady
from service.wire import tensorflow_pb2 as tf_pb
from service.wire import tensorflow_serving_pb2 as serving_pb
from tensorgate.v1 import tensorgate_pb2 as tg
from tensorgate.v1.tensorgate_pb2_grpc import TensorgateServiceStub

_SIDE = 8
_DIFFERENT = 50

Array = np.ndarray[Any, np.dtype[Any]]


def images() -> Array:
    """Returns images, float32 [50, 8, 8, 1] of whole numbers from 0 to 255."""
    return np.random.default_rng(0).integers(0, 256, (_DIFFERENT, _SIDE, _SIDE, 1)).astype(np.float32)


class SteadyLoad:
    """Asks for the classes of images, so many times a second.

    Args:
        rest: Base URL of the REST API.
        address: Of the gRPC API.
        scores: What the model gives for `images`, float32 [50, 10].
        rate: Requests a second.
    """

    def __init__(self, *, rest: str, address: str, scores: Array, rate: float) -> None:
        self._rest = rest
        self._address = address
        self._scores = scores
        self._rate = rate
        self._images = images()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Outcomes]:
        """Sends requests while the body runs; their outcomes are complete when it is over."""
        # Several connections: one that is lost is not to look like many.
        channels = [aio.insecure_channel(self._address, [("grpc.use_local_subchannel_pool", 1)]) for _ in range(4)]
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=20)
        async with httpx.AsyncClient(base_url=self._rest, timeout=DEADLINE, limits=limits) as rest:

            async def ask(number: int) -> str:
                index, channel = number % _DIFFERENT, channels[number % len(channels)]
                scores: Awaitable[Array]
                match number % 3:
                    case 0:
                        scores = self._typed(channel, index)
                    case 1:
                        scores = self._tfserving(channel, index)
                    case _:
                        scores = self._over_rest(rest, index)
                return await code_of(self._is_right(scores, index))

            try:
                async with steady(ask, rate=self._rate, deadline=DEADLINE) as outcomes:
                    yield outcomes
            finally:
                for channel in channels:
                    await channel.close()

    async def _is_right(self, scores: Awaitable[Array], index: int) -> bool:
        return np.allclose(await scores, self._scores[index], atol=1e-3)

    async def _typed(self, channel: aio.Channel, index: int) -> Array:
        pixels = tg.Pixels(shape=[_SIDE, _SIDE, 1], values=self._images[index].ravel().tolist())
        request = tg.ClassifyRequest(model="digits", images=[tg.Image(pixels=pixels)], top_k=10)
        stub: Any = TensorgateServiceStub(channel)  # type: ignore[no-untyped-call]
        answer = await stub.Classify(request, timeout=DEADLINE)
        scores = {scored.label: scored.score for scored in answer.results[0].classes}
        return np.array([scores[str(digit)] for digit in range(10)], np.float32)

    async def _tfserving(self, channel: aio.Channel, index: int) -> Array:
        image = self._images[index : index + 1]
        shape = tf_pb.TensorShapeProto(dim=[tf_pb.TensorShapeProto.Dim(size=size) for size in image.shape])
        tensor = tf_pb.TensorProto(dtype=tf_pb.DT_FLOAT, tensor_shape=shape, tensor_content=image.tobytes())
        request = serving_pb.PredictRequest(model_spec=serving_pb.ModelSpec(name="digits"), inputs={"images": tensor})
        predict: Callable[..., Any] = channel.unary_unary(
            "/tensorflow.serving.PredictionService/Predict",
            request_serializer=serving_pb.PredictRequest.SerializeToString,
            response_deserializer=serving_pb.PredictResponse.FromString,
        )
        answer = await predict(request, timeout=DEADLINE)
        return np.array(answer.outputs["scores"].float_val, np.float32)

    async def _over_rest(self, rest: httpx.AsyncClient, index: int) -> Array:
        body = {"instances": self._images[index : index + 1].tolist()}
        answer = await rest.post("/v1/models/digits:predict", json=body, headers={"X-Request-Timeout": str(DEADLINE)})
        return np.array(answer.raise_for_status().json()["predictions"][0]["scores"], np.float32)
