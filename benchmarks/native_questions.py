"""Questions to the typed API about the two default models."""

import base64
import json
from pathlib import Path

import numpy as np

from benchmarks.processes import ROOT
from benchmarks.questions import Numbers, Question, framed, write
from tensorgate.v1 import tensorgate_pb2 as pb

SERVICE = "/tensorgate.v1.TensorgateService"
CLASSIFY_STREAM = f"{SERVICE}/ClassifyStream"
CLASSIFIER, FORECASTER = "digits", "sunspots"


def classify_questions(folder: Path) -> list[Question]:
    """Writes a PNG as a question, over both transports."""
    png = (ROOT / "examples" / "seven.png").read_bytes()
    rpc = pb.ClassifyRequest(model=CLASSIFIER, images=[pb.Image(encoded=png)], top_k=3)
    rest = f"/api/v1/models/{CLASSIFIER}/classify"
    return [
        _write(folder, "Classify gRPC", f"{SERVICE}/Classify", framed(rpc.SerializeToString())),
        _write(folder, "classify REST", rest, json.dumps(_encoded(png)).encode()),
    ]


def forecast_questions(folder: Path) -> list[Question]:
    """Writes a series as a question, over both transports."""
    document = (ROOT / "examples" / "sunspots.json").read_bytes()
    series = [pb.Series(values=values) for values in json.loads(document)["series"]]
    rpc = pb.ForecastRequest(model=FORECASTER, series=series)
    rest = f"/api/v1/models/{FORECASTER}/forecast"
    return [
        _write(folder, "Forecast gRPC", f"{SERVICE}/Forecast", framed(rpc.SerializeToString())),
        _write(folder, "forecast REST", rest, document),
    ]


def _encoded(png: bytes) -> dict[str, object]:
    return {"images": [{"encoded": base64.b64encode(png).decode()}], "top_k": 3}


def _write(folder: Path, name: str, path: str, body: bytes) -> Question:
    return write(folder, name, Question(name, path, folder, name.endswith("gRPC"), _unread, None), body)


def _unread(_: bytes) -> Numbers:
    """Reads nothing: what these models answer is known by nobody but them."""
    return np.empty(0, np.float32)
