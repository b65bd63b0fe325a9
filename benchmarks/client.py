"""``python -m benchmarks.client``: what the client library adds to a call of the stub, and its import.

Both make the same message and read the same answer, by turns, so that what else the machine does meets both alike. The
server is another process, which answers every call with the same bytes.
"""

import asyncio
import multiprocessing
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

import grpc
import numpy as np
from grpc import aio

from tensorgate.client import Client
from tensorgate.client.aio import Client as AsyncClient
from tensorgate.client.calls import CLASSIFY, INFER, METHODS
from tensorgate.v1 import tensorgate_pb2 as pb
from tensorgate.wire import infer_pb2

_IMAGE = b"\x89PNG" + bytes(200)
_ROWS = np.zeros((1, 8, 8, 1), np.float32)
_ROUNDS = 60
_CALLS = 50
_IMPORTS = 15

Once = Callable[[], Any]


def main() -> int:
    """Prints the tables."""
    telling, told = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(told,), daemon=True)
    server.start()
    try:
        address = f"127.0.0.1:{telling.recv()}"
        sys.stdout.write(f"{'call':>18} {'stub':>8} {'client':>8} {'more':>7} {'of that the thread':>19}\n")
        with Client(address) as client, grpc.insecure_channel(address) as channel:
            for name, pair in _pairs(client, channel).items():
                _show(name, *_compared(*pair))
        asyncio.run(_asynchronous(address))
    finally:
        server.kill()
        server.join()
    sys.stdout.write(f"microseconds a call, medians of {_ROUNDS} rounds of {_CALLS} calls each\n\n")
    _show_imports()
    return 0


def _pairs(client: Any, channel: Any) -> dict[str, tuple[Once, Once]]:
    """Returns what is compared: by the stub, and by the client."""
    classify, infer = (
        channel.unary_unary(method.path, method.request.SerializeToString, method.response.FromString)
        for method in (CLASSIFY, INFER)
    )
    model = client.model("digits")

    def classify_by_stub() -> Any:
        request = pb.ClassifyRequest(model="digits", images=[pb.Image(encoded=_IMAGE)], top_k=5)
        return classify(request, timeout=30)

    def predict_by_stub() -> Any:
        request = infer_pb2.ModelInferRequest(model_name="digits")
        request.inputs.add(name="images", datatype="FP32", shape=_ROWS.shape)
        request.raw_input_contents.append(_ROWS.tobytes())
        return infer(request, timeout=30)

    return {
        "classify": (
            lambda: _read_classes(classify_by_stub()),
            lambda: model.classify(_IMAGE, top_k=5),
        ),
        "predict": (lambda: _read_scores(predict_by_stub()), lambda: model.predict(images=_ROWS)),
    }


def _read_classes(answer: Any) -> list[tuple[str, float]]:
    return [(one.label, one.score) for one in answer.results[0].classes]


def _read_scores(answer: Any) -> Any:
    shape = tuple(answer.outputs[0].shape)
    return np.frombuffer(answer.raw_output_contents[0], np.float32).reshape(shape)


def _compared(bare: Once, client: Once) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Returns wall seconds and seconds of this thread a call, of each round of either."""
    rounds: tuple[list[tuple[float, float]], list[tuple[float, float]]] = ([], [])
    for _ in range(_ROUNDS):
        for found, once in zip(rounds, (bare, client), strict=True):
            begun, cpu = time.perf_counter(), time.thread_time()
            for _ in range(_CALLS):
                once()
            found.append(((time.perf_counter() - begun) / _CALLS, (time.thread_time() - cpu) / _CALLS))
    return rounds


async def _asynchronous(address: str) -> None:
    async with AsyncClient(address) as client, aio.insecure_channel(address) as channel:
        ask = channel.unary_unary(CLASSIFY.path, CLASSIFY.request.SerializeToString, CLASSIFY.response.FromString)
        model = client.model("digits")

        async def bare() -> Any:
            request = pb.ClassifyRequest(model="digits", images=[pb.Image(encoded=_IMAGE)], top_k=5)
            return _read_classes(await ask(request, timeout=30))

        async def by_client() -> Any:
            return await model.classify(_IMAGE, top_k=5)

        rounds: tuple[list[tuple[float, float]], list[tuple[float, float]]] = ([], [])
        pair: tuple[Callable[[], Awaitable[Any]], ...] = (bare, by_client)
        for _ in range(_ROUNDS):
            for found, once in zip(rounds, pair, strict=True):
                begun, cpu = time.perf_counter(), time.thread_time()
                for _ in range(_CALLS):
                    await once()
                found.append(((time.perf_counter() - begun) / _CALLS, (time.thread_time() - cpu) / _CALLS))
        _show("classify, asyncio", *rounds)


def _show(name: str, bare: list[tuple[float, float]], client: list[tuple[float, float]]) -> None:
    wall = [statistics.median(seconds for seconds, _ in rounds) * 1e6 for rounds in (bare, client)]
    more, cpu = (
        statistics.median(theirs[part] - ours[part] for ours, theirs in zip(bare, client, strict=True)) * 1e6
        for part in (0, 1)
    )
    sys.stdout.write(f"{name:>18} {wall[0]:>8.0f} {wall[1]:>8.0f} {more:>7.1f} {cpu:>19.1f}\n")


def _show_imports() -> None:
    program = (
        "import time\nbegun = time.perf_counter()\nimport grpc\nwith_grpc = time.perf_counter()\n"
        "import numpy\nwith_numpy = time.perf_counter()\nimport tensorgate.client\n"
        "print(with_grpc - begun, with_numpy - with_grpc, time.perf_counter() - with_numpy)"
    )
    runs = []
    for _ in range(_IMPORTS):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        runs.append([float(seconds) * 1e3 for seconds in done.stdout.split()])
    for name, seconds in zip(("grpc", "numpy", "tensorgate.client"), zip(*runs, strict=True), strict=True):
        sys.stdout.write(f"import {name:<18} {statistics.median(seconds):>5.0f} ms more, {min(seconds):.0f} at best\n")


class _Answers(grpc.GenericRpcHandler):
    """Answers every call with the same bytes, by path."""

    def __init__(self) -> None:
        spec = pb.TensorSpec(name="images", dtype="float32", shape=[-1, 8, 8, 1])
        signature = pb.Signature(name="serving_default", inputs=[spec], batched=True)
        version = pb.ModelVersion(version=1, state="AVAILABLE", kind="image_classifier", signatures=[signature])
        classes = [pb.ScoredClass(label=str(label), score=0.2) for label in range(5)]
        scores = infer_pb2.ModelInferResponse(model_name="digits", model_version="1")
        scores.outputs.add(name="scores", datatype="FP32", shape=[1, 10])
        scores.raw_output_contents.append(bytes(40))
        self._answers = {
            CLASSIFY.path: pb.ClassifyResponse(model="digits", version=1, results=[pb.Classification(classes=classes)]),
            INFER.path: scores,
            METHODS["GetModel"].path: pb.GetModelResponse(model=pb.Model(name="digits", versions=[version])),
        }

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        """Returns what answers a call."""
        answer = self._answers.get(str(details.method))
        if answer is None:
            return None
        data = answer.SerializeToString()
        return grpc.unary_unary_rpc_method_handler(lambda request, context: data)


def _serve(telling: Connection) -> None:
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((_Answers(),))
    telling.send(server.add_insecure_port("127.0.0.1:0"))
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    sys.exit(main())
