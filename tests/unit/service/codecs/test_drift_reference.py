"""The file of a reference: what is read, and what is refused in which words."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from service.codecs.drift_reference import MAX_BYTES, InvalidReferenceError, decode_reference
from service.core.drift_reference import Side, Statistic
from service.core.tensors import Signature, TensorSpec

SIGNATURES = {
    "serving_default": Signature(
        "serving_default",
        "",
        {
            "x": TensorSpec("float32", (None, 3)),
            "text": TensorSpec("string", (None,)),
            "flat": TensorSpec("int8", (None,)),
        },
        {"y": TensorSpec("bfloat16", (None, 2)), "any": TensorSpec("float64", None)},
    )
}
GOOD: dict[str, Any] = {
    "version": 1,
    "about": "numbers",
    "signatures": {
        "serving_default": {
            "inputs": {
                "x": {
                    "scale": {"power": [1.0], "mean": [1, 2, 3], "deviation": [1, 1, 1]},
                    "histograms": [{"statistic": "mean", "edges": [0, 1.5], "counts": [1, 2, 3]}],
                }
            },
            "outputs": {"y": {"histograms": [{"statistic": "argmax", "counts": [1, 2]}]}},
        }
    },
}


def test_a_reference_is_read() -> None:
    reference = decode_reference(json.dumps(GOOD).encode(), SIGNATURES)
    assert reference.about == "numbers"
    x, y = reference.signatures["serving_default"]
    assert (x.name, x.side, y.name, y.side) == ("x", Side.INPUT, "y", Side.OUTPUT)
    assert x.scale is not None
    assert x.scale.mean.tolist() == [1, 2, 3]
    [histogram] = x.histograms
    assert (histogram.statistic, histogram.edges.tolist(), histogram.rows) == (Statistic.MEAN, [0, 1.5], 6)
    assert y.histograms[0].counts.tolist() == [1, 2]


def _x(file: dict[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = file["signatures"]["serving_default"]["inputs"]["x"]
    return entry


def _inputs(file: dict[str, Any], name: str) -> None:
    file["signatures"]["serving_default"]["inputs"][name] = {"histograms": _x(file)["histograms"]}


BROKEN: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "another version": (lambda file: file.update(version=2), "version"),
    "no version": (lambda file: file.pop("version"), "version"),
    "an unknown field": (lambda file: file.update(more=1), "more"),
    "an unknown signature": (
        lambda file: file["signatures"].update(other={}),
        "signatures.other: the version has no such signature",
    ),
    "an unknown tensor": (lambda file: _inputs(file, "z"), "inputs.z: the signature has no such tensor"),
    "a tensor of text": (lambda file: _inputs(file, "text"), "inputs.text: expected a tensor of numbers, got string"),
    "an unknown statistic": (lambda file: _x(file)["histograms"][0].update(statistic="mode"), "histograms.0.statistic"),
    "a statistic twice": (lambda file: _x(file)["histograms"].append(_x(file)["histograms"][0]), "each statistic once"),
    "no histogram": (lambda file: _x(file).update(histograms=[]), "histograms"),
    "edges missing": (lambda file: _x(file)["histograms"][0].update(edges=[0]), "3 bins have 2 edges, got 1"),
    "edges that fall": (lambda file: _x(file)["histograms"][0].update(edges=[1, 1]), "edges ascend"),
    "edges that are none": (lambda file: _x(file)["histograms"][0].update(edges=[0, float("nan")]), ""),
    "counts below zero": (lambda file: _x(file)["histograms"][0].update(counts=[1, -2, 3]), "counts.1"),
    "nothing counted": (lambda file: _x(file)["histograms"][0].update(counts=[0, 0, 0]), "one row at least"),
    "one bin": (lambda file: _x(file)["histograms"][0].update(edges=[], counts=[5]), "counts"),
    "too many bins": (lambda file: _x(file)["histograms"][0].update(counts=[1] * 65_537), "counts"),
    "classes with edges": (
        lambda file: _x(file)["histograms"][0].update(statistic="argmax"),
        "argmax has no edges",
    ),
    "classes of another number": (
        lambda file: _x(file).update(histograms=[{"statistic": "argmax", "counts": [1, 1]}]),
        "expected 3 classes, got 2",
    ),
    "a scale of another width": (
        lambda file: _x(file)["scale"].update(mean=[1, 2]),
        "expected lists of 1 or 3 numbers",
    ),
    "a scale by nothing": (lambda file: _x(file)["scale"].update(deviation=[0]), "scale.deviation.0"),
    "changes of what has no steps": (
        lambda file: file["signatures"]["serving_default"]["inputs"].update(
            flat={"histograms": [{"statistic": "changes", "edges": [0], "counts": [1, 1]}]}
        ),
        "changes need a second dimension",
    ),
    "too many histograms": (
        lambda file: file["signatures"].update(
            {f"s{index}": file["signatures"]["serving_default"] for index in range(150)}
        ),
        "at most 256 histograms, got 302",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_is_refused_with_its_place(case: str) -> None:
    broken = copy.deepcopy(GOOD)
    BROKEN[case][0](broken)
    signatures = SIGNATURES | {f"s{index}": SIGNATURES["serving_default"] for index in range(150)}
    with pytest.raises(InvalidReferenceError) as refusal:
        decode_reference(json.dumps(broken).encode(), signatures)
    assert BROKEN[case][1] in str(refusal.value)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b" " * (MAX_BYTES + 1)])
def test_what_is_no_reference_at_all_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidReferenceError):
        decode_reference(data, SIGNATURES)
