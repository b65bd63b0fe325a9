"""References for tests of drift, as training writes them, and a backend whose classifier has one."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from service.codecs.drift_reference import decode_reference
from service.core.catalog import Catalog
from service.core.drift_measures import Distance, distance
from service.core.drift_reference import Reference, statistics_of
from service.core.model_version import ModelRef, ModelVersion, State
from service.core.tensors import Signature, Tensor, TensorSpec
from tests import fakes
from training.reference import FILE_NAME, SignatureStatistics, TensorStatistics, histogram, write_reference

EXTRA = "assets.extra"
SIZE = fakes.SIZE


def images(count: int, *, mean: float = 128.0, seed: int = 0) -> Tensor:
    """Returns noisy pictures for the fake classifier, float32 [N,4,4,1], each of a brightness of its own."""
    random = np.random.default_rng(seed)
    brightness = random.normal(mean, 30, (count, 1, 1, 1))
    pixels = brightness + random.normal(0, 20, (count, SIZE, SIZE, 1))
    return np.clip(pixels, 0, 255).astype(np.float32)


def of_shades(folder: Path, rows: int = 1000) -> Path:
    """Writes the fake classifier's reference into the folder of a version; returns the file."""
    asked = images(rows)
    scores = fakes.classify_pixels({"images": asked})["scores"]
    of_images = TensorStatistics([histogram("mean", asked), histogram("deviation", asked)])
    of_scores = TensorStatistics([histogram("argmax", scores), histogram("largest", scores)])
    folder.mkdir(parents=True, exist_ok=True)
    signatures = {
        "serving_default": SignatureStatistics({"images": of_images}, {"scores": of_scores}),
        "classify_bytes": SignatureStatistics({}, {"scores": of_scores}),
    }
    write_reference(folder, signatures, about="pictures of no colour")
    return folder / EXTRA / FILE_NAME


def version_of(
    shape: tuple[int, ...], reference: Mapping[str, Any], *, outputs: Mapping[str, TensorSpec] | None = None
) -> ModelVersion:
    """Returns a version with one input ``x`` of rows of that shape, whose reference is this entry of the file."""
    signature = Signature("serving_default", "", {"x": TensorSpec("float32", (None, *shape))}, outputs or {})
    file = {"version": 1, "signatures": {"serving_default": {"inputs": {"x": reference}}}}
    read = decode_reference(json.dumps(file).encode(), {"serving_default": signature})
    return ModelVersion("m", 1, State.AVAILABLE, {"serving_default": signature}, reference=read)


def distances(reference: Reference, signature: str, tensors: Mapping[str, Tensor]) -> dict[str, Distance]:
    """Returns how far rows are from a reference, by tensor and statistic."""
    found = {}
    for tensor in reference.signatures[signature]:
        if tensor.name in tensors:
            for one, counts in zip(tensor.histograms, statistics_of(tensor, tensors[tensor.name]), strict=True):
                found[f"{tensor.name} {one.statistic}"] = distance(one, counts)
    return found


class WatchedBackend(fakes.FakeBackend):
    """Has a reference for each version of ``shades``, which is read from a file that is written for it."""

    async def start(self, catalog: Catalog) -> None:
        """Announces the same models."""
        await super().start(catalog)
        for number in (1, 2):
            version = catalog.find(ModelRef("shades", number))
            catalog.put(replace(version, reference=decode_reference(_file_of_shades(), version.signatures)))


def _file_of_shades() -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return of_shades(Path(folder)).read_bytes()
