"""Messages as no library would send them: refused for what they are, with nothing left of them, on both servers."""

import gzip
import threading
import zlib
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from service.transport.grpc import framing, writers
from service.wire import tensorflow_pb2 as tf_pb
from service.wire import tensorflow_serving_pb2 as tfs
from tests.clients import classify_request
from tests.conftest import Served, serving, until
from tests.http2 import SERVERS, Answer, connected, grpc_headers, message

CLASSIFY = "/tensorgate.v1.TensorgateService/Classify"
STREAM = "/tensorgate.v1.TensorgateService/ClassifyStream"
PREDICT = "/tensorflow.serving.PredictionService/Predict"
GOOD = classify_request("shades", images=[{"pixels": [[0] * 4] * 4}]).SerializeToString()
LIMIT = 4 * 1024 * 1024
OK, INVALID_ARGUMENT, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL = 0, 3, 4, 8, 12, 13

COMPRESS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}


async def asked(served: Served, body: bytes, path: str = CLASSIFY, **headers: str) -> Answer:
    """Makes one call on a connection of its own: what grpcio cannot read stays in its table of headers."""
    async with connected(served.runtime.grpc_port) as client:
        return await client.call(path, body, **headers)


async def nothing_is_left(served: Served) -> None:
    admission = served.runtime.admission
    await until(lambda: admission.bytes_held() == 0 and not any(admission.in_flight.values()))


def predict(size: int) -> bytes:
    """Returns a request of that many numbers, of which the model returns as many."""
    request = tfs.PredictRequest(model_spec=tfs.ModelSpec(name="double"))
    shape = tf_pb.TensorShapeProto(dim=[tf_pb.TensorShapeProto.Dim(size=size)])
    tensor = tf_pb.TensorProto(dtype=tf_pb.DT_FLOAT, tensor_shape=shape, tensor_content=bytes(4 * size))
    request.inputs["x"].CopyFrom(tensor)
    return request.SerializeToString()


@pytest.mark.parametrize("path", [CLASSIFY, STREAM])
@pytest.mark.parametrize("size", [2**32 - 1, 2**31, 2**31 - 1, LIMIT + 1024 * 1024 + 1, LIMIT + 1])
@pytest.mark.parametrize("grpc_server", SERVERS)
async def test_a_message_that_is_announced_too_long_is_refused_before_it_comes(
    grpc_server: str, size: int, path: str
) -> None:
    if grpc_server == "grpcio" and size == LIMIT + 1:
        pytest.skip("grpcio takes in what is over the limit by little, to refuse it in our words")
    async with (
        serving(grpc_server=grpc_server, max_request_bytes=LIMIT) as served,
        connected(served.runtime.grpc_port) as client,
    ):
        stream = client.start(grpc_headers(path))
        await client.send(stream, message(b"", size=size))
        answer = await client.answer(stream)
        assert answer.status == RESOURCE_EXHAUSTED
        assert str(size).encode() in answer.text
        await nothing_is_left(served)


@pytest.mark.parametrize("has_deadline", [True, False])
@pytest.mark.parametrize("grpc_server", SERVERS)
async def test_a_message_that_never_ends_ends_with_the_deadline(grpc_server: str, has_deadline: bool) -> None:
    async with (
        serving(grpc_server=grpc_server, default_timeout=60 if has_deadline else 0.5) as served,
        connected(served.runtime.grpc_port) as client,
    ):
        stream = client.start(grpc_headers(CLASSIFY, **({"grpc-timeout": "500m"} if has_deadline else {})))
        await client.send(stream, message(GOOD[:20], size=1_000_000))
        assert (await client.answer(stream)).status == DEADLINE_EXCEEDED
        await nothing_is_left(served)
        assert (await client.call(CLASSIFY, message(GOOD))).status == OK


@pytest.mark.parametrize("grpc_server", SERVERS)
async def test_what_is_only_announced_takes_nothing_from_others(grpc_server: str) -> None:
    async with (
        serving(grpc_server=grpc_server, max_bytes_in_flight=1_000_000, max_requests_in_flight=3) as served,
        connected(served.runtime.grpc_port) as client,
    ):
        for _ in range(20):
            stream = client.start(grpc_headers(CLASSIFY))
            await client.send(stream, message(b"half", size=900_000))
        if grpc_server == "h2corn":
            await until(lambda: served.runtime.admission.bytes_held() == 20 * 9)
        assert (await client.call(CLASSIFY, message(GOOD))).status == OK
        assert not any(served.runtime.admission.in_flight.values())
        for stream in client.answers:
            if not client.answers[stream].ended:
                client.reset(stream)
        await nothing_is_left(served)


MALFORMED = {
    "none": (b"", {}, b"expected one message, got none"),
    "half a prefix": (b"\0\0\0", {}, b"got 3, and then the end of the body"),
    "half a message": (message(b"abc", size=10), {}, b"got 8, and then the end of the body"),
    "two": (message(GOOD) * 2, {}, b"expected one message, got more than one"),
    "one and a half": (message(GOOD) + b"\0", {}, b"expected one message, got more than one"),
    "a flag of two": (message(GOOD, flag=2), {}, b"expected a message whose first byte is 0 or 1, got 2"),
    "compressed, nobody knows how": (message(GOOD, flag=1), {}, b"grpc-encoding"),
    "compressed as identity": (message(GOOD, flag=1), {"grpc_encoding": "identity"}, b"grpc-encoding"),
    "no gzip": (message(GOOD, flag=1), {"grpc_encoding": "gzip"}, b"expected gzip data"),
    "half a gzip": (message(gzip.compress(GOOD)[:-5], flag=1), {"grpc_encoding": "gzip"}, b"cut off"),
    "no deflate": (message(GOOD, flag=1), {"grpc_encoding": "deflate"}, b"expected deflate data"),
}


