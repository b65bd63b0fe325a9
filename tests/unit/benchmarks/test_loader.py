"""The load generator against servers that remember what they were sent: nothing comes twice, nothing wrong counts."""

import http.server
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import orjson
import pytest

from benchmarks import load
from benchmarks.load import LoadError, burst
from benchmarks.questions import INPUT, OIP_REST, OIP_RPC, OIP_STREAM, SHAPE, TFS_REST, TFS_RPC, Question
from service.wire import open_inference_pb2 as oip
from service.wire import tensorflow_serving_pb2 as tfs

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None or not Path("/usr/include/nghttp2/nghttp2.h").exists(),
    reason="needs a C compiler and libnghttp2-dev",
)
_ANY_SIZE = (0, 65536)
Answer = Callable[[bytes], bytes]


@pytest.fixture(autouse=True, scope="module")
def _built() -> None:
    load.build()


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "_WARM_UP_SECONDS", 0.0)


@contextmanager
def _grpc_server(path: str, answer: Answer, *, stream: bool = False) -> Iterator[str]:
    def each(request: bytes, context: grpc.ServicerContext) -> bytes:
        return answer(request)

    def all_of_them(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        return map(answer, requests)

    _, service, method = path.split("/")
    handler: Any = (
        grpc.stream_stream_rpc_method_handler(all_of_them) if stream else grpc.unary_unary_rpc_method_handler(each)
    )
    with ThreadPoolExecutor(8) as pool:
        server = grpc.server(pool)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"127.0.0.1:{port}"
        server.stop(None).wait()


@contextmanager
def _http_server(answer: Answer, *, status: int = 200) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = answer(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _burst(question: Question, address: str, *, concurrency: int = 4, sizes: tuple[int, int] = _ANY_SIZE) -> int:
    return burst(question, address, sizes, concurrency=concurrency, seconds=0.3).answers


def _echo_oip(request: bytes) -> bytes:
    return oip.ModelInferResponse(id=oip.ModelInferRequest.FromString(request).id).SerializeToString()


def _echo_json(request: bytes) -> bytes:
    return orjson.dumps({"id": orjson.loads(request)["id"]})


def _image(request: bytes) -> bytes:
    return oip.ModelInferRequest.FromString(request).raw_input_contents[0]


def _floats(request: bytes) -> list[float]:
    numbers: list[float] = orjson.loads(request)["inputs"][0]["data"]
    return numbers


@pytest.mark.parametrize("question", [OIP_RPC, OIP_STREAM], ids=lambda question: question.name)
def test_every_grpc_message_has_an_id_and_pixels_of_its_own(question: Question) -> None:
    seen: list[bytes] = []

    def remember(request: bytes) -> bytes:
        seen.append(request)
        return _echo_oip(request)

    with _grpc_server(question.path, remember, stream=question is OIP_STREAM) as address:
        answers = _burst(question, address, concurrency=16)
    assert answers == len(seen) > 16
    requests = [oip.ModelInferRequest.FromString(request) for request in seen]
    assert len({request.id for request in requests}) == len({_image(request) for request in seen}) == len(seen)
    pixels = np.frombuffer(b"".join(map(_image, seen)), np.float32)
    assert 0 <= pixels.min() < 0.01
    assert 0.99 < pixels.max() < 1
    assert len(np.unique(pixels)) > 0.9 * min(len(pixels), 2**20)
    for request in requests:
        del request.raw_input_contents[:]
        request.id = ""
    assert {request.SerializeToString(deterministic=True) for request in requests} == {
        oip.ModelInferRequest(
            model_name="cnn28",
            inputs=[oip.ModelInferRequest.InferInputTensor(name=INPUT, datatype="FP32", shape=(1, *SHAPE))],
        ).SerializeToString(deterministic=True)
    }


def test_a_message_without_an_id_differs_by_its_pixels() -> None:
    seen: list[bytes] = []

    def remember(request: bytes) -> bytes:
        seen.append(tfs.PredictRequest.FromString(request).inputs[INPUT].tensor_content)
        return b"answer"

    with _grpc_server(TFS_RPC.path, remember) as address:
        assert _burst(TFS_RPC, address, sizes=(6, 6)) == len(seen) == len(set(seen)) > 0


def test_every_json_body_has_an_id_and_pixels_of_its_own() -> None:
    seen: list[bytes] = []

    def remember(request: bytes) -> bytes:
        seen.append(request)
        return _echo_json(request)

    with _http_server(remember) as address:
        assert _burst(OIP_REST, address) == len(seen) > 4
    assert len({orjson.loads(request)["id"] for request in seen}) == len(seen)
    images = {tuple(_floats(request)) for request in seen}
    assert len(images) == len(seen)
    assert {len(image) for image in images} == {28 * 28}
    assert all(0 <= pixel < 1 for image in images for pixel in image)


def test_nested_json_differs_too() -> None:
    seen: list[bytes] = []

    def remember(request: bytes) -> bytes:
        seen.append(request)
        return b"{}"

    with _http_server(remember) as address:
        assert _burst(TFS_REST, address) == len(seen) == len(set(seen)) > 4
    assert {np.array(orjson.loads(request)["instances"]).shape for request in seen} == {(1, *SHAPE)}


def test_a_refused_call_does_not_count() -> None:
    def refuse(_: bytes) -> bytes:
        raise OSError("full")

    with (
        _grpc_server(OIP_RPC.path, refuse) as address,
        pytest.raises(LoadError, match=r"([\d,]+) of \1 requests failed: grpc-status 2 grpc-message .*full"),
    ):
        _burst(OIP_RPC, address)


def test_a_broken_stream_is_reported() -> None:
    def refuse(_: bytes) -> bytes:
        raise OSError("full")

    with (
        _grpc_server(OIP_STREAM.path, refuse, stream=True) as address,
        pytest.raises(LoadError, match="grpc-status 2"),
    ):
        _burst(OIP_STREAM, address)


def test_an_http_status_is_reported() -> None:
    with _http_server(_echo_json, status=429) as address, pytest.raises(LoadError, match=r"HTTP/1\.1 429"):
        _burst(OIP_REST, address)


@pytest.mark.parametrize("question", [OIP_RPC, OIP_STREAM], ids=lambda question: question.name)
def test_an_answer_to_another_request_does_not_count(question: Question) -> None:
    with (
        _grpc_server(question.path, lambda _: b"9" * 16, stream=question is OIP_STREAM) as address,
        pytest.raises(LoadError, match="an answer to another id"),
    ):
        _burst(question, address)


def test_an_answer_of_another_size_does_not_count() -> None:
    with (
        _grpc_server(OIP_RPC.path, _echo_oip) as address,
        pytest.raises(LoadError, match="an answer of the wrong size"),
    ):
        _burst(OIP_RPC, address, sizes=(1, 17))


def test_a_refused_connection_is_reported() -> None:
    with pytest.raises(LoadError, match="connect: Connection refused"):
        _burst(replace(OIP_RPC), "127.0.0.1:1")


def test_a_burst_ends_when_enough_was_seen_and_counts_its_answers_alone() -> None:
    answers: list[bytes] = []

    def answer(request: bytes) -> bytes:
        answers.append(request)
        return b"answer"

    with _grpc_server(TFS_RPC.path, answer) as address:
        seen = burst(TFS_RPC, address, (6, 6), concurrency=1, seconds=3600, enough=lambda: len(answers) > 100)
    assert seen.answers == len(answers) > 100
    assert seen.worst is not None
    assert seen.p99 is not None
    assert seen.worst >= seen.p99 > 0
