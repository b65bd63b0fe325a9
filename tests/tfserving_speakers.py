"""TensorFlow Serving's protocols, spoken without our codecs. Imports tensorflow."""

import base64
import json
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from service.wire import tensorflow_pb2 as tf_pb
from service.wire import tensorflow_serving_pb2 as tfs
from tests.questions import Array, Question, Said, jsonable, rest_error, rpc_error, texts
from tests.real_server import RealServer


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
            return rpc_error(error)
        assert response.model_spec.signature_name == (question.signature or "serving_default")
        outputs = {name: _array(tensor) for name, tensor in response.outputs.items()}
        return Said("ok", outputs, response.model_spec.version.value)

    def _tensor(self, array: Array) -> tf_pb.TensorProto:
        # Through TensorFlow's own encoder where it offers one: what is tested is to be independent of our codecs.
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
    return np.asarray(tf.make_ndarray(tensor_pb2.TensorProto.FromString(message.SerializeToString())))


class TfServingRest:
    """``:predict`` in column format."""

    async def ask(self, server: RealServer, question: Question) -> Said:
        path = f"/v1/models/{question.model}"
        if question.version is not None:
            path += (
                f"/versions/{question.version}" if isinstance(question.version, int) else f"/labels/{question.version}"
            )
        body: dict[str, Any] = {"inputs": {name: jsonable(array) for name, array in question.inputs.items()}}
        if question.signature:
            body["signature_name"] = question.signature
        response = await server.rest.post(f"{path}:predict", content=json.dumps(body))
        if response.is_error:
            return rest_error(response)
        answer = response.json()["outputs"]
        # Its answers say neither which version gave them nor, for a single output, what that is called.
        versions = server.runtime.catalog.versions(question.model)
        signatures = next(version.signatures for version in versions if version.signatures)
        specs = signatures[question.signature or "serving_default"].outputs
        named = answer if len(specs) > 1 else {next(iter(specs)): answer}
        return Said("ok", {name: _from_json(value, specs[name].dtype) for name, value in named.items()})


def _from_json(value: Any, dtype: str) -> Array:
    if dtype != "string":
        return np.array(value, dtype)
    return texts([base64.b64decode(item["b64"]) if isinstance(item, dict) else item for item in value])
