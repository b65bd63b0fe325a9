"""Files: images, what operators write, and what was recorded."""

import io
import struct
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np

from fuzz.models import BOUNDS, resolved, same
from fuzz.mutated_images import mutated_image, seeds
from fuzz.target import Target, check
from service.codecs import drift_reference, model_config
from service.codecs.crc32c import masked_crc32c
from service.codecs.images import as_seen, check_encoded
from service.codecs.model_config_text import format_model_configs
from service.codecs.prediction_log import EXAMPLES, decode_log, encode_log
from service.codecs.recorded_json import decode_line, encode_line
from service.codecs.tfrecord import OVERHEAD, frame, read_records, whole_length
from service.core.record import Record
from service.core.tensors import Tensor
from service.seam.grpc import parser_of
from service.wire import tensorflow_pb2 as tf_pb
from service.wire import tensorflow_serving_pb2 as tfs
from tests.mutated_json import mutated_json
from tests.mutated_messages import mutated_message
from tests.mutations import WORDS, mutated_bytes
from tests.valid_rpcs import CLASSIFY, PREDICT, REGRESS, RPCS

_PIXELS = 4096
_FOLDER = Path("/models")


def _image(data: bytes) -> None:
    """A file that passes and is not plain is made one that is."""
    checked = check_encoded(data, where="image", max_pixels=_PIXELS)
    check(0 < checked.pixels <= _PIXELS, f"{checked.pixels} pixels")
    if not checked.plain:
        again = check_encoded(as_seen(data, where="image"), where="image", max_pixels=_PIXELS)
        check(again.plain, "what a file is made of is not plain")
        check(again.pixels == checked.pixels, f"{checked.pixels} pixels became {again.pixels}")


def _config_text(data: bytes) -> None:
    """What was read is written, and read again."""
    configs = model_config.parse_model_configs(data.decode("utf-8", "replace"), folder=_FOLDER)
    again = model_config.parse_model_configs(format_model_configs(configs), folder=_FOLDER)
    check(configs == again, f"{configs} became {again}")


def _config_message(data: bytes) -> None:
    configs = model_config.decode_reload(parser_of(tfs.ModelServerConfig)(data))
    model_config.encode_reload(configs)


def _records(data: bytes) -> None:
    """Whatever is damaged, each byte is read once, and whole records are what their writer wrote."""
    chunks = list(read_records(io.BytesIO(data), len(data)))
    position = 0
    for number, chunk in enumerate(chunks, 1):
        check((chunk.number, chunk.fault == "") == (number, not chunk.fault), "numbers")
        check(chunk.offset >= position, "a record within another")
        if not chunk.fault:
            whole = frame(chunk.payload)
            check(data[chunk.offset : chunk.offset + len(whole)] == whole, "another record than stands there")
        position = chunk.offset + 1
    length = whole_length(io.BytesIO(data), len(data))
    check(0 <= length <= len(data), f"{length} whole bytes of {len(data)}")


def _log(data: bytes) -> None:
    record = decode_log(data, bounds=BOUNDS)
    again = decode_log(encode_log(record), bounds=_LOOSE)
    if record.method:  # examples, of which each may be written in many ways
        record, again = (replace(each, inputs={EXAMPLES: _features(each.inputs[EXAMPLES])}) for each in (record, again))
    _same_record(record, again)


def _features(examples: Tensor) -> Tensor:
    """Returns texts that are the same for examples of the same features."""
    array = np.empty(len(examples), object)
    array[:] = [
        repr(sorted((name, each.SerializeToString()) for name, each in _example(data).features.feature.items()))
        for data in examples
    ]
    return array


def _example(data: bytes) -> tf_pb.Example:
    return tf_pb.Example.FromString(data)


def _line(data: bytes) -> None:
    record = decode_line(data, bounds=BOUNDS)
    _same_record(record, decode_line(encode_line(record), bounds=_LOOSE))


def _same_record(first: Record, second: Record) -> None:
    check((first.model, first.signature, first.wanted) == (second.model, second.signature, second.wanted), "names")
    check(_all_same(first, second), "what was recorded is read as other tensors")


def _all_same(first: Record, second: Record) -> bool:
    kept = {name: tensor for name, tensor in first.inputs.items() if name not in first.redacted}
    given = {name: tensor for name, tensor in second.inputs.items() if name not in first.redacted}
    return kept.keys() == given.keys() and all(_equal(kept[name], given[name]) for name in kept)


def _equal(first: Tensor, second: Tensor) -> bool:
    """Returns whether two tensors are the same, as far as JSON tells: all that is no number is one NaN."""
    if first.dtype.kind in "fV":
        return first.dtype == second.dtype and bool(np.array_equal(first, second, equal_nan=first.dtype.kind == "f"))
    return same(first, second)


def _reference(data: bytes) -> None:
    signatures = {"serving_default": resolved("shades").signatures["serving_default"]}
    drift_reference.decode_reference(data, signatures)


