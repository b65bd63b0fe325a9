"""Does with tritonclient what its standard input says: all four clients of it. Run by an interpreter that has it."""

import asyncio
import functools
import inspect
import queue
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from exchange import UnsupportedError, serve
from google.protobuf import descriptor_pb2
from tritonclient import grpc, http
from tritonclient.grpc import aio as grpc_aio
from tritonclient.grpc import service_pb2
from tritonclient.http import aio as http_aio
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

MODULES = {"http": http, "http-aio": http_aio, "grpc": grpc, "grpc-aio": grpc_aio}
SECONDS = 20


@functools.cache
def client(name: str, address: str) -> Any:
    """Returns the client of that name, connected."""
    return MODULES[name].InferenceServerClient(address)


async def ask(do: str, **arguments: Any) -> Any:
    """Does one thing of those below."""
    things: dict[str, Callable[..., Awaitable[Any]]] = {
        "call": call,
        "infer": infer,
        "stream": stream,
        "descriptor": descriptor,
    }
    return await things[do](**arguments)


async def call(name: str, address: str, method: str, **arguments: Any) -> Any:
    """Calls a method of the client."""
    if name.startswith("grpc") and method.startswith("get_"):
        arguments["as_json"] = True
    return await settled(getattr(client(name, address), method)(**arguments))


async def infer(
    name: str, address: str, question: dict[str, Any], *, binary: bool = True, later: bool = False, **options: Any
) -> Any:
    """Asks for inference.

    Args:
        name: Of the client.
        address: Of the server.
        question: What to ask.
        binary: Whether tensors travel raw; over gRPC they always do.
        later: Whether to ask with ``async_infer``.
        options: Passed on to the client.
    """
    form = {"binary_data": binary} if name.startswith("http") else {}
    options |= asked(name, question, form) | {"request_id": "7"}
    asking = infer_later(name, address, options) if later else client(name, address).infer(**options)
    return said(await settled(asking))


def asked(name: str, question: dict[str, Any], form: dict[str, Any]) -> dict[str, Any]:
    """Returns a question as arguments of the client; ``form`` says how tensors travel."""
    module: Any = MODULES[name]
    inputs = []
    for alias, array in question["inputs"].items():
        datatype = np_to_triton_dtype(array.dtype)
        if datatype is None:
            raise UnsupportedError(array.dtype.name)
        inputs.append(module.InferInput(alias, list(array.shape), datatype))
        inputs[-1].set_data_from_numpy(array, **form)
    return {
        "model_name": question["model"],
        "inputs": inputs,
        "model_version": "" if question["version"] is None else str(question["version"]),
        "outputs": [module.InferRequestedOutput(output, **form) for output in question["outputs"]] or None,
        **({"parameters": {"signature_name": question["signature"]}} if question["signature"] else {}),
    }


def said(result: Any) -> dict[str, Any]:
    """Returns what an answer says."""
    answer = result.get_response()
    names = [field(output, "name") for output in field(answer, "outputs")]
    return {
        "outputs": {output: result.as_numpy(output) for output in names},
        "version": field(answer, "model_version"),
        "id": field(answer, "id"),
    }


async def stream(name: str, address: str, questions: list[dict[str, Any]], **options: Any) -> list[Any]:
    """Asks all questions on one stream, and returns what comes for each: an answer, or an error's text.

    Args:
        name: Of the client.
        address: Of the server.
        questions: Each has the number of its place as its id.
        options: Passed on with each question.
    """
    requests = [asked(name, each, {}) | options | {"request_id": str(place)} for place, each in enumerate(questions)]
    if name == "grpc":
        answers = streamed(client(name, address), requests)
    else:

        async def asking() -> AsyncIterator[dict[str, Any]]:
            for request in requests:
                yield request

        answers = [each async for each in client(name, address).stream_infer(asking())]
    return [said_on_a_stream(result) if error is None else error.message() for result, error in answers]


def streamed(asking: Any, requests: list[dict[str, Any]]) -> list[tuple[Any, Any]]:
    """Returns what the callback of the client without coroutines gets."""
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    asking.start_stream(lambda result, error: answers.put((result, error)))
    for request in requests:
        asking.async_stream_infer(**request)
    got = [answers.get(timeout=SECONDS) for _ in requests]
    asking.stop_stream()
    return got


def said_on_a_stream(result: Any) -> dict[str, Any]:
    """Returns what an answer says, and whether it is the last one for its request."""
    return said(result) | {"last": result.get_response().parameters["triton_final_response"].bool_param}


def infer_later(name: str, address: str, options: dict[str, Any]) -> Any:
    """Asks without waiting, and then waits."""
    if name == "http":
        return client(name, address).async_infer(**options).get_result(timeout=SECONDS)
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    client(name, address).async_infer(callback=lambda result, error: answers.put((result, error)), **options)
    result, error = answers.get(timeout=SECONDS)
    if error is not None:
        raise error
    return result


async def descriptor() -> bytes:
    """Returns the client's own description of the protocol."""
    proto = descriptor_pb2.FileDescriptorProto()
    service_pb2.DESCRIPTOR.CopyToProto(proto)
    return proto.SerializeToString()


async def settled(value: Any) -> Any:
    """Returns what comes of it, where it is to be waited for."""
    return await value if inspect.isawaitable(value) else value


def field(message: Any, name: str) -> Any:
    """Returns a field of an answer, which is JSON over REST and a message over gRPC."""
    return message[name] if isinstance(message, dict) else getattr(message, name)


def status_of(error: Exception) -> str | None:
    """Returns the status that an exception carries."""
    return error.status() if isinstance(error, InferenceServerException) else None


if __name__ == "__main__":
    asyncio.run(serve(ask, status_of))
