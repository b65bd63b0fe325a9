"""The Open Inference Protocol, spoken without our codecs."""

import base64
import json
import struct
from collections.abc import Sequence
from typing import Any

import grpc
import httpx
import ml_dtypes
import numpy as np

from service.wire import open_inference_pb2 as oip
from tests.questions import Array, Question, Said, jsonable, rest_error, rpc_error, texts
from tests.real_server import RealServer

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
                tensor["data"] = jsonable(array)
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
            return rest_error(response)
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
                numbers = np.array(output["data"], DTYPES[output["datatype"]])
                outputs[output["name"]] = numbers.reshape(output["shape"])
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
            return rpc_error(error)
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
