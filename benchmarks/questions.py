"""The same question to the model in every protocol: how it is put, and how to read the numbers of the answer."""

import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from service.wire import open_inference_pb2 as oip
from service.wire import tensorflow_pb2 as tf_pb
from service.wire import tensorflow_serving_pb2 as tfs

Numbers = npt.NDArray[np.float32]
MODEL, INPUT, OUTPUT = "cnn28", "keras_tensor", "output_0"
SHAPE = (28, 28, 1)
UNARY, STREAM, REST = "unary", "stream", "rest"
"""Kinds of questions, by the names that the load generator has for them."""

_ID = "7" * 16
_NUMBER = 0.1234
"""What stands in a template where each message gets something of its own."""


@dataclass(frozen=True, slots=True)
class Examples:
    """Images, and what the model says to each when it is called by itself.

    Attributes:
        images: float32 [N, 28, 28, 1], each rounded to four digits.
        scores: float32 [N, 10].
    """

    images: Numbers
    scores: Numbers


class Put(Protocol):
    """Writes a question about an image, with an id of 16 digits: a gRPC message or the body of a request."""

    def __call__(self, image: Numbers, identifier: str, *, model: str = MODEL, name: str = INPUT) -> bytes:
        """Writes it, to a model about its input of that name."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    Attributes:
        name: Of the protocol, for tables.
        kind: UNARY, STREAM or REST.
        path: Where it is posted.
        put: Writes it.
        read: Takes the numbers out of an answer.
        has_id: Whether the id is part of it, and so of the answer.
        by_h2load: Whether h2load asks it, not the project's own load generator.
        shape: Of what it is about.
    """

    name: str
    kind: str
    path: str
    put: Put
    read: Callable[[bytes], Numbers]
    has_id: bool = True
    by_h2load: bool = False
    shape: tuple[int, ...] = (1, *SHAPE)

    def to(self, model: str, name: str, shape: tuple[int, ...]) -> "Question":
        """Returns the same question to another model, about an input of that name and shape."""
        put = partial(self.put, model=model, name=name)
        return replace(self, path=self.path.replace(MODEL, model), put=put, shape=shape)

    def template(self, address: str) -> bytes:
        """Returns what the load generator takes: the bytes that it sends, and then its mask of them."""
        image = np.full(self.shape, _NUMBER, np.float32)
        sent = self.sent(image, _ID, address)
        marked = sent.replace(_ID.encode(), b"#" * len(_ID)).replace(image.tobytes(), b"f" * image.nbytes)
        marked = marked.replace(b"%g" % _NUMBER, b"0.dddd")
        return sent + bytes(new if new != old else ord(".") for old, new in zip(sent, marked, strict=True))

    def sent(self, image: Numbers, identifier: str, address: str) -> bytes:
        """Returns the question as it travels: a gRPC message behind its prefix, or a whole HTTP/1.1 request."""
        message = self.put(image, identifier)
        if self.kind != REST:
            return b"\0" + struct.pack(">I", len(message)) + message
        head = f"POST {self.path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n"
        return f"{head}Content-Length: {len(message)}\r\n\r\n".encode() + message


def _put_oip(image: Numbers, identifier: str, *, model: str = MODEL, name: str = INPUT) -> bytes:
    request = oip.ModelInferRequest(model_name=model, id=identifier, raw_input_contents=[image.tobytes()])
    request.inputs.add(name=name, datatype="FP32", shape=image.shape)
    return request.SerializeToString()


def _put_tfs(image: Numbers, identifier: str, *, model: str = MODEL, name: str = INPUT) -> bytes:
    shape = tf_pb.TensorShapeProto(dim=[tf_pb.TensorShapeProto.Dim(size=size) for size in image.shape])
    tensor = tf_pb.TensorProto(dtype=tf_pb.DT_FLOAT, tensor_shape=shape, tensor_content=image.tobytes())
    return tfs.PredictRequest(model_spec=tfs.ModelSpec(name=model), inputs={name: tensor}).SerializeToString()


def _put_oip_json(image: Numbers, identifier: str, *, model: str = MODEL, name: str = INPUT) -> bytes:
    return oip_json(image.ravel(), image.shape, identifier, name=name)


def _put_tfs_json(image: Numbers, identifier: str, *, model: str = MODEL, name: str = INPUT) -> bytes:
    return _json({"instances": _short(image)})


def oip_json(numbers: Numbers, shape: Sequence[int], identifier: str, *, name: str = INPUT) -> bytes:
    """Returns the body of a request of the Open Inference Protocol; its numbers are nested as the array is."""
    given = {"name": name, "datatype": "FP32", "shape": shape, "data": _short(numbers)}
    return _json({"id": identifier, "inputs": [given]})


def _read_oip(answer: bytes) -> Numbers:
    response = oip.ModelInferResponse.FromString(answer)
    if response.raw_output_contents:
        return np.frombuffer(response.raw_output_contents[0], np.float32)
    return np.array(response.outputs[0].contents.fp32_contents, np.float32)


def _read_oip_stream(answer: bytes) -> Numbers:
    return _read_oip(oip.ModelStreamInferResponse.FromString(answer).infer_response.SerializeToString())


def _read_tfs(answer: bytes) -> Numbers:
    [tensor] = tfs.PredictResponse.FromString(answer).outputs.values()
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


def _short(numbers: Numbers) -> Any:
    """Returns nested lists of numbers that JSON writes with four digits, not with those of float32 as a float64."""
    return numbers.astype(np.float64).round(4).tolist()


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


_OIP_SERVICE, _TFS_SERVICE = "/inference.GRPCInferenceService", "/tensorflow.serving.PredictionService"
OIP_RPC = Question("OIP gRPC", UNARY, f"{_OIP_SERVICE}/ModelInfer", _put_oip, _read_oip)
OIP_STREAM = Question("OIP gRPC, stream", STREAM, f"{_OIP_SERVICE}/ModelStreamInfer", _put_oip, _read_oip_stream)
TFS_RPC = Question("TFS gRPC", UNARY, f"{_TFS_SERVICE}/Predict", _put_tfs, _read_tfs, has_id=False)
OIP_REST = Question("OIP REST", REST, f"/v2/models/{MODEL}/infer", _put_oip_json, _read_json("outputs", 0, "data"))
TFS_REST = Question(
    "TFS REST", REST, f"/v1/models/{MODEL}:predict", _put_tfs_json, _read_json("predictions"), has_id=False
)
OIP_RPC_H2LOAD = replace(OIP_RPC, name="OIP gRPC, by h2load", by_h2load=True)
OIP_STREAM_H2LOAD = replace(OIP_STREAM, name="OIP gRPC, stream, by h2load", by_h2load=True)
