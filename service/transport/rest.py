"""The REST server: routes, middleware, and uvicorn in our own event loop."""

import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import uvicorn
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Scope

from service.core.admission import Admission
from service.errors import GatewayError
from service.transport import rest_errors
from service.transport.http_protocol import BoundedHttpProtocol
from service.transport.limits import Report, RequestLimits
from service.transport.rest_middleware import (
    Admitted,
    AnsweredAnew,
    Calls,
    CancelOnDisconnect,
    Errors,
    LimitedBody,
)

_BACKLOG = 2048
_KEEP_ALIVE_SECONDS = 75
"""Longer than the 60 s after which common load balancers give up an idle connection, so that they close it, not we."""


@dataclass(frozen=True, slots=True)
class RestFamily:
    """One family of paths.

    Attributes:
        routes: Its routes.
        owns: Tells whether a path is one of this family's, even if there is nothing.
        respond: Makes the answer to an error, for a request id.
        quiet: Paths for probes: neither logged nor counted nor limited.
    """

    routes: Sequence[BaseRoute]
    owns: Callable[[str], bool]
    respond: Callable[[GatewayError, str], Response]
    quiet: frozenset[str] = frozenset()


def create_app(
    *,
    families: Sequence[RestFamily],
    operations: Sequence[Route],
    admission: Admission,
    limits: RequestLimits,
    max_request_bytes: int,
    report: Report,
) -> ASGIApp:
    """Returns the ASGI application.

    Args:
        families: The API families; the typed API's form of errors is that of all other paths too.
        operations: Routes for probes, scrapes and pages: neither logged nor counted nor limited.
        admission: Holds the places of requests in flight.
        limits: Of time.
        max_request_bytes: How long a body may be.
        report: Takes each finished call and its code.
    """
    routes = [route for family in families for route in family.routes]
    templates: dict[tuple[str, object], str] = {
        (verb, route.endpoint): f"{verb} {route.path}"
        for route in routes
        if isinstance(route, Route)
        for verb in route.methods or ()
    }

    def method_of(scope: Scope) -> str | None:
        return scope.get("tensorgate.method") or templates.get((scope["method"], scope.get("endpoint")))

    def respond(path: str, error: GatewayError, request_id: str) -> Response:
        for family in families:
            if family.owns(path):
                return family.respond(error, request_id)
        return rest_errors.problem_response(error, request_id)

    app: ASGIApp = Router([*operations, *routes], redirect_slashes=False)
    app = AnsweredAnew(app)
    app = CancelOnDisconnect(app)
    quiet = frozenset(route.path for route in operations).union(*(family.quiet for family in families))
    app = LimitedBody(app, limit=max_request_bytes, admission=admission)
    app = Admitted(app, quiet=quiet, admission=admission, limits=limits)
    app = Errors(app, respond=respond, admission=admission)
    return Calls(app, quiet=quiet, method_of=method_of, limits=limits, report=report)


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Returns a listening socket.

    Args:
        host: Address to listen on.
        port: Port, or 0 for any free one.
        shared: Whether other sockets may listen there too, if they share it as well.

    Raises:
        OSError: When the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, the event loop knows that it is TCP, and sends small answers at once (TCP_NODELAY).
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise OSError(error.errno, f"cannot listen on {host}:{port} for REST: {error.strerror}") from error
    return listening


class RestServer(uvicorn.Server):
    """Uvicorn without its own signal handling: the runtime stops it.

    Args:
        app: The ASGI application.
        drain_seconds: How long a stop waits for requests in flight.
    """

    def __init__(self, app: ASGIApp, *, drain_seconds: float) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="none",
                http=BoundedHttpProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=max(1, round(drain_seconds)),
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves the signals alone."""
        yield

    def stop(self) -> None:
        """Accepts no more connections, lets requests in flight finish, and ends ``serve()``."""
        self.should_exit = True
