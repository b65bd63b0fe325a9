"""Every generic protocol behind one face, so that a test says the same in each: tensors in, tensors or a code out."""

import base64
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import grpc
import httpx
import ml_dtypes
import numpy as np
from google.rpc import error_details_pb2, status_pb2

from service.wire import open_inference_pb2 as oip
from service.wire import tensorflow_pb2 as tf_pb
from service.wire import tensorflow_serving_pb2 as tfs
from tests.real_server import RealServer

Array = np.ndarray[Any, np.dtype[Any]]
Json = dict[str, Any]

DATATYPES = {
    **{f"{sign}int{bits}": f"{sign}int{bits}".upper() for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "bool": "BOOL",
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
    "bfloat16": "BF16",
    "object": "BYTES",
}
DTYPES = {datatype: dtype for dtype, datatype in DATATYPES.items()}
CONTENTS = {
    "BOOL": "bool_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "INT64": "int64_contents",
    "UINT64": "uint64_contents",
}


@dataclass(frozen=True, slots=True)
class Said:
    """What came back: outputs by name and the version that answered, or a code with what was wrong."""

    code: str
    outputs: Mapping[str, Array] = field(default_factory=dict)
    version: int = 0
    message: str = ""
    where: tuple[str, ...] = ()
    status: Any = None


@dataclass(frozen=True, slots=True)
class Question:
    """What to predict.

    Attributes:
        version: A number, or a label.
        outputs: Those that are wanted; all when empty.
    """

    model: str
    inputs: Mapping[str, Array]
    version: int | str | None = None
    signature: str = ""
    outputs: Sequence[str] = ()


class Speaker(Protocol):
    """One protocol."""

    async def ask(self, server: RealServer, question: Question) -> Said:
        """Asks a question."""


def texts(values: Sequence[str | bytes]) -> Array:
    """Returns strings as a tensor."""
    array = np.empty(len(values), object)
    array[:] = [value.encode() if isinstance(value, str) else value for value in values]
    return array


def _rpc_error(error: grpc.aio.AioRpcError) -> Said:
    metadata = dict(error.trailing_metadata() or ())
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    assert (status.code, status.message) == (error.code().value[0], error.details())
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(info) or detail.Unpack(bad)
    where = tuple(violation.field for violation in bad.field_violations)
    return Said(info.reason, message=str(error.details()), where=where, status=error.code())


def _rest_error(response: httpx.Response) -> Said:
    body = response.json()
    assert body["request_id"] == response.headers["x-request-id"]
    where = tuple(detail["where"] for detail in body["details"])
    return Said(body["code"], message=body["error"], where=where, status=response.status_code)


class TfServingRpc:
    """PredictionService.Predict, numbers as bytes or one by one."""

    def __init__(self, *, as_content: bool) -> None:
        self._as_content = as_content

    async def ask(self, server: RealServer, question: Question) -> Said:
        request = tfs.PredictRequest(output_filter=question.outputs)
        request.model_spec.name, request.model_spec.signature_name = question.model, question.signature
        if isinstance(question.version, int):
            request.model_spec.version.value = question.version
        elif question.version is not None:
            request.model_spec.version_label = question.version
        for name, array in question.inputs.items():
            request.inputs[name].CopyFrom(self._tensor(array))
        call: Any = server.channel.unary_unary(
            "/tensorflow.serving.PredictionService/Predict",
            request_serializer=tfs.PredictRequest.SerializeToString,
            response_deserializer=tfs.PredictResponse.FromString,
        )
        try:
            response = await call(request, timeout=10)
        except grpc.aio.AioRpcError as error:
            return _rpc_error(error)
        assert response.model_spec.signature_name == (question.signature or "serving_default")
        outputs = {name: _array(tensor) for name, tensor in response.outputs.items()}
        return Said("ok", outputs, response.model_spec.version.value)

    def _tensor(self, array: Array) -> tf_pb.TensorProto:
        # Through TensorFlow's own encoder where it offers one: what is tested is to be independent of our codecs.
        import tensorflow as tf

        made = tf.make_tensor_proto(array)
        message = tf_pb.TensorProto.FromString(made.SerializeToString())
        if not self._as_content and message.tensor_content:
            fields = {"float32": "float_val", "float64": "double_val", "int64": "int64_val", "bool": "bool_val"}
            fields |= {"uint32": "uint32_val", "uint64": "uint64_val"}
            values = array.ravel()
            if array.dtype.name in {"float16", "bfloat16"}:
                message.half_val.extend(values.view(np.uint16).tolist())
            elif array.dtype.kind == "c":
                half = {"complex64": ("scomplex_val", np.float32), "complex128": ("dcomplex_val", np.float64)}
                name, part = half[array.dtype.name]
                getattr(message, name).extend(values.view(part).tolist())
            else:
                getattr(message, fields.get(array.dtype.name, "int_val")).extend(values.tolist())
            message.ClearField("tensor_content")
        return message


def _array(message: tf_pb.TensorProto) -> Array:
    import tensorflow as tf
    from tensorflow.core.framework import tensor_pb2

    return np.asarray(tf.make_ndarray(tensor_pb2.TensorProto.FromString(message.SerializeToString())))


class TfServingRest:
    """``:predict`` in column format."""

    async def ask(self, server: RealServer, question: Question) -> Said:
        path = f"/v1/models/{question.model}"
        if question.version is not None:
            path += (
                f"/versions/{question.version}" if isinstance(question.version, int) else f"/labels/{question.version}"
            )
        body: Json = {"inputs": {name: _jsonable(array) for name, array in question.inputs.items()}}
        if question.signature:
            body["signature_name"] = question.signature
        response = await server.rest.post(f"{path}:predict", content=json.dumps(body))
        if response.is_error:
            return _rest_error(response)
        answer = response.json()["outputs"]
        version = server.runtime.catalog  # its answers do not say which version gave them
        specs = version.versions(question.model)[0].signatures[question.signature or "serving_default"].outputs
        named = answer if len(specs) > 1 else {next(iter(specs)): answer}
        return Said("ok", {name: _from_json(value, specs[name].dtype) for name, value in named.items()})


def _jsonable(array: Array) -> Any:
    if array.dtype == object:
        flat = np.empty(array.size, object)
        flat[:] = [{"b64": base64.b64encode(value).decode()} for value in array.ravel()]
        return flat.reshape(array.shape).tolist()
    if array.dtype.kind == "c":
        array = array.real  # JSON has none
    return array.astype(np.float32).tolist() if array.dtype == ml_dtypes.bfloat16 else array.tolist()


def _from_json(value: Any, dtype: str) -> Array:
    if dtype != "string":
        return np.array(value, dtype)
    return texts([base64.b64decode(item["b64"]) if isinstance(item, dict) else item for item in value])


class OpenInferenceRest:
    """``/v2/.../infer``, tensors in JSON or as binary data behind it."""

    def __init__(self, *, binary: bool) -> None:
        self._binary = binary

    async def ask(self, server: RealServer, question: Question) -> Said:
        path = f"/v2/models/{question.model}"
        path += f"/versions/{question.version}" if question.version is not None else ""
        blobs, inputs = [], []
        for name, array in question.inputs.items():
            tensor: Json = {"name": name, "shape": list(array.shape), "datatype": _datatype(array)}
            if self._binary:
                blobs.append(_raw(array))
                tensor["parameters"] = {"binary_data_size": len(blobs[-1])}
            elif array.dtype == object:
                tensor["data"] = [base64.b64encode(value).decode() for value in array.ravel()]
                tensor["parameters"] = {"content_type": "base64"}
            else:
                tensor["data"] = _jsonable(array)
            inputs.append(tensor)
        body: Json = {"inputs": inputs, "id": "7"}
        if question.signature:
            body["parameters"] = {"signature_name": question.signature}
        if question.outputs:
            body["outputs"] = [{"name": name, "parameters": {"binary_data": self._binary}} for name in question.outputs]
        elif self._binary:
            body.setdefault("parameters", {})["binary_data_output"] = True
        head = json.dumps(body).encode()
        headers = {"Inference-Header-Content-Length": str(len(head))} if self._binary else {}
        response = await server.rest.post(f"{path}/infer", content=head + b"".join(blobs), headers=headers)
        if response.is_error:
            return _rest_error(response)
        return self._said(response)

    def _said(self, response: httpx.Response) -> Said:
        length = int(response.headers.get("inference-header-content-length", len(response.content)))
        answer, rest = json.loads(response.content[:length]), response.content[length:]
        assert answer["id"] == "7"
        outputs = {}
        for output in answer["outputs"]:
            parameters = output.get("parameters", {})
            if self._binary:
                size = parameters["binary_data_size"]
                outputs[output["name"]] = _from_raw(rest[:size], output["datatype"], output["shape"])
                rest = rest[size:]
            elif output["datatype"] == "BYTES":
                encoded = parameters.get("content_type") == "base64"
                values = [base64.b64decode(item) if encoded else item for item in output["data"]]
                outputs[output["name"]] = texts(values).reshape(output["shape"])
            else:
                values = np.array(output["data"], DTYPES[output["datatype"]])
                outputs[output["name"]] = values.reshape(output["shape"])
        assert not rest
        return Said("ok", outputs, int(answer["model_version"]))


class OpenInferenceRpc:
    """ModelInfer, tensors in typed contents or raw."""

    def __init__(self, *, raw: bool) -> None:
        self._raw = raw

    async def ask(self, server: RealServer, question: Question) -> Said:
        request = oip.ModelInferRequest(model_name=question.model, id="7")
        request.model_version = "" if question.version is None else str(question.version)
        if question.signature:
            request.parameters["signature_name"].string_param = question.signature
        request.outputs.extend(oip.ModelInferRequest.InferRequestedOutputTensor(name=name) for name in question.outputs)
        for name, array in question.inputs.items():
            tensor = request.inputs.add(name=name, datatype=_datatype(array), shape=array.shape)
            if self._raw:
                request.raw_input_contents.append(_raw(array))
            elif tensor.datatype in CONTENTS:
                getattr(tensor.contents, CONTENTS[tensor.datatype]).extend(array.ravel().tolist())
        call: Any = server.channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            request_serializer=oip.ModelInferRequest.SerializeToString,
            response_deserializer=oip.ModelInferResponse.FromString,
        )
        try:
            response = await call(request, timeout=10)
        except grpc.aio.AioRpcError as error:
            return _rpc_error(error)
        assert response.id == "7"
        outputs = {}
        for index, output in enumerate(response.outputs):
            if response.raw_output_contents:
                outputs[output.name] = _from_raw(response.raw_output_contents[index], output.datatype, output.shape)
            else:
                values = list(getattr(output.contents, CONTENTS[output.datatype]))
                array = texts(values) if output.datatype == "BYTES" else np.array(values, DTYPES[output.datatype])
                outputs[output.name] = array.reshape(tuple(output.shape))
        return Said("ok", outputs, int(response.model_version))


