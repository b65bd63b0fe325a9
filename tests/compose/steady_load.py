"""Steady load from outside, in three protocols: each request differs from the one before, each answer is checked."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
from grpc import aio

from service.wire import tensorflow_pb2 as tf_pb
from service.wire import tensorflow_serving_pb2 as serving_pb
from tensorgate.v1 import tensorgate_pb2 as tg
from tensorgate.v1.tensorgate_pb2_grpc import TensorgateServiceStub

DEADLINE = 6.0
"""Seconds that each request allows."""
_LATE = 1.0
"""A request that takes so many seconds beyond its deadline hangs."""
_SIDE = 8
_DIFFERENT = 50

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of one request.

    Attributes:
        at: When it was sent, by the monotonic clock.
        seconds: Until it was over.
        code: ``ok``, ``wrong`` for the answer to another request, or the error.
    """

    at: float
    seconds: float
    code: str


@dataclass(slots=True)
class Outcomes:
    """What came of all requests.

    Attributes:
        answers: In no order.
    """

    answers: list[Answered] = field(default_factory=list)

    def failures(self) -> Counter[str]:
        """Returns how many requests failed, by what."""
        return Counter(answer.code for answer in self.answers if answer.code != "ok")

    def success(self) -> float:
        """Returns the share of requests that succeeded."""
        return 1 - self.failures().total() / len(self.answers)

    def hanging(self) -> int:
        """Returns how many took longer than they were allowed."""
        return sum(answer.seconds > DEADLINE + _LATE for answer in self.answers)

    def longest(self) -> float:
        """Returns the longest that a request took, in seconds."""
        return max(answer.seconds for answer in self.answers)

    def last_failure_after(self, moment: float) -> float:
        """Returns how many seconds after a moment the last failed request was sent; 0 when none failed."""
        return max((answer.at - moment for answer in self.answers if answer.code != "ok"), default=0.0)


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
        outcomes = Outcomes()
        # Several connections: one that is lost is not to look like many.
        channels = [aio.insecure_channel(self._address, [("grpc.use_local_subchannel_pool", 1)]) for _ in range(4)]
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=20)
        async with httpx.AsyncClient(base_url=self._rest, timeout=DEADLINE, limits=limits) as rest:
            sending = asyncio.create_task(self._send(outcomes, channels, rest))
            try:
                yield outcomes
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
                for channel in channels:
                    await channel.close()

    async def _send(self, outcomes: Outcomes, channels: list[aio.Channel], rest: httpx.AsyncClient) -> None:
        tasks: set[asyncio.Task[None]] = set()
        began = time.monotonic()
        number = 0
        try:
            while True:
                await asyncio.sleep(max(0.0, began + number / self._rate - time.monotonic()))
                index, channel = number % _DIFFERENT, channels[number % len(channels)]
                match number % 3:
                    case 0:
                        ask = self._typed(channel, index)
                    case 1:
                        ask = self._tfserving(channel, index)
                    case _:
                        ask = self._over_rest(rest, index)
                task = asyncio.create_task(self._answered(outcomes, ask, index))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                number += 1
        finally:
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _answered(self, outcomes: Outcomes, ask: Coroutine[Any, Any, Array], index: int) -> None:
        at = time.monotonic()
        try:
            scores = await ask
            code = "ok" if np.allclose(scores, self._scores[index], atol=1e-3) else "wrong"
        except aio.AioRpcError as error:
            code = f"gRPC {error.code().name}: {(error.details() or '')[:80]}"
        except httpx.HTTPStatusError as error:
            code = f"HTTP {error.response.status_code}: {error.response.text[:80]}"
        except httpx.HTTPError as error:
            code = f"HTTP {type(error).__name__}"
        outcomes.answers.append(Answered(at, time.monotonic() - at, code))

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
