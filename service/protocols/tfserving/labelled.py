"""Classify, Regress and MultiInference: signatures that take tf.Examples, and their outputs as messages.

What a signature must be like for each, and the words for one that is not, are those of upstream's ``classifier.cc``,
``regressor.cc`` and ``multi_inference.cc``. The name of a signature's method does not matter, as it does not upstream.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from service.codecs.tensor_proto import dtype_number
from service.core.call import Call
from service.core.engine import Engine
from service.core.model_version import ModelVersion
from service.core.tensors import Signature, Tensor, dtype_name, shape_text
from service.errors import ErrorKind, GatewayError
from service.protocols.tfserving import wording
from service.protocols.tfserving.models import signature_def
from service.protocols.tfserving.predict import predict, signature_named
from service.wire import tensorflow_pb2 as tf_pb
from service.wire import tensorflow_serving_pb2 as serving_pb

INPUTS, CLASSES, SCORES, OUTPUTS = "inputs", "classes", "scores", "outputs"
CLASSIFY_METHOD = "tensorflow/serving/classify"
REGRESS_METHOD = "tensorflow/serving/regress"

_NO_SIGNATURE = "No signature was found with the name: {name}"
_NO_SIGNATURE_OF_SEVERAL = "Requested signature not found in model graph: {name}"


def classify_signature(engine: Engine, version: ModelVersion, name: str, *, text: str = _NO_SIGNATURE) -> Signature:
    """Returns a signature that can classify examples.

    Raises:
        GatewayError: INVALID_INPUT when there is none of that name, WRONG_MODEL_KIND when it does something else.
    """
    signature = _signature(engine, version, name, text)
    if len(signature.inputs) != 1:
        raise _unfit("Expected one input Tensor.")
    if len(signature.outputs) not in {1, 2}:
        raise _unfit(f"Expected one or two output Tensors, found {len(signature.outputs)}")
    if INPUTS not in signature.inputs:
        raise _unfit("No classification inputs found in SignatureDef: ", signature)
    if not {CLASSES, SCORES} & signature.outputs.keys():
        raise _unfit(
            f'Expected classification signature outputs to contain at least one of "{CLASSES}" or "{SCORES}". '
            "Signature was: ",
            signature,
        )
    return signature


def regress_signature(engine: Engine, version: ModelVersion, name: str, *, text: str = _NO_SIGNATURE) -> Signature:
    """Returns a signature that can regress examples.

    Raises:
        GatewayError: INVALID_INPUT when there is none of that name, WRONG_MODEL_KIND when it does something else.
    """
    signature = _signature(engine, version, name, text)
    if len(signature.inputs) != 1:
        raise _unfit("Expected one input Tensor.")
    if len(signature.outputs) != 1:
        raise _unfit("Expected one output Tensor.")
    if INPUTS not in signature.inputs:
        raise _unfit("No regression inputs found in SignatureDef: ", signature)
    if OUTPUTS not in signature.outputs:
        raise _unfit("No regression outputs found in SignatureDef: ", signature)
    return signature


async def classify(
    engine: Engine, version: ModelVersion, signature: Signature, examples: Tensor, call: Call
) -> serving_pb.ClassificationResult:
    """Returns the classes of each of the examples [N].

    Raises:
        GatewayError: What the engine raises; WRONG_MODEL_KIND when the outputs are no classes and scores.
    """
    outputs = await predict(engine, version, signature, {INPUTS: examples}, call=call)
    with call.phase("encode"):
        return _classifications(outputs, len(examples))


async def regress(
    engine: Engine, version: ModelVersion, signature: Signature, examples: Tensor, call: Call
) -> serving_pb.RegressionResult:
    """Returns the value of each of the examples [N].

    Raises:
        GatewayError: What the engine raises; WRONG_MODEL_KIND when the output is not a value for each.
    """
    outputs = await predict(engine, version, signature, {INPUTS: examples}, call=call)
    with call.phase("encode"):
        return _regressions(outputs[OUTPUTS], len(examples))


@dataclass(frozen=True, slots=True)
class Task:
    """One part of a MultiInference request.

    Attributes:
        signature: What to run.
        method_name: `CLASSIFY_METHOD` or `REGRESS_METHOD`.
        given_name: The signature's name as the request has it, which may be empty.
    """

    signature: Signature
    method_name: str
    given_name: str


def tasks_of(engine: Engine, version: ModelVersion, request: serving_pb.MultiInferenceRequest) -> list[Task]:
    """Returns the tasks of a MultiInference request.

    Raises:
        GatewayError: In upstream's words.
    """
    tasks: list[Task] = []
    for wanted in request.tasks:
        name = wanted.model_spec.signature_name
        match wanted.method_name:
            case "tensorflow/serving/classify":
                signature = classify_signature(engine, version, name, text=_NO_SIGNATURE_OF_SEVERAL)
            case "tensorflow/serving/regress":
                signature = regress_signature(engine, version, name, text=_NO_SIGNATURE_OF_SEVERAL)
            case other:
                text = wording.shortened(f"Unsupported signature method_name: {other}")
                raise GatewayError(ErrorKind.NOT_SUPPORTED, text)
        if any(task.signature.name == signature.name for task in tasks):
            text = f"Duplicate evaluation of signature: {signature.name}"
            raise GatewayError(ErrorKind.INVALID_INPUT, wording.shortened(text))
        tasks.append(Task(signature, wanted.method_name, name))
    if len({task.signature.inputs[INPUTS].tensor_name for task in tasks}) > 1:
        raise GatewayError(ErrorKind.INVALID_INPUT, "Input tensor must be the same for all Signatures.")
    return tasks


def _signature(engine: Engine, version: ModelVersion, name: str, text: str) -> Signature:
    try:
        return signature_named(engine, version, name, text)
    except GatewayError as error:
        # Upstream answers Predict with another code than these; so here it is a different meaning, too.
        kind = ErrorKind.INVALID_INPUT if error.kind is ErrorKind.SIGNATURE_NOT_FOUND else error.kind
        raise GatewayError(kind, error.message, error.violations) from None


def _unfit(text: str, signature: Signature | None = None) -> GatewayError:
    if signature is not None:
        text += f"goo.gle/debugproto    \n{signature_def(signature, with_defaults=True)}"
    return GatewayError(ErrorKind.WRONG_MODEL_KIND, wording.shortened(text))


def _classifications(outputs: Mapping[str, Tensor], count: int) -> serving_pb.ClassificationResult:
    classes, scores = outputs.get(CLASSES), outputs.get(SCORES)
    if classes is not None:
        _check_matrix(classes, CLASSES, "string", count)
    if scores is not None:
        _check_matrix(scores, SCORES, "float32", count)
    if classes is not None and scores is not None and classes.shape != scores.shape:
        raise _unfit(
            f"Tensors class and score should match in dim_size(1). Got {classes.shape[1]} vs. {scores.shape[1]}"
        )
    result = serving_pb.ClassificationResult()
    labels = None if classes is None else [[_text(label) for label in row] for row in classes.tolist()]
    values = None if scores is None else scores.tolist()
    for index in range(count):
        row = result.classifications.add()
        for position in range(len((labels or values or [[]])[index])):
            row.classes.add(
                label=labels[index][position] if labels else "", score=values[index][position] if values else 0.0
            )
    return result


def _check_matrix(tensor: Tensor, name: str, dtype: str, count: int) -> None:
    if tensor.ndim != 2:  # rows and classes
        raise _unfit(f"Expected Tensor shape: [batch_size num_classes] but got {shape_text(tensor.shape)}")
    if dtype_name(tensor) != dtype:
        raise _unfit(f"Expected {name} Tensor of {_proto_name(dtype)}. Got: {_proto_name(dtype_name(tensor))}")
    if tensor.shape[0] != count:
        raise _unfit(f"Expected {name} output batch size of {count}. Got: {tensor.shape[0]}")


def _regressions(tensor: Tensor, count: int) -> serving_pb.RegressionResult:
    if not (tensor.ndim == 1 or (tensor.ndim == 2 and tensor.shape[1] == 1)):  # as the text says
        raise _unfit(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got "
            + shape_text(tensor.shape)
        )
    if tensor.shape[0] != count:
        raise _unfit(f"Input batch size did not match output batch size: {count} vs. {tensor.shape[0]}")
    if dtype_name(tensor) != "float32":
        raise _unfit(f"Expected output Tensor of DT_FLOAT.  Got: {_proto_name(dtype_name(tensor))}")
    values = tensor.ravel().tolist()
    return serving_pb.RegressionResult(regressions=[serving_pb.Regression(value=value) for value in values])


def _text(label: bytes) -> str:
    return label.decode("utf-8", "replace")


def _proto_name(dtype: str) -> str:
    return tf_pb.DataType.Name(dtype_number(dtype))