def _datatype(array: Array) -> str:
    return DATATYPES.get(array.dtype.name, array.dtype.name.upper())


def _raw(array: Array) -> bytes:
    if array.dtype == object:
        return b"".join(struct.pack("<I", len(value)) + value for value in array.ravel())
    return array.tobytes()


def _from_raw(data: bytes, datatype: str, shape: Sequence[int]) -> Array:
    if datatype != "BYTES":
        dtype = np.dtype(ml_dtypes.bfloat16) if datatype == "BF16" else np.dtype(DTYPES[datatype])
        return np.frombuffer(data, dtype).reshape(tuple(shape))
    values = []
    while data:
        (length,) = struct.unpack_from("<I", data)
        values.append(data[4 : 4 + length])
        data = data[4 + length :]
    return texts(values).reshape(tuple(shape))


SPEAKERS: dict[str, Speaker] = {
    "tfserving-grpc-content": TfServingRpc(as_content=True),
    "tfserving-grpc-typed": TfServingRpc(as_content=False),
    "tfserving-rest": TfServingRest(),
    "open-inference-rest-json": OpenInferenceRest(binary=False),
    "open-inference-rest-binary": OpenInferenceRest(binary=True),
    "open-inference-grpc-typed": OpenInferenceRpc(raw=False),
    "open-inference-grpc-raw": OpenInferenceRpc(raw=True),
}
