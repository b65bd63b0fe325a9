"""An ASGI application on h2corn that answers everything with 50 bytes and does nothing else: the load's own limit.

It answers gRPC over HTTP/2 and REST over HTTP/1.1, on one port.
"""

from collections.abc import Awaitable, Callable
from typing import Any

Event = dict[str, Any]
_ANSWER = bytes(50)
_GRPC_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/grpc")],
    "trailers": True,
}
_GRPC_BODY = {"type": "http.response.body", "body": b"\0" + len(_ANSWER).to_bytes(4) + _ANSWER}
_TRAILERS = {"type": "http.response.trailers", "headers": [(b"grpc-status", b"0")], "more_trailers": False}
_REST_START = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(_ANSWER))]}
_REST_BODY = {"type": "http.response.body", "body": _ANSWER}


async def app(scope: Event, receive: Callable[[], Awaitable[Event]], send: Callable[[Event], Awaitable[None]]) -> None:
    """Reads a request to its end and answers it."""
    if scope["type"] == "lifespan":
        while True:
            event = await receive()
            await send({"type": event["type"] + ".complete"})
            if event["type"] == "lifespan.shutdown":
                return
    while (await receive()).get("more_body"):
        pass
    answer = (_GRPC_START, _GRPC_BODY, _TRAILERS) if scope["http_version"] == "2" else (_REST_START, _REST_BODY)
    for event in answer:
        await send(event)
