"""The digits model is asked about one picture in files of every kind: the answer is the upright, plain one's."""

import io
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from PIL import Image

from tensorgate.v1 import tensorgate_pb2 as pb
from tensorgate.v1.tensorgate_pb2_grpc import TensorgateServiceStub
from tests.pictures import Pixels, deep_png, file, oriented
from tests.processes import ROOT, ServerProcess

pytestmark = pytest.mark.timeout(900)  # the first test waits for both default trainings
SEVEN = Path(ROOT / "examples/seven.png").read_bytes()
LEVELS: Pixels = np.asarray(Image.open(io.BytesIO(SEVEN)))
LARGE: Pixels = np.asarray(Image.fromarray(LEVELS).resize((64, 64), Image.Resampling.BICUBIC).convert("RGB"))
BLANK = Image.new("L", (8, 8), 255)


def veil(mode: str) -> Image.Image:
    """Returns black that is transparent where the picture is bright: without its alpha nothing is to be seen."""
    image = Image.new(mode, (8, 8))
    image.putalpha(Image.fromarray(255 - LEVELS))
    return image


def palette() -> bytes:
    image = Image.fromarray(LEVELS, "P")
    image.putpalette(bytes(768))
    return file(image, "PNG", transparency=bytes(range(255, -1, -1)))


def frames(file_format: str) -> bytes:
    return file(Image.fromarray(LEVELS), file_format, save_all=True, append_images=[BLANK])


KINDS = {
    **{f"PNG in orientation {number}": oriented(LEVELS, "PNG", number) for number in range(1, 9)},
    "RGB and alpha": file(veil("RGBA"), "PNG"),
    "grey and alpha": file(veil("LA"), "PNG"),
    "palette with alpha": palette(),
    "16 bits": deep_png(LEVELS[..., np.newaxis].astype(np.uint16) * 257),
    "16 bits and alpha": deep_png(np.stack([np.zeros((8, 8)), (255 - LEVELS) * 257.0], axis=2).astype(np.uint16)),
    "animated GIF": frames("GIF"),
    "animated PNG": frames("PNG"),
}
LOSSY = {
    **{f"JPEG in orientation {number}": oriented(LARGE, "JPEG", number) for number in range(1, 9)},
    "inks": file(Image.fromarray(LARGE).convert("CMYK"), "JPEG", quality=95),
}


def scores(result: Any) -> dict[str, float]:
    return {scored.label: scored.score for scored in result.classes}


@pytest.mark.parametrize("kind", [*KINDS, *LOSSY])
def test_a_picture_gets_its_answer_in_whatever_file_it_is(server: ServerProcess, kind: str) -> None:
    files = [SEVEN, file(Image.fromarray(LARGE), "PNG"), {**KINDS, **LOSSY}[kind]]
    with grpc.insecure_channel(server.grpc) as channel:
        stub: Any = TensorgateServiceStub(channel)  # type: ignore[no-untyped-call]
        images = [pb.Image(encoded=data) for data in files]
        answer = stub.Classify(pb.ClassifyRequest(model="digits", images=images, top_k=10), timeout=10)
    small, large, this = (scores(result) for result in answer.results)
    assert max(this, key=this.__getitem__) == "7"
    assert this == pytest.approx(small if kind in KINDS else large, abs=1e-5 if kind in KINDS else 0.05)
    url = f"{server.rest}/api/v1/models/digits/classify?top_k=10"
    response = httpx.post(url, content=files[-1], headers={"content-type": "image/png"})
    [over_rest] = response.raise_for_status().json()["results"]
    assert {scored["label"]: scored["score"] for scored in over_rest["classes"]} == pytest.approx(this, abs=1e-5)
