"""What image files cost beyond their pixels, told before anything is unpacked."""

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from service.codecs.image_requests import ImageRequests
from service.codecs.image_work import Work, work_of
from service.codecs.images import check_encoded
from service.core.model_version import ModelVersion, State
from service.core.request import InferenceRequest
from service.core.tasks import ImageClassifier
from service.core.tensors import Signature
from service.errors import ErrorKind, GatewayError
from service.wire import tensorflow_pb2 as tf_pb
from tests.pictures import chunk, field, file

MANY = 50_000_000
PICTURE = Image.fromarray(field())


def with_scans(scans: int) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    data = file(PICTURE, "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * (scans - data.count(b"\xff\xda")) + data[-2:]


def with_chunks(count: int) -> bytes:
    data = file(PICTURE, "PNG")
    return data[:33] + chunk(b"prVt", b"") * count + data[33:]


def with_segments(count: int) -> bytes:
    data = file(PICTURE, "JPEG")
    return data[:2] + b"\xff\xe5\x00\x02" * count + data[2:]


def with_blocks(count: int) -> bytes:
    data = file(PICTURE, "GIF")
    table = 13 + (3 << (data[10] & 7) + 1)
    return data[:table] + b"\x21\xfe" + b"\x01x" * count + b"\x00" + data[table:]


def with_frames(count: int) -> bytes:
    frames = [Image.new("L", (40, 30), shade) for shade in range(count)]
    return file(frames[0], "GIF", save_all=True, append_images=frames[1:])


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "GIF", "BMP"])
def test_files_as_they_usually_are_make_no_work_beyond_their_pixels(file_format: str) -> None:
    assert work_of(file(PICTURE, file_format), max_pixels=MANY) == Work()
    assert work_of(file(PICTURE, "JPEG", progressive=True), max_pixels=MANY) == Work()


def test_scans_and_frames_are_passes_over_all_pixels() -> None:
    assert work_of(with_scans(1000), max_pixels=MANY).passes == 63
    assert work_of(with_frames(7), max_pixels=MANY).frames == 7


@pytest.mark.parametrize("make", [with_chunks, with_segments, with_blocks])
def test_parts_cost_pixels(make: Any) -> None:
    assert work_of(make(1000), max_pixels=MANY) == Work()
    assert 9_900 < work_of(make(11_000), max_pixels=MANY).parts < 10_000
    assert work_of(make(11_000), max_pixels=1000).pixels > 1000
    Image.open(io.BytesIO(make(1000))).load()


@pytest.mark.parametrize("data", [with_scans(1000), with_chunks(50_000), with_segments(50_000), with_blocks(50_000)])
def test_what_costs_too_much_is_refused(data: bytes) -> None:
    with pytest.raises(GatewayError, match="max_image_pixels") as caught:
        check_encoded(data, where="images[0].encoded", max_pixels=90_000)
    assert caught.value.kind is ErrorKind.TOO_LARGE


@given(st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"GIF89a"]), st.binary(max_size=60))
def test_no_bytes_whatever_crash_it(head: bytes, rest: bytes) -> None:
    assert work_of(head + rest, max_pixels=1000).parts >= 0


def request_of(signature: str, *files: bytes) -> InferenceRequest:
    task = ImageClassifier(4, 4, 1, ("a",), accepts_encoded=True)
    version = ModelVersion("shades", 1, State.AVAILABLE, task=task)
    return InferenceRequest(version, Signature(signature, "", {}, {}), {"x": np.array(files, object)}, len(files))


def example(data: bytes) -> bytes:
    feature = tf_pb.Feature(bytes_list=tf_pb.BytesList(value=[data]))
    return tf_pb.Example(features=tf_pb.Features(feature={"image/encoded": feature})).SerializeToString()


async def test_files_of_generic_requests_count_together_in_examples_too() -> None:
    files = [with_frames(3), with_frames(3), b"no image"]  # of 40 x 30 pixels each
    for requested in (request_of("classify_bytes", *files), request_of("classify_examples", *map(example, files))):
        await ImageRequests(7200).check(requested)
        with pytest.raises(GatewayError, match="max_image_pixels") as caught:
            await ImageRequests(7199).check(requested)
        assert caught.value.kind is ErrorKind.TOO_LARGE
    await ImageRequests(0).check(request_of("serving_default", *files))
    await ImageRequests(0).check(request_of("classify_examples", b"\xff"))