@pytest.mark.parametrize("case", MALFORMED)
async def test_a_call_without_exactly_one_whole_message_is_refused(served: Served, case: str) -> None:
    body, headers, words = MALFORMED[case]
    answer = await asked(served, body, **headers)
    assert answer.status == INVALID_ARGUMENT
    assert words in answer.text
    await nothing_is_left(served)
    assert served.backend.runs == 0


@pytest.mark.parametrize("case", sorted(MALFORMED.keys() - {"a flag of two"}))
async def test_grpcio_answers_to_all_of_these_as_well(case: str) -> None:
    body, headers, _ = MALFORMED[case]
    async with serving(grpc_server="grpcio") as served:
        answer = await asked(served, body, **headers)
        assert answer.status in {INVALID_ARGUMENT, INTERNAL} if case != "one and a half" else {OK, INVALID_ARGUMENT}
        await nothing_is_left(served)


async def test_messages_cut_anywhere_are_put_together(served: Served) -> None:
    async with connected(served.runtime.grpc_port) as client:
        stream = client.start(grpc_headers(STREAM))
        for byte in (message(GOOD) * 3)[:-1]:
            client.h2.send_data(stream, bytes([byte]))
        client.flush()
        await client.send(stream, (message(GOOD) * 3)[-1:], end=True)
        answer = await client.answer(stream)
        assert answer.status == OK
        assert served.backend.runs > 0
        await nothing_is_left(served)


@pytest.mark.parametrize("grpc_server", SERVERS)
async def test_an_encoding_that_there_is_not_is_refused_with_those_that_there_are(grpc_server: str) -> None:
    async with serving(grpc_server=grpc_server) as served:
        answer = await asked(served, message(GOOD, flag=1), grpc_encoding="snappy")
        assert answer.status == (UNIMPLEMENTED if grpc_server == "h2corn" else INTERNAL)
        if grpc_server == "h2corn":
            assert answer.headers[b"grpc-accept-encoding"] == b"identity,deflate,gzip"
        assert (await asked(served, message(GOOD))).status == OK


@pytest.mark.parametrize("encoding", COMPRESS)
@pytest.mark.parametrize("grpc_server", SERVERS)
async def test_a_small_message_that_unpacks_to_much_is_refused(grpc_server: str, encoding: str) -> None:
    async with serving(grpc_server=grpc_server, max_request_bytes=LIMIT) as served:
        bomb = COMPRESS[encoding](bytes(16 * LIMIT))
        assert len(bomb) < LIMIT / 20
        answer = await asked(served, message(bomb, flag=1), grpc_encoding=encoding)
        assert answer.status == RESOURCE_EXHAUSTED
        await nothing_is_left(served)
        assert served.backend.runs == 0


async def test_what_messages_unpack_to_counts_as_bytes_in_flight() -> None:
    async with serving(max_bytes_in_flight=1_000_000) as served:
        answer = await asked(served, message(gzip.compress(bytes(2_000_000)), flag=1), grpc_encoding="gzip")
        assert answer.status == RESOURCE_EXHAUSTED
        assert b"max_bytes_in_flight" in answer.text
        await nothing_is_left(served)


@pytest.mark.parametrize("accepted", ["gzip,deflate,identity", "identity, deflate ,gzip", "identity", ""])
@pytest.mark.parametrize("encoding", COMPRESS)
@pytest.mark.parametrize("path", [CLASSIFY, STREAM])
async def test_answers_are_compressed_as_the_requests_were_if_the_client_takes_it(
    served: Served, path: str, encoding: str, accepted: str
) -> None:
    body = message(COMPRESS[encoding](GOOD), flag=1)
    headers = {"grpc_accept_encoding": accepted} if accepted else {}
    plain = await asked(served, message(GOOD), path)
    answer = await asked(served, body, path, grpc_encoding=encoding, **headers)
    assert answer.status == OK
    if encoding in accepted:
        assert answer.headers[b"grpc-encoding"] == encoding.encode()
        assert answer.body[0] == 1
        assert zlib.decompress(answer.body[5:], zlib.MAX_WBITS | 32) == plain.body[5:]
    else:
        assert b"grpc-encoding" not in answer.headers
        assert answer.body == plain.body


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
@pytest.mark.parametrize("grpc_server", SERVERS)
async def test_a_client_that_compresses_is_understood(grpc_server: str, compression: grpc.Compression) -> None:
    async with serving(grpc_server=grpc_server) as served:
        request = classify_request("shades", images=[{"pixels": [[0] * 4] * 4}] * 100)
        assert len((await served.stub.Classify(request, compression=compression)).results) == 100
        stream = served.stub.ClassifyStream(iter([request] * 3), compression=compression)
        assert [len(answer.response.results) async for answer in stream] == [100] * 3


async def test_long_answers_are_compressed_on_a_thread(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []

    def noted(data: bytes, encoding: str = "") -> bytes:
        threads.append(threading.current_thread())
        return framed(data, encoding)

    framed = framing.framed
    monkeypatch.setattr(writers, "framed", noted)
    headers: Any = {"grpc_encoding": "gzip", "grpc_accept_encoding": "gzip"}
    for size in (1, 500_000):
        answer = await asked(served, message(predict(size)), PREDICT, **headers)
        assert answer.status == OK
    assert threads[0] is threading.main_thread()
    assert threads[1] is not threading.main_thread()
