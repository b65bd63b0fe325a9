"""Valid messages of every gRPC protocol for the models of `tests.judges`."""

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from google.protobuf.message import Message
from PIL import Image

from service.wire import open_inference_pb2 as oip
from service.wire import tensorflow_pb2 as tf_pb
from service.wire import tensorflow_serving_pb2 as tfs
from tensorgate.v1 import tensorgate_pb2 as typed

FLOATS = np.array([[1, 2.5], [3, -4]], np.float32)
RAMP = [1, 2.5, 3, 4, 5, 6, 7]


@dataclass(frozen=True, slots=True)
class RpcMethod:
    """A gRPC method and the types of its messages."""

    path: str
    request: type[Message]
    response: type[Message]
    is_stream: bool = False


def _method(
    service: str, name: str, package: Any, request: str, response: str, *, is_stream: bool = False
) -> RpcMethod:
    return RpcMethod(f"/{service}/{name}", getattr(package, request), getattr(package, response), is_stream)


_TFS = "tensorflow.serving.PredictionService"
_OIP = "inference.GRPCInferenceService"
_TYPED = "tensorgate.v1.TensorgateService"
PREDICT = _method(_TFS, "Predict", tfs, "PredictRequest", "PredictResponse")
CLASSIFY = _method(_TFS, "Classify", tfs, "ClassificationRequest", "ClassificationResponse")
REGRESS = _method(_TFS, "Regress", tfs, "RegressionRequest", "RegressionResponse")
MULTI = _method(_TFS, "MultiInference", tfs, "MultiInferenceRequest", "MultiInferenceResponse")
METADATA = _method(_TFS, "GetModelMetadata", tfs, "GetModelMetadataRequest", "GetModelMetadataResponse")
INFER = _method(_OIP, "ModelInfer", oip, "ModelInferRequest", "ModelInferResponse")
INFER_STREAM = _method(_OIP, "ModelStreamInfer", oip, "ModelInferRequest", "ModelStreamInferResponse", is_stream=True)
IMAGES = _method(_TYPED, "Classify", typed, "ClassifyRequest", "ClassifyResponse")
SERIES = _method(_TYPED, "Forecast", typed, "ForecastRequest", "ForecastResponse")
IMAGES_STREAM = _method(_TYPED, "ClassifyStream", typed, "ClassifyRequest", "ClassifyStreamResponse", is_stream=True)
SERIES_STREAM = _method(_TYPED, "ForecastStream", typed, "ForecastRequest", "ForecastStreamResponse", is_stream=True)


def _tensor(dtype: tf_pb.DataType, shape: list[int], **values: Any) -> tf_pb.TensorProto:
    dims = [tf_pb.TensorShapeProto.Dim(size=size) for size in shape]
    return tf_pb.TensorProto(dtype=dtype, tensor_shape=tf_pb.TensorShapeProto(dim=dims), **values)


def _predict(
    model: str, inputs: Mapping[str, tf_pb.TensorProto], outputs: tuple[str, ...] = (), **spec: Any
) -> Message:
    return tfs.PredictRequest(model_spec=tfs.ModelSpec(name=model, **spec), inputs=inputs, output_filter=outputs)


def _examples() -> list[tf_pb.Example]:
    bytes_ = tf_pb.Feature(bytes_list=tf_pb.BytesList(value=[b"one", b"\xff"]))
    floats = tf_pb.Feature(float_list=tf_pb.FloatList(value=[0.5, 2]))
    integers = tf_pb.Feature(int64_list=tf_pb.Int64List(value=[-1, 300]))
    features = ({"a": bytes_, "b": floats}, {"b": integers}, {"a": floats})
    return [tf_pb.Example(features=tf_pb.Features(feature=feature)) for feature in features]


def _spec(signature: str) -> tfs.ModelSpec:
    return tfs.ModelSpec(name="judge", signature_name=signature)


def _with_context() -> tfs.Input:
    first, *others = _examples()
    return tfs.Input(example_list_with_context=tfs.ExampleListWithContext(examples=others, context=first))


def png() -> bytes:
    """Returns an image file."""
    file = io.BytesIO()
    Image.new("L", (5, 5), 7).save(file, "PNG")
    return file.getvalue()


_PLAIN = tfs.Input(example_list=tfs.ExampleList(examples=_examples()))
_VERSION: dict[str, Any] = {"version": {"value": 1}}
_SPECS: tuple[dict[str, Any], ...] = ({}, _VERSION, {"version_label": "stable"}, {"version": {"value": 2}})
_SCALED = [
    _tensor(tf_pb.DT_FLOAT, [2], float_val=[2, 3]),
    _tensor(tf_pb.DT_FLOAT, [4], tensor_content=FLOATS.tobytes()),
]
_SUM = {
    "a": _tensor(tf_pb.DT_FLOAT, [2, 2], tensor_content=FLOATS.tobytes()),
    "b": _tensor(tf_pb.DT_FLOAT, [2, 2], float_val=[4, 3]),
}
_TEXT = {"text": _tensor(tf_pb.DT_STRING, [2], string_val=[b"abc", b"\xff"])}
_TASKS = [
    tfs.InferenceTask(model_spec=_spec(name), method_name=f"tensorflow/serving/{name}")
    for name in ("classify", "regress")
]
_ECHOES = {
    "int8": _tensor(tf_pb.DT_INT8, [3], int_val=[-128, 7, 127]),
    "float16": _tensor(tf_pb.DT_HALF, [2, 1], half_val=[15360, 1]),
    "complex64": _tensor(tf_pb.DT_COMPLEX64, [], scomplex_val=[1.5, -2]),
    "uint64": _tensor(tf_pb.DT_UINT64, [2], uint64_val=[1, 2**64 - 1]),
    "bool": _tensor(tf_pb.DT_BOOL, [4], bool_val=[True, False]),
    "string": _tensor(tf_pb.DT_STRING, [2], tensor_content=b"\x01\x02abc"),
}


