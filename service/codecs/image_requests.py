"""Image files among the inputs of generic requests: how much they unpack to, before a model does it."""

from collections.abc import Iterable

from google.protobuf.message import DecodeError

from pictures.plain import PictureError, TooManyPixelsError, opened
from service.codecs.image_work import work_of
from service.core.offload import offloaded
from service.core.request import InferenceRequest
from service.core.tasks import CLASSIFY_ENCODED, ImageClassifier
from service.errors import ErrorKind, Violation, invalid_input
from service.wire import tensorflow_pb2 as tf_pb

_CLASSIFY_EXAMPLES = "classify_examples"
_FEATURE = "image/encoded"
_BYTES_PER_FILE = 16 * 1024
"""What could be looked at in the time that a file takes however small it is."""


class ImageRequests:
    """Holds requests to image classifiers, by whatever protocol, to the pixels that one request may unpack to.

    What is wrong with a file otherwise is the model's to say. Of models that are no image classifiers it is not known
    what they do with strings.

    Args:
        max_pixels: Of all files of one request (``max_image_pixels``).
    """

    def __init__(self, max_pixels: int) -> None:
        self._max_pixels = max_pixels

    async def check(self, request: InferenceRequest) -> None:
        """Refuses a request whose image files unpack to too much.

        Raises:
            GatewayError: TOO_LARGE.
        """
        if isinstance(request.version.task, ImageClassifier) and (files := _files(request)):
            size = sum(map(len, files)) + _BYTES_PER_FILE * len(files)
            await offloaded(size, lambda: self._check(files, request.signature.name == _CLASSIFY_EXAMPLES))

    def _check(self, files: Iterable[bytes], in_examples: bool) -> None:
        pixels = 0
        for index, file in enumerate(files):
            for data in _encoded(file) if in_examples else (file,):
                pixels += _pixels(data, self._max_pixels - pixels)
            if pixels > self._max_pixels:
                expected = f"files of at most {self._max_pixels} pixels in all (max_image_pixels)"
                where = f"inputs, row {index}"
                raise invalid_input(Violation(where, expected, f"{pixels} and more"), kind=ErrorKind.TOO_LARGE)


def _files(request: InferenceRequest) -> list[bytes]:
    if request.signature.name not in {CLASSIFY_ENCODED, _CLASSIFY_EXAMPLES}:
        return []
    files: list[bytes] = next(iter(request.inputs.values())).ravel().tolist()
    return files


def _encoded(example: bytes) -> Iterable[bytes]:
    try:
        return tf_pb.Example.FromString(example).features.feature[_FEATURE].bytes_list.value
    except DecodeError:  # the model says so
        return ()


def _pixels(data: bytes, left: int) -> int:
    """Returns what a file costs, in pixels; one that is more than a header can be believed of, more than are left."""
    work = work_of(data, max_pixels=left)
    if work.pixels > left:
        return work.pixels
    try:
        with opened(data) as image:
            return image.width * image.height * work.passes * work.frames + work.pixels
    except TooManyPixelsError:
        return left + 1
    except PictureError:
        return work.pixels
