"""The two default models, served: equal answers over both transports, and a server that bad input leaves well."""

import base64
import csv
import json
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from sklearn.datasets import load_digits

from tensorgate.v1 import tensorgate_pb2 as pb
from tensorgate.v1.tensorgate_pb2_grpc import TensorgateServiceStub
from tests.processes import ROOT, ServerProcess

pytestmark = pytest.mark.timeout(900)  # the first test waits for both default trainings
DIGITS = "/api/v1/models/digits/classify"


def test_pixels_over_both_transports_and_the_file_score_the_same(server: ServerProcess) -> None:
    digits = load_digits()
    pixels = np.rint(digits.images[:50] * 255 / 16).astype(np.uint8)
    body = {"images": [{"pixels": image.tolist()} for image in pixels], "top_k": 10}
    over_rest = httpx.post(server.rest + DIGITS, json=body).json()["results"]
    images = [pb.Image(pixels=pb.Pixels(shape=[8, 8], bytes_values=image.tobytes())) for image in pixels]
    with grpc.insecure_channel(server.grpc) as channel:
        stub: Any = TensorgateServiceStub(channel)  # type: ignore[no-untyped-call]
        over_grpc = stub.Classify(pb.ClassifyRequest(model="digits", images=images, top_k=10), timeout=10).results
    for one, other in zip(over_rest, over_grpc, strict=True):
        assert [(c["label"], c["score"]) for c in one["classes"]] == [(c.label, c.score) for c in other.classes]
        assert one["ood_score"] == other.ood_score
        assert 0 < other.ood_score < 2
    right = [int(result["classes"][0]["label"]) for result in over_rest] == digits.target[:50]
    assert right.mean() > 0.95


def test_the_forecast_continues_the_series(server: ServerProcess) -> None:
    with (ROOT / "examples/sunspots.csv").open(newline="") as lines:
        series = [float(row["sunspots"]) for row in csv.DictReader(lines)]
    answer = httpx.post(server.rest + "/api/v1/models/sunspots/forecast", json={"series": [series]}).json()
    [forecast] = answer["forecasts"]
    assert len(forecast["values"]) == 10
    assert [quantile["level"] for quantile in forecast["quantiles"]] == [0.025, 0.1, 0.5, 0.9, 0.975]
    assert all(0 <= value < 400 for value in forecast["values"])


@pytest.mark.parametrize(("model", "verb"), [("digits", "Classify"), ("sunspots", "Regress")])
def test_the_documents_tf_examples_are_for_them(server: ServerProcess, model: str, verb: str) -> None:
    bodies = httpx.get(server.rest + "/openapi.json").json()["components"]["requestBodies"]
    example = bodies[f"TfServing{verb}"]["content"]["application/json"]["example"]
    answer = httpx.post(f"{server.rest}/v1/models/{model}:{verb.lower()}", json=example)
    assert len(answer.raise_for_status().json()["results"]) == 1


@pytest.mark.parametrize("size", [0, 1, 100, 10_000, 1_000_000])
def test_no_bytes_whatever_leave_it_unwell(server: ServerProcess, size: int) -> None:
    noise = np.random.default_rng(size).integers(0, 256, size, np.uint8).tobytes()
    png = (ROOT / "examples/seven.png").read_bytes()
    for data in (noise, png[:40] + noise, b"\xff\xd8\xff\xe0" + noise + b"\xff\xd9"):
        for media_type in ("image/png", "image/jpeg", "application/json", "multipart/form-data; boundary=x"):
            response = httpx.post(server.rest + DIGITS, content=data, headers={"content-type": media_type})
            assert 400 <= response.status_code < 500, response.text
        body = {"images": [{"encoded": base64.b64encode(data).decode()}]}
        assert httpx.post(server.rest + DIGITS, json=body).status_code == 422
    assert httpx.get(server.rest + "/readyz").json()["status"] == "ready"


def test_every_line_of_the_log_is_an_entry(server: ServerProcess) -> None:
    httpx.get(server.rest + "/api/v1/models").raise_for_status()
    entries = [json.loads(line) for line in server.lines]
    assert any("TensorFlow" in entry["message"] for entry in entries)


def test_each_version_states_its_origin(models: Path) -> None:
    for name in ("digits", "sunspots"):
        [version] = (models / name).iterdir()
        manifest = json.loads((version / "assets.extra/tensorgate.json").read_text())
        assert manifest["name"] == name
        assert (version / "assets.extra/tf_serving_warmup_requests").stat().st_size > 0
