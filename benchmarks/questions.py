"""The same question to a model in every protocol, and how to read the numbers of the answer."""

import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.models import INPUT, Example
from service.wire import open_inference_pb2 as oip
from service.wire import tensorflow_pb2 as tf_pb
from service.wire import tensorflow_serving_pb2 as tfs

Numbers = npt.NDArray[np.float32]
OIP_RPC, OIP_REST, TFS_RPC, TFS_REST = "OIP gRPC", "OIP REST", "TFS gRPC", "TFS REST"
UNARY, STREAM, LONG_CALLS = "unary", "stream", "stream by h2load, 64 messages a call"
"""Kinds of calls, for the names of rows."""
OIP_STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"
_OUTPUT = "output_0"


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    Attributes:
        name: Of the protocol, for tables.
        path: Where it is posted.
        body: A file; gRPC messages are framed, as they travel.
        is_grpc: Whether it is a gRPC call.
        read: Takes the numbers out of an answer; of gRPC, out of the message.
        expected: What they should be, None for whatever they are.
    """

    name: str
    path: str
    body: Path
    is_grpc: bool
    read: Callable[[bytes], Numbers]
    expected: Numbers | None

    @property
    def message(self) -> bytes:
        """The body without the frame of gRPC."""
        return self.body.read_bytes()[5:] if self.is_grpc else self.body.read_bytes()


def framed(message: bytes) -> bytes:
    """Returns a message as gRPC sends it: not compressed, its length in four bytes before it."""
    return b"\0" + struct.pack(">I", len(message)) + message


def oip_request(model: str, image: Numbers) -> oip.ModelInferRequest:
    """Returns an image as a request of the Open Inference Protocol, its numbers as raw bytes."""
    request = oip.ModelInferRequest(model_name=model, raw_input_contents=[image.tobytes()])
    request.inputs.add(name=INPUT, datatype="FP32", shape=image.shape)
    return request


def tfs_request(model: str, image: Numbers) -> tfs.PredictRequest:
    """Returns an image as a request of TensorFlow Serving, its numbers as raw bytes."""
    shape = tf_pb.TensorShapeProto(dim=[tf_pb.TensorShapeProto.Dim(size=size) for size in image.shape])
    tensor = tf_pb.TensorProto(dtype=tf_pb.DT_FLOAT, tensor_shape=shape, tensor_content=image.tobytes())
    return tfs.PredictRequest(model_spec=tfs.ModelSpec(name=model), inputs={INPUT: tensor})


def ask_in_all(model: str, example: Example, folder: Path) -> dict[str, Question]:
    """Writes the question in each standard protocol; by the protocol's name."""
    image, scores = example.image, example.scores.ravel()
    flat = {"name": INPUT, "datatype": "FP32", "shape": image.shape, "data": short(image.ravel())}
    bodies: dict[str, tuple[str, bytes, Callable[[bytes], Numbers]]] = {
        TFS_RPC: (
            "/tensorflow.serving.PredictionService/Predict",
            framed(tfs_request(model, image).SerializeToString()),
            _read_tfs,
        ),
        OIP_RPC: (
            "/inference.GRPCInferenceService/ModelInfer",
            framed(oip_request(model, image).SerializeToString()),
            read_oip,
        ),
        TFS_REST: (f"/v1/models/{model}:predict", _json({"instances": short(image)}), _read_json("predictions")),
        OIP_REST: (f"/v2/models/{model}/infer", _json({"inputs": [flat]}), _read_json("outputs", 0, "data")),
    }
    return {
        name: write(folder, f"{model} {name}", Question(name, path, folder, name.endswith("gRPC"), read, scores), body)
        for name, (path, body, read) in bodies.items()
    }


def ask_bentoml(example: Example, folder: Path) -> Question:
    """Writes the question to `peers/serve_bentoml.py`."""
    question = Question("REST", "/predict", folder, False, _read_json(), example.scores.ravel())
    return write(folder, "bentoml", question, _json({"images": short(example.image)}))


def ask_litserve(example: Example, folder: Path) -> Question:
    """Writes the question to `peers/serve_litserve.py`."""
    question = Question("REST", "/predict", folder, False, _read_json("scores"), example.scores.ravel())
    return write(folder, "litserve", question, _json({"image": short(example.image[0])}))


def write(folder: Path, name: str, question: Question, body: bytes) -> Question:
    """Writes a question's body into the folder and returns the question with it."""
    file = folder / (name.replace(" ", "-") + ".bin")
    file.write_bytes(body)
    return Question(question.name, question.path, file, question.is_grpc, question.read, question.expected)


def short(numbers: Numbers) -> Any:
    """Returns nested lists of numbers that JSON writes with four digits, not with those of float32 as a float64."""
    return numbers.astype(np.float64).round(4).tolist()


def read_oip(answer: bytes) -> Numbers:
    """Returns the numbers of a ModelInferResponse's first output; raw or not."""
    response = oip.ModelInferResponse.FromString(answer)
    if response.raw_output_contents:
        return np.frombuffer(response.raw_output_contents[0], np.float32)
    return np.array(response.outputs[0].contents.fp32_contents, np.float32)


def _read_tfs(answer: bytes) -> Numbers:
    tensor = tfs.PredictResponse.FromString(answer).outputs[_OUTPUT]
    if tensor.tensor_content:
        return np.frombuffer(tensor.tensor_content, np.float32)
    return np.array(tensor.float_val, np.float32)


def _read_json(*places: str | int) -> Callable[[bytes], Numbers]:
    def read(answer: bytes) -> Numbers:
        found: Any = json.loads(answer)
        for place in places:
            found = found[place]
        return np.array(found, np.float32).ravel()

    return read


def _json(document: dict[str, Any] | Sequence[Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
