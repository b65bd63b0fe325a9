"""What of a connection is bounded before a call is there, and what of an error."""

import asyncio
import struct
from typing import Any

import grpc
import pytest

from service.wire import tensorflow_pb2 as tf_pb
from service.wire import tensorflow_serving_pb2 as tfs_pb
from tests.clients import error_outcome
from tests.conftest import Served, serving

pytestmark = pytest.mark.usefixtures("with_grpc_server")

MIB = 1024 * 1024
_SETTINGS, _MAX_CONCURRENT_STREAMS = 4, 3


async def first_settings(port: int) -> dict[int, int]:
    """Returns the settings that the server sends to a new HTTP/2 connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, _SETTINGS, 0, 0, 0, 0, 0]))
    head = await reader.readexactly(9)
    assert head[3] == _SETTINGS
    settings = dict(struct.iter_unpack(">HI", await reader.readexactly(int.from_bytes(head[:3], "big"))))
    writer.close()
    return settings


async def test_the_calls_of_one_connection_are_bounded(served: Served) -> None:
    settings = await first_settings(served.runtime.grpc_port)
    assert settings[_MAX_CONCURRENT_STREAMS] == 1024


@pytest.mark.parametrize(("excess", "is_ours"), [(1, True), (MIB - 100, True), (MIB + 1, False)])
async def test_of_a_message_little_more_than_the_limit_is_taken_in(excess: int, is_ours: bool) -> None:
    limit = 4 * MIB
    async with serving(max_request_bytes=limit) as served:
        call: Any = served.channel.unary_unary("/tensorgate.v1.TensorgateService/Forecast")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(bytes(limit + excess))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert ("max_request_bytes" in (caught.value.details() or "")) is (is_ours or served.grpc_server == "h2corn")


async def test_an_error_full_of_long_names_reaches_the_client(served: Served) -> None:
    request = tfs_pb.PredictRequest()
    request.model_spec.name = "double"
    for number in range(40):
        request.inputs["é€" * 100 + str(number)].dtype = tf_pb.DT_FLOAT
    call: Any = served.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(request.SerializeToString())
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error_outcome(caught.value).code == "invalid_input"
    unknown: Any = served.channel.unary_unary("/" + "x" * 7000 + "/y")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await unknown(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
