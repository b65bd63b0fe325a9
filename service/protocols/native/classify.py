"""Classification, as both transports offer it."""

from collections.abc import Mapping

import numpy as np

from service.codecs.images import check_encoded
from service.core.call import Call
from service.core.catalog import ModelRef, ModelVersion
from service.core.engine import Engine, InferenceRequest
from service.core.tasks import CLASSIFY_ENCODED, PREDICT, ImageClassifier
from service.core.tensors import Tensor, shape_text
from service.errors import ErrorKind, GatewayError, Violation, invalid_input
from service.protocols.native.models import require_task
from service.schemas import Classification, ClassifyRequest, ClassifyResponse, ImageInput, ScoredClass


class Classifier:
    """Answers `ClassifyRequest`.

    Args:
        engine: Runs the model.
        max_image_pixels: How many pixels an image file may unpack to.
    """

    def __init__(self, engine: Engine, *, max_image_pixels: int) -> None:
        self._engine = engine
        self._max_image_pixels = max_image_pixels

    async def classify(self, request: ClassifyRequest, call: Call) -> ClassifyResponse:
        """Returns the best classes of each image.

        Raises:
            GatewayError: When the model, an image or the time does not suffice.
        """
        version = self._engine.resolve(ModelRef(request.model, request.version), call)
        task = require_task(version, ImageClassifier)
        self._engine.check_rows(len(request.images), where="images")
        with call.phase("decode"):
            pixels, encoded = self._decode(request.images, task)
        results: list[Classification | None] = [None] * len(request.images)
        for rows, outputs in await self._run(version, pixels, encoded, call):
            with call.phase("encode"):
                for row, result in zip(rows, _best(outputs["scores"], task.labels, request.top_k), strict=True):
                    results[row] = result
        return ClassifyResponse(
            model=version.name, version=version.version, results=[result for result in results if result]
        )

    def _decode(self, images: list[ImageInput], task: ImageClassifier) -> tuple[dict[int, Tensor], dict[int, bytes]]:
        """Returns pixel arrays and image files by the position of the image, all of them checked."""
        pixels: dict[int, Tensor] = {}
        encoded: dict[int, bytes] = {}
        for index, image in enumerate(images):
            if image.pixels is not None:
                pixels[index] = _fitted(image.pixels, task, where=f"images[{index}].pixels")
            elif image.encoded is not None:
                where = f"images[{index}].encoded"
                if not task.accepts_encoded:
                    raise invalid_input(Violation(where, "pixels, as this model takes no files", "a file"))
                check_encoded(image.encoded, where=where, max_pixels=self._max_image_pixels)
                encoded[index] = image.encoded
        return pixels, encoded

    async def _run(
        self, version: ModelVersion, pixels: dict[int, Tensor], encoded: dict[int, bytes], call: Call
    ) -> list[tuple[list[int], dict[str, Tensor]]]:
        """Runs pixels and files, each with the signature that takes them."""
        answers = []
        if pixels:
            inputs = {"images": np.stack(list(pixels.values()))}
            outputs = await self._engine.infer(InferenceRequest(version, PREDICT, inputs), call)
            answers.append((list(pixels), dict(outputs)))
        if encoded:
            try:
                outputs = await self._run_encoded(version, list(encoded.values()), call)
            except GatewayError as error:
                if error.kind is not ErrorKind.INVALID_INPUT:
                    raise
                raise await self._located(error, version, encoded, call) from None
            answers.append((list(encoded), dict(outputs)))
        return answers

    async def _run_encoded(self, version: ModelVersion, files: list[bytes], call: Call) -> Mapping[str, Tensor]:
        inputs = {"image_bytes": np.array(files, object)}
        return await self._engine.infer(InferenceRequest(version, CLASSIFY_ENCODED, inputs), call)

    async def _located(
        self, error: GatewayError, version: ModelVersion, encoded: dict[int, bytes], call: Call
    ) -> GatewayError:
        """Returns the error of a model that refused image files, with the path of the first that it refuses.

        Only the model's own decoder knows which that is, so it is asked again, for half of those in question each time.
        """
        indices = list(encoded)
        low, high = 0, len(indices)
        while high - low > 1:
            middle = (low + high) // 2
            try:
                await self._run_encoded(version, [encoded[index] for index in indices[low:middle]], call)
            except GatewayError as half:
                if half.kind is not ErrorKind.INVALID_INPUT:
                    raise
                error, high = half, middle
            else:
                low = middle
        where = f"images[{indices[low]}].encoded"
        return invalid_input(Violation(where, "an image that the model can decode", f"a damaged one: {error.message}"))


def _fitted(pixels: Tensor, task: ImageClassifier, *, where: str) -> Tensor:
    """Returns the pixels in the model's shape, which they must have but for a single channel."""
    expected = (task.height, task.width, task.channels)
    if pixels.shape == expected:
        return pixels
    if task.channels == 1 and pixels.shape == expected[:2]:
        return pixels[..., np.newaxis]
    raise invalid_input(Violation(where, f"shape {shape_text(expected)}", f"shape {shape_text(pixels.shape)}"))


def _best(scores: Tensor, labels: tuple[str, ...], top_k: int) -> list[Classification]:
    """Returns the best classes of each row of scores [N, K]; ties in the model's order."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :top_k]
    best = np.take_along_axis(scores, order, axis=1)
    return [
        Classification(
            classes=[
                ScoredClass(label=labels[index], score=score) for index, score in zip(indices, values, strict=True)
            ]
        )
        for indices, values in zip(order.tolist(), best.tolist(), strict=True)
    ]
