"""Recorded requests as TensorFlow Serving's ``PredictionLog`` messages (its ``apis/prediction_log.proto``).

The request names no version, as a warm-up or a replay asks whatever is served by then; the answer and the log's
metadata do. A request with redacted inputs has zeros and empty strings in their place, and no answer, as that would be
the answer to something else.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from service.codecs.tensor_proto import decode_tensor, encode_tensor
from service.core.bounds import InputBounds
from service.core.record import Record
from service.core.tasks import PREDICT
from service.core.tensors import STRING, Tensor, dtype_name
from service.errors import Violation, invalid_input
from service.wire import tensorflow_pb2 as tf_pb
from service.wire import tensorflow_serving_pb2 as pb

CLASSIFY, REGRESS = "classify", "regress"
EXAMPLES = "inputs"
"""What upstream's classification and regression signatures call their one input."""
_CLASSES, _SCORES, _OUTPUTS = "classes", "scores", "outputs"


def verb_of(record: Record) -> str:
    """Returns ``classify`` or ``regress`` for a request that was one of examples, else an empty string."""
    verb = re.split("[/:]", record.method)[-1].lower()
    examples = record.inputs.get(EXAMPLES)
    if verb not in {CLASSIFY, REGRESS} or len(record.inputs) != 1 or examples is None:
        return ""
    return verb if dtype_name(examples) == STRING and examples.ndim == 1 else ""


def encode_log(record: Record) -> bytes:
    """Returns the message of a request that was answered, serialized.

    Raises:
        GatewayError: NOT_SUPPORTED for a tensor that the wire does not have.
    """
    log = pb.PredictionLog()
    log.log_metadata.timestamp_secs = int(record.time)
    _name(log.log_metadata.model_spec, record, with_version=True)
    if (verb := verb_of(record)) and (examples := examples_of(record.inputs[EXAMPLES])) is not None:
        entry: Any = log.classify_log if verb == CLASSIFY else log.regress_log
        entry.request.input.example_list.examples.extend(examples)
        fill: Any = _fill_classifications if verb == CLASSIFY else _fill_regressions
    else:
        entry = log.predict_log
        entry.request.output_filter.extend(record.wanted)
        for name, tensor in record.inputs.items():
            encode_tensor(tensor, entry.request.inputs[name], as_content=True)
        fill = _fill_outputs
    _name(entry.request.model_spec, record, with_version=False)
    if record.outputs is not None and not record.redacted:
        _name(entry.response.model_spec, record, with_version=True)
        fill(entry.response, record.outputs)
    return log.SerializeToString()


def decode_log(data: bytes, *, bounds: InputBounds) -> Record:
    """Returns the request of a serialized message, with its answer if it has one.

    Args:
        data: The message.
        bounds: Of its tensors.

    Raises:
        GatewayError: INVALID_INPUT when it is none, or of a kind that asks for more than one signature.
    """
    try:
        log = pb.PredictionLog.FromString(data)
    except DecodeError:
        raise invalid_input(Violation("record", "a PredictionLog", f"{len(data)} other bytes")) from None
    kind = log.WhichOneof("log_type")
    if kind is None:
        raise invalid_input(Violation("record", "a predict_log, classify_log or regress_log", "another one"))
    entry = getattr(log, kind)
    spec = entry.request.model_spec
    outputs: Mapping[str, Tensor] | None = None
    if kind == "predict_log":
        inputs = _tensors(entry.request.inputs, bounds, "inputs")
        if entry.HasField("response"):
            outputs = _tensors(entry.response.outputs, bounds, "outputs")
    else:
        inputs = {EXAMPLES: serialized(entry.request.input)}
        if entry.HasField("response"):
            decode = classified if kind == "classify_log" else regressed
            outputs = decode(entry.response.result)
    answered = entry.response.model_spec if entry.HasField("response") else log.log_metadata.model_spec
    return Record(
        model=spec.name,
        signature=spec.signature_name or PREDICT,
        inputs=inputs,
        outputs=outputs,
        wanted=tuple(entry.request.output_filter) if kind == "predict_log" else (),
        version=answered.version.value if answered.HasField("version") else None,
        method={"classify_log": CLASSIFY, "regress_log": REGRESS}.get(kind, ""),
        time=float(log.log_metadata.timestamp_secs),
    )


