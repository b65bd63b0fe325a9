"""A grpc.aio server that answers every call with 50 bytes and does nothing else: the limit of what grpcio can serve."""

import sys
from typing import Any

import grpc
import uvloop
from grpc import aio

from benchmarks.questions import TFS_RPC


async def _serve(port: int) -> None:
    async def answer(data: bytes, context: aio.ServicerContext[Any, Any]) -> bytes:
        return data[:50]

    server = aio.server()
    _, service, method = TFS_RPC.path.split("/")
    handlers: dict[str, Any] = {method: grpc.unary_unary_rpc_method_handler(answer)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
