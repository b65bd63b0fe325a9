"""Classification, as both transports offer it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from service.codecs.images import Checked, as_seen, check_encoded
from service.core.call import Call
from service.core.engine import Engine, finite
from service.core.model_version import ModelVersion
from service.core.offload import FewAtATime, offloaded
from service.core.tasks import CLASSIFY_ENCODED, PREDICT, ImageClassifier
from service.core.tensors import Tensor, dtype_name, shape_text
from service.errors import ErrorKind, GatewayError, Violation, invalid_input
from service.protocols.native.models import require_task
from service.schemas import Classification, ClassifyRequest, ClassifyResponse, ImageInput, ScoredClass

_OOD_SCORE = "ood_score"
_BRIGHTEST = 255
_BATCH_PIXELS = 4_000_000
"""What image files of one run may unpack to, together, unless it is one alone; less than a second of work."""
_UNPACKED_AT_A_TIME = 2
_BYTES_PER_PIXEL = 4
_BYTES_PER_CLASS = 600
"""What a class of an answer takes before it is written."""
_BYTES_PER_FILE = 16 * 1024
"""What could be unpacked in the time that a file takes however small it is."""


@dataclass(frozen=True, slots=True)
class _File:
    data: bytes
    checked: Checked

    @property
    def unpacked_bytes(self) -> int:
        """What the work of unpacking it is about."""
        return _BYTES_PER_FILE + max(len(self.data), self.checked.pixels * _BYTES_PER_PIXEL)


class Classifier:
    """Answers `ClassifyRequest`.

    Args:
        engine: Runs the model.
        max_image_pixels: How many pixels the image files of one request may unpack to, together.
    """

    def __init__(self, engine: Engine, *, max_image_pixels: int) -> None:
        self._engine = engine
        self._max_image_pixels = max_image_pixels
        self._unpacking = FewAtATime(_UNPACKED_AT_A_TIME)

    async def classify(self, request: ClassifyRequest, call: Call) -> ClassifyResponse:
        """Returns the best classes of each image.

        Raises:
            GatewayError: When the model, an image or the time does not suffice.
        """
        version = self._engine.resolve(request.wanted(), call)
        task = require_task(version, ImageClassifier)
        size = sum(len(image.encoded) for image in request.images if image.encoded is not None)
        with call.phase("decode"):
            pixels, batches = await offloaded(size, lambda: self._decode(request.images, task))
        call.hold(len(request.images) * min(request.top_k, len(task.labels)) * _BYTES_PER_CLASS)
        results: dict[int, Classification] = {}
        if pixels:
            inputs = {"images": np.stack(list(pixels.values()))}
            outputs = await self._engine.run(version, PREDICT, inputs, call)
            with call.phase("encode"):
                results |= zip(pixels, _best(outputs, task.labels, request.top_k), strict=True)
        for batch in batches:
            files = await self._as_seen(batch, call)
            outputs = await self._run_located(version, files, call)
            with call.phase("encode"):
                results |= zip(files, _best(outputs, task.labels, request.top_k), strict=True)
        ordered = [results[index] for index in range(len(request.images))]
        return ClassifyResponse(model=version.name, version=version.version, results=ordered)

    def _decode(
        self, images: list[ImageInput], task: ImageClassifier
    ) -> tuple[dict[int, Tensor], list[dict[int, _File]]]:
        """Returns pixel arrays, and batches of image files, by the position of the image; all of them checked.

        A run cannot be stopped once it has begun. So files that unpack to much are run a few at a time: between two
        runs a request that nobody waits for any more ends.
        """
        pixels: dict[int, Tensor] = {}
        batches: list[dict[int, _File]] = []
        left, room = self._max_image_pixels, 0
        for index, image in enumerate(images):
            if image.pixels is not None:
                pixels[index] = _fitted(image.pixels, task, where=f"images[{index}].pixels")
            elif image.encoded is not None:
                where = f"images[{index}].encoded"
                if not task.accepts_encoded:
                    raise invalid_input(Violation(where, "pixels, as this model takes no files", "a file"))
                checked = check_encoded(image.encoded, where=where, max_pixels=left)
                left -= checked.pixels
                if checked.pixels > room:
                    batches.append({})
                    room = _BATCH_PIXELS
                room -= checked.pixels
                batches[-1][index] = _File(image.encoded, checked)
        return pixels, batches

    async def _as_seen(self, files: dict[int, _File], call: Call) -> dict[int, bytes]:
        """Returns the files as the model is given them; most are what came."""
        odd = {index: file for index, file in files.items() if not file.checked.plain}
        size = sum(file.unpacked_bytes for file in odd.values())
        with call.phase("decode"):
            seen = await self._unpacking.offloaded(size, lambda: _seen(odd))
        call.hold(sum(max(0, len(seen[index]) - len(file.data)) for index, file in odd.items()))
        return {index: seen.get(index, file.data) for index, file in files.items()}

    async def _run(self, version: ModelVersion, files: list[bytes], call: Call) -> Mapping[str, Tensor]:
        inputs = {"image_bytes": np.array(files, object)}
        return await self._engine.run(version, CLASSIFY_ENCODED, inputs, call)

    async def _run_located(self, version: ModelVersion, files: dict[int, bytes], call: Call) -> Mapping[str, Tensor]:
        """Runs image files; if the model refuses them, says which is the first that it refuses.

        Only the model's own decoder knows that, so the first is found by bisection.
        """
        try:
            return await self._run(version, list(files.values()), call)
        except GatewayError as refusal:
            if refusal.kind is not ErrorKind.INVALID_INPUT:
                raise
            error = refusal
        indices = list(files)
        low, high = 0, len(indices)
        while high - low > 1:
            middle = (low + high) // 2
            try:
                await self._run(version, [files[index] for index in indices[low:middle]], call)
            except GatewayError as half:
                if half.kind is not ErrorKind.INVALID_INPUT:
                    raise
                error, high = half, middle
            else:
                low = middle
        where = f"images[{indices[low]}].encoded"
        raise invalid_input(Violation(where, "an image that the model can decode", f"a damaged one: {error.message}"))


def _seen(files: dict[int, _File]) -> dict[int, bytes]:
    """Returns what the model is given in place of files that are not plain, by the position of the image."""
    return {index: as_seen(file.data, where=f"images[{index}].encoded") for index, file in files.items()}


def _fitted(pixels: Tensor, task: ImageClassifier, *, where: str) -> Tensor:
    """Returns the pixels in the model's shape, which they must have but for a single channel."""
    expected = (task.height, task.width, task.channels)
    if task.channels == 1 and pixels.ndim == 2:
        pixels = pixels[..., np.newaxis]
    if pixels.shape != expected:
        raise invalid_input(Violation(where, f"shape {shape_text(expected)}", f"shape {shape_text(pixels.shape)}"))
    lowest, highest = float(pixels.min()), float(pixels.max())
    if lowest < 0 or highest > _BRIGHTEST:
        raise invalid_input(Violation(where, "values from 0 to 255", f"values from {lowest:g} to {highest:g}"))
    return pixels


def _best(outputs: Mapping[str, Tensor], labels: tuple[str, ...], top_k: int) -> list[Classification]:
    """Returns the best classes of each row of scores [N, K], ties in the model's order; and its `ood_score`."""
    scores = finite(outputs, "scores")
    order = np.argsort(-scores, axis=1, kind="stable")[:, :top_k]
    best = np.take_along_axis(scores, order, axis=1)
    return [
        Classification(
            classes=[
                ScoredClass(label=labels[index], score=score) for index, score in zip(indices, values, strict=True)
            ],
            ood_score=unlike,
        )
        for indices, values, unlike in zip(
            order.tolist(), best.tolist(), _ood_scores(outputs, len(scores)), strict=True
        )
    ]


def _ood_scores(outputs: Mapping[str, Tensor], count: int) -> list[float] | list[None]:
    """Returns a number for each row, where the model has an output of that name and form."""
    found = outputs.get(_OOD_SCORE)
    if found is None or found.shape != (count,) or dtype_name(found) != "float32":
        return [None] * count
    values: list[float] = finite(outputs, _OOD_SCORE).tolist()
    return values
