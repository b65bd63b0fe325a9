"""Warm-up: a model's own recorded requests, replayed before it is declared available.

The file is TensorFlow Serving's ``assets.extra/tf_serving_warmup_requests``: a TFRecord of PredictionLog messages,
of which the predict, classify and regress requests are run. Imports tensorflow, for the record reader.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from service.backends.savedmodel.loaded import LoadedModel
from service.codecs.tensor_proto import decode_tensor
from service.core.batch_policy import ShapeMode
from service.core.bounds import InputBounds
from service.core.columns import as_columns
from service.core.load_progress import LoadProgress
from service.core.signature import check_inputs, rows_if_valid
from service.core.tasks import PREDICT
from service.core.tensors import Tensor
from service.errors import ErrorKind, GatewayError
from service.wire import tensorflow_serving_pb2 as serving_pb

FILE = Path("assets.extra", "tf_serving_warmup_requests")
_BOUNDS = InputBounds()
_MAX_RECORDS = 1000
"""As many as TensorFlow Serving reads."""
_KEPT = 8
"""Requests of each signature that are given back."""
_EXAMPLES = "inputs"
"""What upstream's classification and regression signatures call their one input."""


def replay(
    model: LoadedModel, folder: Path, shapes: ShapeMode, progress: LoadProgress
) -> tuple[int, Mapping[str, Sequence[Mapping[str, Tensor]]]]:
    """Runs every request of the version's warm-up file, if it has one.

    Args:
        model: The version.
        folder: Where it lies.
        shapes: Which shapes it is given, as by clients.
        progress: Told of each request that was run.

    Returns:
        How many there were, and some of each signature, in the shapes that it declares.

    Raises:
        GatewayError: BACKEND_FAILED when the file cannot be read or a request fails.
    """
    file = folder / FILE
    count, some = 0, defaultdict[str, list[Mapping[str, Tensor]]](list)
    if not file.is_file():
        return count, some
    try:
        for signature_name, recorded in _requests(file):
            signature = model.signatures[signature_name]
            columns = as_columns(signature, recorded) if shapes is ShapeMode.DECLARED else None
            inputs = recorded if columns is None else columns[0]
            check_inputs(signature, inputs, shapes=shapes is ShapeMode.DECLARED)
            model.run(signature, signature.with_defaults(inputs))
            count += 1
            progress.advance()
            if len(some[signature_name]) < _KEPT and rows_if_valid(signature, inputs) is not None:
                some[signature_name].append(inputs)
    except (tf.errors.OpError, DecodeError, KeyError, GatewayError) as error:
        raise GatewayError(ErrorKind.BACKEND_FAILED, f"warm-up request {count + 1} of {file.name}: {error}") from error
    return count, some


def _requests(file: Path) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yields signature name and inputs of each recorded predict request."""
    for record in tf.data.TFRecordDataset(str(file)).take(_MAX_RECORDS).as_numpy_iterator():
        log = serving_pb.PredictionLog.FromString(record)
        kind = log.WhichOneof("log_type")
        if kind is None:
            continue
        request = getattr(log, kind).request
        if kind == "predict_log":
            inputs = {
                name: decode_tensor(tensor, bounds=_BOUNDS, where=f"inputs.{name}")
                for name, tensor in request.inputs.items()
            }
        else:
            inputs = {_EXAMPLES: _serialized(request.input.example_list.examples)}
        yield request.model_spec.signature_name or PREDICT, inputs


def _serialized(examples: Sequence[Any]) -> Tensor:
    array = np.empty(len(examples), object)
    array[:] = [example.SerializeToString() for example in examples]
    return array
