"""What the server and its helper process say to each other arrives as it was, or not at all."""

import socket
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from service.backends.savedmodel import frames
from service.core.tensors import NUMPY_DTYPES, STRING, Tensor

SHAPES = [(), (0,), (3,), (2, 0, 3), (2, 3, 4)]

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def ends() -> Iterator[Pair]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def exchanged(ends: Pair, tensors: dict[str, Tensor], **fields: object) -> frames.Frame:
    frame = frames.encode(fields, tensors)
    sending = threading.Thread(target=frames.send, args=(ends[0], frame))
    sending.start()
    try:
        return frames.receive(ends[1])
    finally:
        sending.join()


def tensor_of(dtype: str, shape: tuple[int, ...]) -> Tensor:
    count = int(np.prod(shape))
    if dtype == STRING:
        values = np.empty(count, object)
        values[:] = [b"", b"\xff\0", b"x" * 70_000][:count] + [b"more"] * (count - 3)
        return values.reshape(shape)
    return np.arange(count).astype(NUMPY_DTYPES[dtype]).reshape(shape)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
def test_tensors_of_each_dtype_and_shape_arrive(ends: Pair, dtype: str, shape: tuple[int, ...]) -> None:
    tensor = tensor_of(dtype, shape)
    fields, tensors = exchanged(ends, {"größe": tensor}, request="run", model=3)
    assert fields == {"request": "run", "model": 3}
    assert tensors["größe"].dtype == tensor.dtype
    assert tensors["größe"].shape == shape
    assert np.array_equal(tensors["größe"], tensor)


def test_what_does_not_lie_in_order_is_put_in_order(ends: Pair) -> None:
    tensor = np.arange(12, dtype=np.float32).reshape(3, 4).T[::2]
    assert np.array_equal(exchanged(ends, {"x": tensor})[1]["x"], tensor)


def test_large_and_many_tensors_arrive_in_their_order(ends: Pair) -> None:
    tensors: dict[str, Tensor] = {str(number): np.full(number % 7, number, np.int32) for number in range(2000)}
    tensors["large"] = np.random.default_rng(1).random(3_000_001)
    arrived = exchanged(ends, tensors)[1]
    assert list(arrived) == list(tensors)
    assert all(np.array_equal(arrived[name], tensor) for name, tensor in tensors.items())


@pytest.mark.parametrize("kept", [0, 5, 30, -1])
def test_half_a_frame_is_none(ends: Pair, kept: int) -> None:
    data = b"".join(frames.encode({"request": "run"}, {"x": np.ones(100)}))
    ends[0].sendall(data[:kept])
    ends[0].close()
    with pytest.raises(frames.ConnectionEndedError):
        frames.receive(ends[1])


def test_nobody_reads(ends: Pair) -> None:
    ends[1].close()
    with pytest.raises(frames.ConnectionEndedError):
        frames.send(ends[0], frames.encode({}, {"x": np.ones(100)}))
