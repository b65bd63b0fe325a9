"""Clients of the Open Inference Protocol for tests: what they send is made here, from numpy arrays."""

import json
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from service.core.tensors import Tensor
from service.wire import open_inference_pb2 as pb
from tests.clients import Outcome, error_outcome
from tests.conftest import Served, serving

HEADER = "inference-header-content-length"
SERVICE = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"]
Json = dict[str, Any]


@asynccontextmanager
async def zoo(**settings: Any) -> AsyncIterator[Served]:
    """Serves the models of `tests.zoo`."""
    async with serving(backend="tests.zoo:ZooBackend", **settings) as served:
        yield served


def json_input(name: str, datatype: str, shape: list[int], data: Any, **parameters: Any) -> Json:
    """Returns an input of a REST request."""
    made = {"name": name, "datatype": datatype, "shape": shape, "data": data}
    return made | ({"parameters": parameters} if parameters else {})


def blob_input(name: str, datatype: str, shape: list[int], size: int) -> Json:
    """Returns an input of a REST request whose data comes after the JSON."""
    return {"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": size}}


def strings_of(*values: bytes) -> bytes:
    """Returns strings as raw bytes."""
    return b"".join(struct.pack("<I", len(value)) + value for value in values)


def with_blobs(document: Json, *blobs: bytes) -> dict[str, Any]:
    """Returns what httpx is to send: JSON and raw tensors after it."""
    head = json.dumps(document).encode()
    return {"content": head + b"".join(blobs), "headers": {HEADER: str(len(head))}}


def read_answer(response: httpx.Response) -> tuple[Json, dict[str, Tensor]]:
    """Returns an answer's JSON, and its outputs of numbers."""
    assert response.status_code == 200, response.text
    length = int(response.headers.get(HEADER, len(response.content)))
    document, offset = json.loads(response.content[:length]), length
    outputs = {}
    for output in document["outputs"]:
        dtype = {"FP32": np.float32, "FP64": np.float64, "INT64": np.int64, "INT32": np.int32}.get(output["datatype"])
        if "data" in output:
            outputs[output["name"]] = np.array(output["data"], dtype or object).reshape(output["shape"])
        else:
            size = output["parameters"]["binary_data_size"]
            data, offset = response.content[offset : offset + size], offset + size
            outputs[output["name"]] = (
                np.array(data, object) if dtype is None else np.frombuffer(data, dtype).reshape(output["shape"])
            )
    assert offset == len(response.content)
    return document, outputs


def rest_outcome(response: httpx.Response) -> Outcome:
    """Reads an error."""
    body = response.json()
    assert response.headers["content-type"] == "application/json"
    assert body["request_id"] == response.headers["x-request-id"]
    return Outcome(body["code"], message=body["error"], where=tuple(detail["where"] for detail in body["details"]))


async def ask(served: Served, method: str, request: Message) -> Any:
    """Calls a method of the gRPC service."""
    descriptor = SERVICE.methods_by_name[method]
    call: Any = served.channel.unary_unary(
        f"/inference.GRPCInferenceService/{method}",
        request_serializer=GetMessageClass(descriptor.input_type).SerializeToString,
        response_deserializer=GetMessageClass(descriptor.output_type).FromString,
    )
    return await call(request)


async def refused(served: Served, method: str, request: Message) -> tuple[grpc.StatusCode, Outcome]:
    """Calls a method that is to fail."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask(served, method, request)
    return caught.value.code(), error_outcome(caught.value)


def infer_request(model: str, *inputs: Mapping[str, Any], **fields: Any) -> pb.ModelInferRequest:
    """Makes the message."""
    return pb.ModelInferRequest(model_name=model, inputs=inputs, **fields)


FLOATS = np.array([[1, 2], [3, 4]], np.float32)
RAW = FLOATS.tobytes()
A = json_input("a", "FP32", [2, 2], [1, 2, 3, 4])
B = json_input("b", "FP32", [2, 2], [[1, 2], [3, 4]])
X = json_input("x", "FP32", [4], [1, 2, 3, 4])
RAW_A, RAW_B = blob_input("a", "FP32", [2, 2], 16), blob_input("b", "FP32", [2, 2], 16)
INFER = "/v2/models/{}/infer"
SUM, TEXT, DOUBLE = (INFER.format(name) for name in ("sum", "text", "double"))
