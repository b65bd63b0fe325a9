"""What happens to every HTTP request around its handler, one idea a class, from the outside in.

All are plain ASGI: `Calls` makes the call and reports it, `Errors` turns errors into answers, `Admitted` holds a
place and the deadline, `LimitedBody` bounds what is read, `CancelOnDisconnect` stops work that nobody waits for,
`AnsweredAnew` tries again what met a version that had just left.
"""

import asyncio
import math
import re
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.core import call as calls
from service.core.admission import Admission
from service.core.call import Call
from service.core.outdated import answered_anew
from service.errors import OK, ErrorKind, GatewayError, Violation, as_gateway_error, invalid_input, shown
from service.transport import rest_errors
from service.transport.limits import OTHER_METHOD, REQUEST_ID, Report, RequestLimits, request_id_of

TIMEOUT = "x-request-timeout"
RETRY_AFTER_SECONDS = "1"
_SECONDS = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
"""A number as JSON and most languages write it; Python's own ``float`` also reads 1_0, and digits of all scripts."""


class Calls:
    """Makes the `Call` of each request, and reports it when it is over.

    Args:
        app: The rest of the stack; it leaves the code of a failure in ``scope["tensorgate.code"]``.
        quiet: Paths whose calls are not reported unless they fail: probes, scrapes, pages.
        method_of: Returns verb and template of the route that a scope was sent to; ``None`` when there is no such.
        limits: Of time.
        report: Takes the finished calls.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        quiet: frozenset[str],
        method_of: Callable[[Scope], str | None],
        limits: RequestLimits,
        report: Report,
    ) -> None:
        self._app = app
        self._quiet = quiet
        self._method_of = method_of
        self._limits = limits
        self._report = report

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        call = Call(
            protocol="rest",
            method=OTHER_METHOD,
            request_id=request_id_of(Headers(scope=scope).get(REQUEST_ID)),
            deadline=self._limits.deadline(None),
        )
        calls.enter(call)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (REQUEST_ID.encode(), call.request_id.encode())]
            await send(message)

        code: str = ErrorKind.CANCELLED
        try:
            await self._app(scope, receive, send_with_id)
            code = scope.get("tensorgate.code", OK)
        finally:
            call.method = self._method_of(scope) or OTHER_METHOD
            if code != OK or scope["path"] not in self._quiet:
                self._report(call, code)


class Errors:
    """Answers every error in the form of the protocol whose path it is; what nobody expected stays in the log.

    Args:
        app: The rest of the stack.
        respond: Makes the answer to an error for a path and a request id.
        admission: Tells whether the server is going down.
    """

    def __init__(
        self, app: ASGIApp, *, respond: Callable[[str, GatewayError, str], Response], admission: Admission
    ) -> None:
        self._app = app
        self._respond = respond
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        # The framework raises, rather than answers, where it finds an application.
        scope["app"] = self
        # The errors are no variables here: their tracebacks refer to this frame, and would be cycles with it that keep
        # the request until they are collected.
        try:
            await self._app(scope, receive, send_noted)
            return
        except HTTPException as found:
            response = self._response(
                rest_errors.from_http_exception(found, method=scope["method"], path=shown(scope["path"])), scope
            )
            response.headers.update(found.headers or {})
        except asyncio.CancelledError:
            if not self._admission.draining.is_set():
                raise
            response = self._response(
                GatewayError(ErrorKind.NOT_READY, "the server went down before the answer was there"), scope
            )
        except Exception as raised:
            response = self._response(as_gateway_error(raised), scope)
        if not started and scope["tensorgate.code"] != ErrorKind.CANCELLED:
            await response(scope, receive, send)

    def _response(self, error: GatewayError, scope: Scope) -> Response:
        scope["tensorgate.code"] = error.kind.value
        response = self._respond(scope["path"], error, calls.current().request_id)
        if error.kind.retryable:
            response.headers["Retry-After"] = RETRY_AFTER_SECONDS
        return response


class Admitted:
    """Holds a place among the requests in flight, and bounds the time, that of reading the body included."""

    def __init__(self, app: ASGIApp, *, quiet: frozenset[str], admission: Admission, limits: RequestLimits) -> None:
        self._app = app
        self._quiet = quiet
        self._admission = admission
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self._quiet:
            await self._app(scope, receive, send)
            return
        call = calls.current()
        call.deadline = self._limits.deadline(_timeout(Headers(scope=scope).get(TIMEOUT)))
        with self._admission.admitted(), call.deadline.enforced():
            await self._app(scope, receive, send)


def _timeout(text: str | None) -> float | None:
    if text is None:
        return None
    seconds = float(text) if _SECONDS.fullmatch(text) else math.nan
    if not 0 < seconds < math.inf:
        raise invalid_input(Violation("X-Request-Timeout", "a positive number of seconds", shown(text)))
    return seconds


class LimitedBody:
    """Refuses a body over the limit: by its declared length, or as soon as that much was read; counts what is held."""

    def __init__(self, app: ASGIApp, *, limit: int, admission: Admission) -> None:
        self._app = app
        self._limit = limit
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > self._limit:
            raise self._refusal(f"{declared} bytes")
        with self._admission.held() as held:
            calls.current().hold = held.take

            async def receive_counted() -> Message:
                message = await receive()
                held.take(len(message.get("body", b"")))
                if held.taken > self._limit:
                    raise self._refusal("more")
                return message

            await self._app(scope, receive_counted, send)

    def _refusal(self, got: str) -> GatewayError:
        return invalid_input(
            Violation("body", f"at most {self._limit} bytes (max_request_bytes)", got), kind=ErrorKind.TOO_LARGE
        )


class AnsweredAnew:
    """Sends a request whose version turned out to be gone through the application again, with the body that it had."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        kept: list[Message] = []
        position = 0

        async def receive_kept() -> Message:
            nonlocal position
            if position == len(kept):
                kept.append(await receive())
            position += 1
            return kept[position - 1]

        async def answer() -> None:
            nonlocal position
            position = 0
            await self._app(scope, receive_kept, send)

        await answered_anew(answer)


class CancelOnDisconnect:
    """Cancels the handler of a request whose client went away."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        body_read = asyncio.Event()

        async def receive_noted() -> Message:
            message = await receive()
            if not message.get("more_body", False):
                body_read.set()
            if message["type"] == "http.disconnect":
                raise GatewayError(ErrorKind.CANCELLED, "the client went away")
            return message

        async def gone() -> None:
            await body_read.wait()
            while (await receive())["type"] != "http.disconnect":
                pass

        handler = asyncio.ensure_future(self._app(scope, receive_noted, send))
        watch = asyncio.ensure_future(gone())
        try:
            await asyncio.wait((handler, watch), return_when=asyncio.FIRST_COMPLETED)
            if not handler.done():
                raise GatewayError(ErrorKind.CANCELLED, "the client went away")
            handler.result()
        finally:
            watch.cancel()
            handler.cancel()
            await asyncio.gather(handler, watch, return_exceptions=True)
            del handler, watch  # a task refers to its error, whose traceback refers to this frame
