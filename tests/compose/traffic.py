"""Requests of every kind to a gateway of the two default models: over every protocol, right and wrong."""

import base64
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import grpc
import httpx

from tensorgate.v1 import tensorgate_pb2 as pb
from tensorgate.v1.tensorgate_pb2_grpc import TensorgateServiceStub
from tests.processes import ROOT

_SECONDS = 10
_AT_ONCE = 4


class Traffic:
    """A client of a gateway.

    Args:
        rest: Base URL of its REST API.
        grpc_address: Of its gRPC API.

    Attributes:
        surprises: What went otherwise than it should have.
    """

    def __init__(self, rest: str, grpc_address: str) -> None:
        self.surprises: list[str] = []
        self._image = (ROOT / "examples/seven.png").read_bytes()
        self._series = (ROOT / "examples/sunspots.json").read_bytes()
        self._rest = httpx.Client(base_url=rest, timeout=_SECONDS)
        self._channel = grpc.insecure_channel(grpc_address)
        self._stub: Any = TensorgateServiceStub(self._channel)  # type: ignore[no-untyped-call]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._channel.close()
        self._rest.close()

    def until(self, stop: threading.Event) -> None:
        """Asks everything, some of it at the same time, until that is set."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            while not stop.wait(0.05):
                for surprise in pool.map(lambda ask: ask(), self._questions()):
                    if surprise:
                        self.surprises.append(surprise)

    def _questions(self) -> list[Callable[[], str]]:
        return [
            self._classify,
            self._classify,
            self._forecast,
            self._predict,
            self._infer,
            self._classify_over_grpc,
            self._stream,
            self._wrong_pixels,
            self._unknown_model,
        ]

    def _classify(self) -> str:
        headers = {"Content-Type": "image/png"}
        return self._post("/api/v1/models/digits/classify", 200, content=self._image, headers=headers)

    def _forecast(self) -> str:
        headers = {"Content-Type": "application/json"}
        return self._post("/api/v1/models/sunspots/forecast", 200, content=self._series, headers=headers)

    def _predict(self) -> str:
        instances = [{"b64": base64.b64encode(self._image).decode()}]
        body = {"signature_name": "classify_bytes", "instances": instances}
        return self._post("/v1/models/digits:predict", 200, json=body)

    def _infer(self) -> str:
        data = [0.0] * 64
        tensor = {"name": "images", "datatype": "FP32", "shape": [1, 8, 8, 1], "data": data}
        return self._post("/v2/models/digits/infer", 200, json={"inputs": [tensor]})

    def _wrong_pixels(self) -> str:
        return self._post("/api/v1/models/digits/classify", 422, json={"images": [{"pixels": [[0, "x"]]}]})

    def _unknown_model(self) -> str:
        return self._post("/api/v1/models/no-such-model/classify", 404, json={"images": [{"pixels": [[0]]}]})

    def _post(self, path: str, expected: int, **request: Any) -> str:
        try:
            answer = self._rest.post(path, **request)
        except httpx.HTTPError as error:
            return f"{path}: {error!r}"
        return "" if answer.status_code == expected else f"{path}: {answer.status_code} {answer.text}"

    def _classify_over_grpc(self) -> str:
        request = pb.ClassifyRequest(model="digits", images=[pb.Image(encoded=self._image)] * 3)
        try:
            self._stub.Classify(request, timeout=_SECONDS)
        except grpc.RpcError as error:
            return f"Classify: {error}"
        return ""

    def _stream(self) -> str:
        request = pb.ClassifyRequest(model="digits", images=[pb.Image(encoded=self._image)])
        try:
            answers = list(self._stub.ClassifyStream(iter([request] * 3), timeout=_SECONDS))
        except grpc.RpcError as error:
            return f"ClassifyStream: {error}"
        return "" if len(answers) == 3 else f"ClassifyStream: {len(answers)} answers to 3 requests"