def classified(result: pb.ClassificationResult) -> dict[str, Tensor]:
    """Returns classes and scores [N, K] of a result; only those that there are, where the model gives one of both."""
    rows = [list(row.classes) for row in result.classifications]
    if len({len(row) for row in rows}) > 1:
        raise invalid_input(Violation("response", "as many classes for each example", "some more, some less"))
    shape = (len(rows), len(rows[0]) if rows else 0)
    entries = [entry for row in rows for entry in row]
    labels = np.empty(len(entries), object)
    labels[:] = [entry.label.encode() for entry in entries]
    scores = np.array([entry.score for entry in entries], np.float32)
    found = {_CLASSES: labels.reshape(shape), _SCORES: scores.reshape(shape)}
    if not any(labels):
        del found[_CLASSES]
    elif not scores.any():
        del found[_SCORES]
    return found


def regressed(result: pb.RegressionResult) -> dict[str, Tensor]:
    """Returns the values [N] of a result."""
    return {_OUTPUTS: np.array([entry.value for entry in result.regressions], np.float32)}


def serialized(message: pb.Input) -> Tensor:
    """Returns the examples of a request [N]; a context they share is part of each."""
    kind = message.WhichOneof("kind")
    holder: Any = getattr(message, kind) if kind else message.example_list
    texts = []
    for example in holder.examples:
        merged = tf_pb.Example()
        if kind == "example_list_with_context":
            merged.CopyFrom(holder.context)
        for name, feature in example.features.feature.items():
            merged.features.feature[name].CopyFrom(feature)
        texts.append(merged.SerializeToString())
    array = np.empty(len(texts), object)
    array[:] = texts
    return array


def examples_of(texts: Tensor) -> list[tf_pb.Example] | None:
    """Returns serialized examples as messages; ``None`` where one is none."""
    try:
        return [tf_pb.Example.FromString(text) for text in texts]
    except DecodeError:
        return None


def _name(spec: pb.ModelSpec, record: Record, *, with_version: bool) -> None:
    spec.name, spec.signature_name = record.model, record.signature
    if with_version and record.version is not None:
        spec.version.value = record.version


def _tensors(messages: Mapping[str, tf_pb.TensorProto], bounds: InputBounds, where: str) -> dict[str, Tensor]:
    return {name: decode_tensor(message, bounds=bounds, where=f"{where}.{name}") for name, message in messages.items()}


def _fill_outputs(response: pb.PredictResponse, outputs: Mapping[str, Tensor]) -> None:
    for name, tensor in outputs.items():
        encode_tensor(tensor, response.outputs[name], as_content=True)


def _fill_classifications(response: pb.ClassificationResponse, outputs: Mapping[str, Tensor]) -> None:
    labels, scores = _rows(outputs, _CLASSES), _rows(outputs, _SCORES)
    for index in range(len(labels or scores)):
        row = response.result.classifications.add()
        for position in range(len((labels or scores)[index])):
            row.classes.add(
                label=labels[index][position].decode("utf-8", "replace") if labels else "",
                score=scores[index][position] if scores else 0.0,
            )


def _fill_regressions(response: pb.RegressionResponse, outputs: Mapping[str, Tensor]) -> None:
    for value in outputs[_OUTPUTS].ravel().tolist():
        response.result.regressions.add(value=value)


def _rows(outputs: Mapping[str, Tensor], name: str) -> Sequence[Sequence[Any]]:
    return outputs[name].tolist() if name in outputs else []
