"""Does with ovmsclient what its standard input says: TensorFlow Serving's API, over gRPC and REST."""

import asyncio
import functools
from typing import Any

import ovmsclient
from exchange import serve

CLIENTS = {"grpc": ovmsclient.make_grpc_client, "http": ovmsclient.make_http_client}


@functools.cache
def client(name: str, address: str) -> Any:
    """Returns the client of that name, connected."""
    return CLIENTS[name](address)


async def ask(do: str, name: str, address: str, method: str, **arguments: Any) -> Any:
    """Calls a method of the client."""
    return getattr(client(name, address), method)(**arguments)


def status_of(error: Exception) -> None:
    """Its exceptions carry none."""


if __name__ == "__main__":
    asyncio.run(serve(ask, status_of))
