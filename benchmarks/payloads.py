"""The model that is measured, and the same question to it in every protocol. Imports tensorflow."""

import json
import struct
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import layers

from service.wire import open_inference_pb2 as oip
from service.wire import tensorflow_pb2 as tf_pb
from service.wire import tensorflow_serving_pb2 as tfs

MODEL = "cnn28"
SIDE = 28
_INPUT = "keras_tensor"


@dataclass(frozen=True, slots=True)
class Payload:
    """One question.

    Attributes:
        name: Of the protocol, for the table.
        path: Where it is posted.
        file: Its body.
        is_grpc: Whether it is a gRPC message, framed.
    """

    name: str
    path: str
    file: Path
    is_grpc: bool


def save_model(models: Path) -> None:
    """Exports a small CNN as Keras does it: float32 [N, 28, 28, 1] to [N, 10]."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            layers.Input((SIDE, SIDE, 1), name=_INPUT),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.export(models / MODEL / "1", verbose=False)


def write_payloads(folder: Path) -> list[Payload]:
    """Writes one image as a question in each protocol."""
    image = np.random.default_rng(0).random((1, SIDE, SIDE, 1), np.float32)
    rounded = np.round(image, 4)
    shape = tf_pb.TensorShapeProto(dim=[tf_pb.TensorShapeProto.Dim(size=size) for size in image.shape])
    tensor = tf_pb.TensorProto(dtype=tf_pb.DT_FLOAT, tensor_shape=shape, tensor_content=image.tobytes())
    predict = tfs.PredictRequest(model_spec=tfs.ModelSpec(name=MODEL), inputs={_INPUT: tensor})
    infer = oip.ModelInferRequest(model_name=MODEL, raw_input_contents=[image.tobytes()])
    infer.inputs.add(name=_INPUT, datatype="FP32", shape=image.shape)
    flat = {"name": _INPUT, "datatype": "FP32", "shape": image.shape, "data": rounded.ravel().tolist()}
    bodies = {
        "TFS gRPC": ("/tensorflow.serving.PredictionService/Predict", _framed(predict.SerializeToString())),
        "OIP gRPC": ("/inference.GRPCInferenceService/ModelInfer", _framed(infer.SerializeToString())),
        "TFS REST": (f"/v1/models/{MODEL}:predict", json.dumps({"instances": rounded.tolist()}).encode()),
        "OIP REST": (f"/v2/models/{MODEL}/infer", json.dumps({"inputs": [flat]}).encode()),
    }
    payloads = []
    for name, (path, body) in bodies.items():
        file = folder / (name.replace(" ", "-") + ".bin")
        file.write_bytes(body)
        payloads.append(Payload(name, path, file, is_grpc=name.endswith("gRPC")))
    return payloads


def _framed(message: bytes) -> bytes:
    """Returns a message as gRPC sends it: not compressed, its length in four bytes before it."""
    return b"\0" + struct.pack(">I", len(message)) + message
