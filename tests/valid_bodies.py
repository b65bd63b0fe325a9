"""Valid bodies of every REST protocol for the models of `tests.judges`."""

import base64
import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.valid_rpcs import FLOATS, RAMP, png

JSON = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class RestBody:
    """A request.

    Attributes:
        document: In JSON.
        blobs: Raw tensors after it.
    """

    path: str
    document: bytes
    blobs: bytes = b""


def _json(path: str, document: Any, blobs: bytes = b"") -> RestBody:
    return RestBody(path, json.dumps(document).encode(), blobs)


def _json_input(name: str, datatype: str, shape: list[int], data: Any, **parameters: Any) -> dict[str, Any]:
    made = {"name": name, "datatype": datatype, "shape": shape, "parameters": parameters}
    return made if data is None else {**made, "data": data}


_ROWS = [{"a": row, "b": [4, 4]} for row in FLOATS.tolist()]
_EXAMPLES = [{"a": ["one", {"b64": "/w=="}], "b": [0.5, 2.0]}, {"b": [-1, 300]}, {"a": 0.5}]
_PAIR_JSON = [_json_input("a", "FP32", [2, 2], FLOATS.tolist()), _json_input("b", "FP32", [2, 2], [4, 4.5, 4, 4])]
_PAIR_RAW = [_json_input(name, "FP32", [2, 2], None, binary_data_size=16) for name in ("a", "b")]
_IMAGES_JSON = [{"pixels": [[0, 255, 1.5, 7]] * 4}, {"encoded": base64.b64encode(png()).decode()}]
_VERSIONS = ("", "/versions/1", "/labels/stable")
_GRID = np.arange(400).reshape(4, 50, 2) / 4
BODIES: tuple[RestBody, ...] = (
    _json("/v1/models/sum/versions/1:predict", {"signature_name": "serving_default", "instances": _ROWS}),
    _json("/v1/models/sum:predict", {"inputs": {"a": FLOATS.tolist(), "b": [[4, 4], [1, 1]]}}),
    _json("/v1/models/text/labels/stable:predict", {"inputs": ["abc", {"b64": "/w=="}, "é"]}),
    _json("/v1/models/counts:predict", {"instances": [[1, 2, 3], [4, 5, 6]]}),
    _json("/v1/models/strict:predict", {"instances": [1, 2, 3]}),
    *(_json(f"/v1/models/scales{path}:predict", {"instances": [2, 3]}) for path in _VERSIONS),
    _json("/v1/models/grid:predict", {"instances": _GRID.tolist()}),
    _json("/v1/models/judge:classify", {"signature_name": "classify", "examples": _EXAMPLES}),
    _json("/v1/models/judge:regress", {"signature_name": "regress", "examples": _EXAMPLES, "context": {"c": 1}}),
    _json(
        "/v2/models/sum/versions/1/infer",
        {"id": "7", "inputs": _PAIR_JSON, "outputs": [{"name": "sum"}, {"name": "difference"}]},
    ),
    _json(
        "/v2/models/sum/infer", {"inputs": _PAIR_RAW, "parameters": {"binary_data_output": True}}, FLOATS.tobytes() * 2
    ),
    _json(
        "/v2/models/text/versions/stable/infer",
        {"inputs": [_json_input("text", "BYTES", [2], ["YWJj", "/w=="], content_type="base64")]},
    ),
    _json(
        "/v2/models/several/infer",
        {"inputs": [_json_input("x", "FP32", [2], [1, 2.5])], "parameters": {"signature_name": "halve"}},
    ),
    _json("/v2/models/scales/infer", {"inputs": [_json_input("x", "FP32", [2], [2, 3])]}),
    _json("/v2/models/scales/versions/1/infer", {"inputs": [_json_input("x", "FP32", [2], [2, 3])]}),
    _json("/v2/models/grid/infer", {"inputs": [_json_input("x", "FP32", [4, 50, 2], _GRID.ravel().tolist())]}),
    _json("/v2/models/strict/infer", {"inputs": [_json_input("x", "INT32", [2], [1, 2])]}),
    _json("/api/v1/models/shades/classify?version=1", {"images": _IMAGES_JSON, "top_k": 2}),
    _json("/api/v1/models/shades/classify", {"images": [{"pixels": [[7, 255, 128, 33]] * 4}], "label": "stable"}),
    _json(
        "/api/v1/models/steps/forecast",
        {"series": [RAMP, _GRID[0, :, 0].tolist() * 5], "horizon": 2, "quantiles": [0.1, 0.9]},
    ),
)
