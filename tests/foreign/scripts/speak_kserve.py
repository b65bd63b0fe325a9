"""Does with KServe's clients what its standard input says: both protocols over REST, and gRPC."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import httpx
from exchange import UnsupportedError, serve
from google.protobuf import descriptor_pb2
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import RESTConfig
from kserve.protocol.grpc import grpc_predict_v2_pb2
from kserve.protocol.infer_type import RequestedOutput
from kserve.utils.numpy_codec import from_np_dtype

SECONDS = 20


@functools.cache
def client(name: str, address: str) -> Any:
    """Returns the client of that name, connected: ``v1`` and ``v2`` are those over REST."""
    if name == "grpc":
        return InferenceGRPCClient(address, timeout=SECONDS)
    return InferenceRESTClient(RESTConfig(protocol=name, timeout=SECONDS))


async def ask(do: str, **arguments: Any) -> Any:
    """Does one thing of those below."""
    things: dict[str, Callable[..., Awaitable[Any]]] = {"call": call, "infer": infer, "descriptor": descriptor}
    return await things[do](**arguments)


async def call(name: str, address: str, method: str, **arguments: Any) -> Any:
    """Calls a method of the client."""
    place = () if name == "grpc" else (f"http://{address}",)
    return await getattr(client(name, address), method)(*place, **arguments)


async def infer(name: str, address: str, question: dict[str, Any], *, binary: bool = True) -> Any:
    """Asks for inference; tensors travel raw, or in JSON or typed fields.

    Args:
        name: Of the client.
        address: Of the server.
        question: What to ask.
        binary: Whether tensors travel raw.
    """
    if name == "v2" and question["version"] is not None:
        raise UnsupportedError("versions over REST")
    form = {"binary_data": True} if binary and name == "v2" else {}
    request = InferRequest(
        question["model"],
        [_input(alias, array, binary=binary) for alias, array in question["inputs"].items()],
        request_id="7",
        parameters=_parameters(question, form),
        request_outputs=[RequestedOutput(output, parameters=form or None) for output in question["outputs"]],
        model_version=None if question["version"] is None else str(question["version"]),
    )
    place = {} if name == "grpc" else {"base_url": f"http://{address}", "model_name": question["model"]}
    argument = "infer_request" if name == "grpc" else "data"
    answer = await client(name, address).infer(**{argument: request}, **place)
    return {
        "outputs": {output.name: output.as_numpy() for output in answer.outputs},
        "version": answer.model_version,  # the client does not keep it over REST
        "id": answer.id,
    }


def _parameters(question: dict[str, Any], form: dict[str, bool]) -> dict[str, Any]:
    parameters: dict[str, Any] = {"binary_data_output": True} if form and not question["outputs"] else {}
    return parameters | ({"signature_name": question["signature"]} if question["signature"] else {})


def _input(name: str, array: Any, *, binary: bool) -> Any:
    datatype = from_np_dtype(array.dtype)
    if datatype is None:
        raise UnsupportedError(array.dtype.name)
    tensor = InferInput(name, list(array.shape), datatype)
    if binary or datatype != "BYTES":
        tensor.set_data_from_numpy(array, binary_data=binary)
    else:
        tensor.data = list(array.ravel())
    return tensor


async def descriptor() -> bytes:
    """Returns the client's own description of the protocol."""
    proto = descriptor_pb2.FileDescriptorProto()
    grpc_predict_v2_pb2.DESCRIPTOR.CopyToProto(proto)
    return proto.SerializeToString()


def status_of(error: Exception) -> Any:
    """Returns the status that an exception carries."""
    if isinstance(error, grpc.aio.AioRpcError):
        return error.code().name
    return error.response.status_code if isinstance(error, httpx.HTTPStatusError) else None


if __name__ == "__main__":
    asyncio.run(serve(ask, status_of))
