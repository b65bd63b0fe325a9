"""JSON: documents as such, and the bodies of the three REST protocols up to the request that the engine runs."""

import json
from random import Random

import numpy as np
import orjson

from fuzz.models import BOUNDS, requested, resolved
from fuzz.target import Target, check
from service.codecs.json_arrays import with_lists
from service.codecs.json_document import JsonError, parse_json
from service.core.tasks import PREDICT
from service.errors import GatewayError
from service.protocols.native.json_body import json_object, message_of
from service.protocols.native.labels import SetLabelRequest
from service.protocols.open_inference.messages import wanted_signature
from service.protocols.open_inference.rest_request import decode_body, decode_raw_body, json_length
from service.protocols.tfserving.examples import input_from_json, serialized_examples
from service.protocols.tfserving.instances import (
    check_examples,
    document_of,
    predict_body,
    signature_name_of,
)
from service.schemas import ClassifyRequest, ForecastRequest
from service.wire import tensorflow_pb2 as tf_pb
from tests.mutated_json import mutated_json
from tests.mutations import mutated_bytes
from tests.valid_bodies import BODIES, RestBody

_PREDICT_MODELS = ("sum", "text", "counts", "strict", "scaled", "grid", "echo_bool", "echo_float16", "echo_uint64")
_ODD = (
    b'{"instances":[NaN,-Infinity,1e400,-0,18446744073709551616]}',
    b'\xef\xbb\xbf{"inputs":{"b64":"/w=="}} rubbish',
    b'{"x":"\\ud83d\\ude00\\u0000","instances":[[[[[[[[1]]]]]]]]}',
    b'{"instances":[' + b",".join(b"%d" % number for number in range(500)) + b"]}",
    b'{"inputs":{"x":[' + b",".join(b"[%d.5]" % number for number in range(300)) + b']},"a":[1,[2]]}',
)


def _documents(prefix: str, part: str = "") -> tuple[bytes, ...]:
    return tuple(body.document for body in BODIES if body.path.startswith(prefix) and part in body.path)


def _document(data: bytes) -> None:
    """Compares both ways to read a document: numbers cut out of its text, or parsed like all else."""
    outcomes = []
    for arrays in (False, True):
        try:
            parsed = parse_json(data, bounds=BOUNDS, rubbish_after=True, arrays=arrays)
            outcomes.append(json.dumps(with_lists(parsed) if isinstance(parsed, dict) else parsed))
        except (GatewayError, JsonError) as refusal:
            str(refusal).encode()
            outcomes.append(f"refused: {refusal}")
    check(outcomes[0] == outcomes[1], f"read in two ways: {outcomes[0][:200]} and {outcomes[1][:200]}")


def _predict(data: bytes) -> None:
    """The first byte says which model is asked; the rest is a body of TensorFlow Serving's ``:predict``."""
    name = _PREDICT_MODELS[data[0] % len(_PREDICT_MODELS)] if data else _PREDICT_MODELS[0]
    document = document_of(parse_json(data[1:], bounds=BOUNDS, rubbish_after=True, arrays=True))
    signature_name_of(document)
    version = resolved(name)
    signature = version.signatures[PREDICT]
    requested(version, signature, predict_body(document, signature, bounds=BOUNDS).inputs)


def _examples(data: bytes) -> None:
    document = document_of(parse_json(data, bounds=BOUNDS, rubbish_after=True))
    signature_name_of(document)
    check_examples(document)
    examples = serialized_examples(input_from_json(document, bounds=BOUNDS), bounds=BOUNDS, hold=lambda _: None)
    check(len(examples) == len(document["examples"]), "more or fewer examples than came")
    for example in examples:
        tf_pb.Example.FromString(example)
    version = resolved("judge")
    requested(version, version.signatures["classify"], {"inputs": examples})


def _infer(data: bytes) -> None:
    """Up to the first line's end stands what ``Inference-Header-Content-Length`` says; the rest is the body."""
    header, _, body = data.partition(b"\n")
    message = decode_body(body, json_length(header.decode("latin-1") or None, body), bounds=BOUNDS)
    wanted_signature(message.parameters)
    version = resolved("sum")
    requested(version, version.signatures[PREDICT], message.inputs, tuple(output.name for output in message.outputs))


def _raw_tensor(data: bytes) -> None:
    """The first byte says which model is asked; the rest is a tensor without JSON."""
    name = _PREDICT_MODELS[data[0] % len(_PREDICT_MODELS)] if data else _PREDICT_MODELS[0]
    version = resolved(name)
    signature = version.signatures[PREDICT]
    requested(version, signature, decode_raw_body(data[1:], signature, bounds=BOUNDS).inputs)


def _classify(data: bytes) -> None:
    message = message_of(ClassifyRequest, {"model": "shades"} | json_object(data, bounds=BOUNDS))
    for image in message.images:
        check(image.pixels is None or np.isfinite(image.pixels).all(), "pixels that are not finite")


def _forecast(data: bytes) -> None:
    message = message_of(ForecastRequest, {"model": "steps"} | json_object(data, bounds=BOUNDS))
    for series in message.series:
        check(series.dtype == np.float32 and np.isfinite(series).all(), "a series that is not finite")


def _label(data: bytes) -> None:
    message_of(SetLabelRequest, {"model": "shades", "label": "stable"} | json_object(data, bounds=BOUNDS))


def _after_first(data: bytes, random: Random) -> bytes:
    """Changes the document after a byte that says something else, and at times that byte."""
    first = bytes([random.randrange(256)]) if random.random() < 0.2 else data[:1]
    return first + mutated_json(data[1:], random)


def _infer_mutated(data: bytes, random: Random) -> bytes:
    header, _, body = data.partition(b"\n")
    if not header:
        return b"\n" + mutated_json(body, random)
    document, blobs = body[: int(header)], body[int(header) :]
    document = mutated_json(document, random)
    blobs = mutated_bytes(blobs, random) if random.random() < 0.3 else blobs
    length = str(len(document)).encode()
    return (length if random.random() < 0.9 else mutated_bytes(length, random)) + b"\n" + document + blobs


def _infer_seed(body: RestBody) -> bytes:
    header = str(len(body.document)).encode() if body.blobs else b""
    return header + b"\n" + body.document + body.blobs


_REFUSALS = (GatewayError, JsonError)
_PREDICTS = tuple(bytes([index]) + body for index in range(9) for body in (*_documents("/v1/", ":predict"), *_ODD[:2]))
_INFERS = tuple(_infer_seed(body) for body in BODIES if body.path.startswith("/v2/"))
_RAW = tuple(bytes([index]) + bytes(range(48)) for index in range(9))
_LABELS = (orjson.dumps({"version": 1}), b'{"version": 9223372036854775807}')
TARGETS = (
    Target("json-document", _document, (*_documents("/"), *_ODD), mutated_json),
    Target("json-predict", _predict, _PREDICTS, _after_first, _REFUSALS),
    Target("json-examples", _examples, _documents("/v1/models/judge"), mutated_json, _REFUSALS),
    Target("json-infer", _infer, _INFERS, _infer_mutated, _REFUSALS),
    Target("json-raw-tensor", _raw_tensor, _RAW),
    Target("json-classify", _classify, _documents("/api/", "classify"), mutated_json),
    Target("json-forecast", _forecast, _documents("/api/", "forecast"), mutated_json),
    Target("json-label", _label, _LABELS, mutated_json),
)
