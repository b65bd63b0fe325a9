"""The whole server but for its sockets: requests as ASGI has them, and all that is done for them."""

import asyncio
from collections.abc import MutableMapping
from functools import cache
from random import Random
from typing import Any
from urllib.parse import unquote

from fuzz.answers import check_http, check_message, check_status
from fuzz.limits import LIMITS
from fuzz.models import awaited
from fuzz.requests import GRPC, REST, SEEDS, WEB, Request, mutated, read, unframed
from fuzz.target import Target, check
from service.app.lifecycle import Server
from service.app.settings import load

_SECONDS = 20
"""For one request; none of these models takes a hundredth of that."""


@cache
def _served() -> tuple[Any, Server]:
    """Returns the application of a server that serves, and the server."""
    server = Server(load({"rest_port": 0, "grpc_port": 0, **LIMITS}))
    awaited(_started(server))
    return server._rest.config.app, server


def stop() -> None:
    """Stops the server, if one was needed."""
    if _served.cache_info().currsize:
        awaited(_served()[1].__aexit__(None, None, None))
        _served.cache_clear()


async def _started(server: Server) -> None:
    await server.__aenter__()
    await server.ready()


def _asked(data: bytes) -> None:
    request = read(data)
    app, server = _served()
    sent = awaited(asyncio.wait_for(_answered(app, request), _SECONDS))
    start = sent[0]
    headers = dict(start["headers"])
    body = b"".join(event.get("body", b"") for event in sent)
    if request.kind == GRPC and headers.get(b"content-type") == b"application/grpc":
        trailers = headers | {name: value for event in sent[1:] for name, value in event.get("headers", ())}
        check(b"grpc-status" in trailers, f"no status: {sent}")
        check_status(
            request, int(trailers[b"grpc-status"]), unquote(trailers.get(b"grpc-message", b"").decode()).encode()
        )
        for message in unframed(body):
            check_message(request, message)
    else:
        check_http(request, start["status"], headers, body)
    admission = server.admission
    check(not any(admission.in_flight.values()), f"still in flight: {admission.in_flight}")
    check(admission.bytes_held() == 0, f"{admission.bytes_held()} bytes are held for ever")


async def _answered(app: Any, request: Request) -> list[MutableMapping[str, Any]]:
    path, _, query = request.path.encode("utf-8", "surrogateescape").partition(b"?")
    pieces = [request.body]
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        if pieces:
            return {"type": "http.request", "body": pieces.pop(), "more_body": False}
        return {"type": "http.disconnect"}

    async def send(event: MutableMapping[str, Any]) -> None:
        sent.append(event)

    over_2 = request.kind == GRPC
    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "2" if over_2 else "1.1",
        "method": request.verb,
        "path": unquote(path.decode("utf-8", "replace")),
        "raw_path": path,
        "query_string": query,
        "headers": list(request.headers),
        "client": ("127.0.0.1", 1),
        "extensions": {"http.response.trailers": {}} if over_2 else {},
    }
    await app(scope, receive, send)
    return sent


def _mutated(data: bytes, random: Random) -> bytes:
    return mutated(read(data), random).written()


TARGETS = tuple(
    Target(f"asked-{kind}", _asked, tuple(seed.written() for seed in SEEDS[kind]), _mutated, (), weight=2)
    for kind in (REST, GRPC, WEB)
)
