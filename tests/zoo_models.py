"""SavedModels of every form that a protocol must carry, written by real TensorFlow. Imports tensorflow.

| model | signature | inputs | outputs |
| --- | --- | --- | --- |
| pair | serving_default | left float32 [?, 2], right int64 [?] | sum float32 [?, 2], scaled float64 [?] |
| words | serving_default | text string [?] | upper string [?], length int32 [?], raw_bytes string [?] |
| numbers | one for each dtype, named so | x of that dtype [?] | y = x |
| vector | serving_default | x float32 [3] | y float32 [3], total float32 [] |
| scalar | serving_default | x float32 [] | y float32 [] |
| anything | serving_default | x float32 of any shape | y = 2 x |
| modes | serving_default, negate, square | x float32 [?] | y float32 [?] |
| versions | serving_default, in versions 1 and 2 | x float32 [?] | y = x + version |
| optional | serving_default | x float32 [?], scale float32 [], which is 10 when left out | y float32 [?] |
| all_optional | serving_default | x float32 [?], which is [7] when left out | y = x |
| strict | serving_default | x float32 [?] | y = x; refuses numbers below zero |
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

NUMBERS = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "bfloat16", "float32", "float64", "complex64", "complex128"),
)
LABELS = {"stable": 1, "canary": 2}

Function = Callable[..., dict[str, Any]]
Inputs = dict[str, tuple[Sequence[int | None] | None, str]]


def save_zoo(folder: Path) -> str:
    """Writes all models below a folder; returns their configuration, in TensorFlow Serving's text format."""
    _save(folder / "pair" / "1", serving_default=(_pair, {"left": ([None, 2], "float32"), "right": ([None], "int64")}))
    _save(folder / "words" / "1", serving_default=(_words, {"text": ([None], "string")}))
    numbers: dict[str, tuple[Function, Inputs]] = {dtype: (_same, {"x": ([None], dtype)}) for dtype in NUMBERS}
    _save(folder / "numbers" / "1", **numbers)
    _save(folder / "vector" / "1", serving_default=(_total, {"x": ([3], "float32")}))
    _save(folder / "scalar" / "1", serving_default=(_double, {"x": ([], "float32")}))
    _save(folder / "anything" / "1", serving_default=(_double, {"x": (None, "float32")}))
    row: Inputs = {"x": ([None], "float32")}
    _save(folder / "modes" / "1", serving_default=(_same, row), negate=(_negated, row), square=(_squared, row))
    save_versions(folder / "versions", *LABELS.values())
    _save(folder / "optional" / "1", serving_default=(_scaled, {**row, "scale": ([], "float32")}))
    _give_default(folder / "optional" / "1", "scale", 10.0)
    _save(folder / "all_optional" / "1", serving_default=(_same, row))
    _give_default(folder / "all_optional" / "1", "x", [7.0])
    _save(folder / "strict" / "1", serving_default=(_strict, row))
    return config_of(folder)


def save_versions(folder: Path, *versions: int) -> None:
    """Writes versions of a model that adds its version's number to x float32 [?]."""
    for version in versions:
        _save(folder / str(version), serving_default=(_plus(version), {"x": ([None], "float32")}))


def config_of(folder: Path) -> str:
    """Returns the configuration that serves all models of the folder, with all their versions and the labels."""
    labels = " ".join(f'version_labels {{ key: "{name}" value: {version} }}' for name, version in LABELS.items())
    configs = "\n".join(
        f'config {{ name: "{model.name}" base_path: "{model}" model_platform: "tensorflow" '
        f"model_version_policy {{ all {{}} }} {labels if model.name == 'versions' else ''} }}"
        for model in sorted(folder.iterdir())
    )
    return f"model_config_list {{\n{configs}\n}}"


def _save(folder: Path, **signatures: tuple[Function, Inputs]) -> None:
    module = tf.Module()
    functions = {}
    for name, (function, inputs) in signatures.items():
        specs = {alias: tf.TensorSpec(shape, dtype, name=alias) for alias, (shape, dtype) in inputs.items()}
        functions[name] = tf.function(function).get_concrete_function(**specs)
    tf.saved_model.save(module, str(folder), signatures=functions)


def _give_default(folder: Path, name: str, value: float | list[float]) -> None:
    file = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    defaults = model.meta_graphs[0].signature_def["serving_default"].defaults
    defaults[name].CopyFrom(tf.make_tensor_proto(value, tf.float32))
    file.write_bytes(model.SerializeToString())


def _pair(left: Any, right: Any) -> dict[str, Any]:
    whole = tf.cast(right, tf.float32)
    return {"sum": left + whole[:, tf.newaxis], "scaled": tf.cast(right, tf.float64) * 0.5}


def _words(text: Any) -> dict[str, Any]:
    return {"upper": tf.strings.upper(text), "length": tf.strings.length(text), "raw_bytes": text}


def _same(x: Any) -> dict[str, Any]:
    return {"y": tf.identity(x)}


def _total(x: Any) -> dict[str, Any]:
    return {"y": x * 2.0, "total": tf.reduce_sum(x)}


def _double(x: Any) -> dict[str, Any]:
    return {"y": x * 2.0}


def _negated(x: Any) -> dict[str, Any]:
    return {"y": -x}


def _squared(x: Any) -> dict[str, Any]:
    return {"y": x * x}


def _plus(version: int) -> Function:
    return lambda x: {"y": x + float(version)}


def _scaled(x: Any, scale: Any) -> dict[str, Any]:
    return {"y": x * scale}


def _strict(x: Any) -> dict[str, Any]:
    with tf.control_dependencies([tf.debugging.assert_non_negative(x, "x must not be below zero")]):
        return {"y": tf.identity(x)}