def _mutated_text(data: bytes, random: Random) -> bytes:
    """Moves, repeats or leaves out words of a text, or puts in others."""
    words = data.decode("utf-8", "replace").split(" ")
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(words))
        match random.randrange(5):
            case 0:
                del words[at : at + 1]
                words = words or [""]
            case 1:
                words.insert(at, words[random.randrange(len(words))])
            case 2:
                words.insert(at, random.choice((*WORDS, "{", "}", '"', "-1", "99999999999999999999", "'\\377'", "#")))
            case 3:
                words[at] = mutated_bytes(words[at].encode(), random).decode("utf-8", "replace")
            case _:
                words[at] = words[random.randrange(len(words))]
    return " ".join(words).encode()


def _mutated_records(data: bytes, random: Random) -> bytes:
    """Puts records in, whole or damaged, and changes bytes of those that are there."""
    if random.random() < 0.5:
        return mutated_bytes(data, random)
    length = random.choice((0, 1, 8, 100, 2**31, 2**63, 2**64 - 1))
    head = struct.pack("<Q", length)
    lying = head + struct.pack("<I", masked_crc32c(head)) + random.randbytes(random.randrange(32))
    piece = random.choice((frame(random.randbytes(random.randrange(40))), lying, frame(data[:64])))
    at = random.randrange(len(data) + 1)
    return data[:at] + piece + data[at:]


def _logs() -> tuple[bytes, ...]:
    made = []
    for method, kind in ((PREDICT, "predict_log"), (CLASSIFY, "classify_log"), (REGRESS, "regress_log")):
        for request in RPCS[method]:
            made.append(log := tfs.PredictionLog())
            getattr(log, kind).request.MergeFrom(request)
    scored = made[-4].classify_log.response.result.classifications
    for label in ("a", "b"):
        scored.add().classes.add(label=label, score=0.5)
    return tuple(message.SerializeToString() for message in made)


_LOOSE = type(BOUNDS)()
"""For what was written here: it may be longer than what it was read of."""
_LINES = tuple(
    b"".join(encode_line(Record("sum", "serving_default", inputs, outputs, version=1, redacted=redacted)).splitlines())
    for inputs, outputs, redacted in (
        ({"a": np.eye(2, dtype=np.float32)}, {"y": np.array([np.nan, 1])}, ()),
        ({"t": np.array([b"a", b"\xff"], object), "n": np.array(7, np.uint64)}, None, ("t",)),
        ({"b": np.array([[True], [False]])}, {"z": np.empty((0, 2), np.int8)}, ()),
    )
)
_CONFIGS = (
    b'model_config_list { config { name: "a" base_path: "a" model_platform: "tensorflow" } }',
    b'model_config_list { config { name: "b" base_path: "/b" model_version_policy { specific { versions: 1 versions: '
    b'2 } } version_labels { key: "stable" value: 1 } } config { name: "c" base_path: "c" model_version_policy { all '
    b"{ } } } }",
    b'model_config_list { config { name: "d" base_path: "d" model_version_policy { latest { num_versions: 3 } } '
    b'tensorgate { batching: ON max_batch_size: 8 allowed_batch_sizes: [ 2, 8 ] shapes: GRAPH signatures { key: "x" '
    b"value { batching: OFF max_queue_size: 3 } } } } }",
)
_CONFIG_MESSAGES = tuple(model_config._parsed(text.decode()).SerializeToString(deterministic=True) for text in _CONFIGS)
_HISTOGRAM = b'{"statistic":"mean","edges":[0,1.5],"counts":[1,2,3]}'
_REFERENCES = (
    b'{"version":1,"about":"x","signatures":{"serving_default":{"inputs":{"images":{"scale":{"power":[1],"mean":[0],'
    b'"deviation":[2]},"histograms":[' + _HISTOGRAM + b']}},"outputs":{"scores":{"histograms":[{"statistic":"argmax",'
    b'"counts":[1,2,3]}]}}}}}',
    b'{"version":1,"signatures":{"serving_default":{"inputs":{"images":{"histograms":[' + _HISTOGRAM + b"]}}}}}",
)
TARGETS = (
    Target("image", _image, seeds(), mutated_image),
    Target("config-text", _config_text, _CONFIGS, _mutated_text),
    Target(
        "config-message",
        _config_message,
        _CONFIG_MESSAGES,
        lambda data, random: mutated_message(data, tfs.ModelServerConfig, random),
    ),
    Target(
        "tfrecord", _records, (frame(b"a") + frame(b"") + frame(b"bc" * 40), frame(bytes(OVERHEAD))), _mutated_records
    ),
    Target("prediction-log", _log, _logs(), lambda data, random: mutated_message(data, tfs.PredictionLog, random)),
    Target("recorded-line", _line, _LINES, mutated_json),
    Target("drift-reference", _reference, _REFERENCES, mutated_json, (drift_reference.InvalidReferenceError,)),
)