def _input(name: str, datatype: str, shape: list[int], **contents: Any) -> oip.ModelInferRequest.InferInputTensor:
    return oip.ModelInferRequest.InferInputTensor(
        name=name, datatype=datatype, shape=shape, contents=oip.InferTensorContents(**contents) if contents else None
    )


def _output(name: str, **parameters: oip.InferParameter) -> oip.ModelInferRequest.InferRequestedOutputTensor:
    return oip.ModelInferRequest.InferRequestedOutputTensor(name=name, parameters=parameters)


def _text(value: str) -> oip.InferParameter:
    return oip.InferParameter(string_param=value)


_PAIR = [_input("a", "FP32", [2, 2], fp32_contents=[1, 2.5, 3, -4]), _input("b", "FP32", [2, 2], fp32_contents=[4] * 4)]
_STRINGS = b"".join(struct.pack("<I", len(text)) + text for text in (b"abc", b"", b"\xff"))
_INFERS: tuple[Message, ...] = (
    oip.ModelInferRequest(
        model_name="sum", model_version="1", id="7", inputs=_PAIR,
        outputs=[_output("sum", binary_data=oip.InferParameter(bool_param=True)), _output("difference")],
        parameters={"signature_name": _text("serving_default"), "priority": oip.InferParameter(int64_param=3)},
    ),
    oip.ModelInferRequest(
        model_name="text", model_version="stable", inputs=[_input("text", "BYTES", [3])], raw_input_contents=[_STRINGS]
    ),
    oip.ModelInferRequest(
        model_name="echo_int8", id="é", inputs=[_input("x", "INT8", [3], int_contents=[-128, 7, 127])]
    ),
    oip.ModelInferRequest(
        model_name="several", inputs=[_input("x", "FP32", [2])], raw_input_contents=[FLOATS[0].tobytes()],
        parameters={"signature_name": _text("halve")},
    ),
    *(
        oip.ModelInferRequest(
            model_name="scales", model_version=version, inputs=[_input("x", "FP32", [2], fp32_contents=[2, 3])]
        )
        for version in ("", "1", "2", "stable")
    ),
    oip.ModelInferRequest(model_name="strict", inputs=[_input("x", "INT32", [2], int_contents=[3, 1])]),
)  # fmt: skip
_PIXELS = [typed.Image(pixels=typed.Pixels(shape=[4, 4], values=[0, 255.0] * 8)), typed.Image(encoded=png())]
_BYTES = [typed.Image(pixels=typed.Pixels(shape=[4, 4, 1], bytes_values=bytes(range(16))))]
_IMAGES: tuple[Message, ...] = (
    typed.ClassifyRequest(model="shades", version=1, images=_PIXELS, top_k=2),
    typed.ClassifyRequest(model="shades", label="stable", images=_BYTES),
)
_SERIES: tuple[Message, ...] = (
    typed.ForecastRequest(
        model="steps", series=[typed.Series(values=RAMP), typed.Series(values=RAMP[::-1], features=1)], horizon=2,
        quantiles=[0.1, 0.9],
    ),
    typed.ForecastRequest(model="steps", label="stable", series=[typed.Series(values=RAMP)]),
)  # fmt: skip

RPCS: dict[RpcMethod, tuple[Message, ...]] = {
    PREDICT: (
        _predict("sum", _SUM, ("sum",), **_VERSION),
        _predict("text", _TEXT, version_label="stable"),
        _predict("several", {"x": _tensor(tf_pb.DT_FLOAT, [3], float_val=[1, 2])}, signature_name="halve"),
        _predict("counts", {"counts": _tensor(tf_pb.DT_INT32, [1, 3], int_val=[1, 2, 3])}),
        _predict("scaled", {"x": _tensor(tf_pb.DT_FLOAT, [2], float_val=[2])}),
        _predict("strict", {"x": _tensor(tf_pb.DT_INT32, [2], int_val=[2])}),
        *(_predict("scales", {"x": x}, **spec) for spec, x in zip(_SPECS, _SCALED * 2, strict=True)),
        *(_predict(f"echo_{name}", {"x": tensor}) for name, tensor in _ECHOES.items()),
    ),
    CLASSIFY: (
        tfs.ClassificationRequest(model_spec=_spec("classify"), input=_PLAIN),
        tfs.ClassificationRequest(model_spec=_spec("classify"), input=_with_context()),
    ),
    REGRESS: (
        tfs.RegressionRequest(model_spec=_spec("regress"), input=_PLAIN),
        tfs.RegressionRequest(model_spec=_spec("regress"), input=_with_context()),
    ),
    MULTI: (tfs.MultiInferenceRequest(tasks=_TASKS, input=_PLAIN),),
    METADATA: (
        tfs.GetModelMetadataRequest(model_spec=tfs.ModelSpec(name="text"), metadata_field=["signature_def"]),
    ),
    INFER: _INFERS,
    INFER_STREAM: _INFERS,
    IMAGES: _IMAGES,
    IMAGES_STREAM: _IMAGES,
    SERIES: _SERIES,
    SERIES_STREAM: _SERIES,
}  # fmt: skip
