"""What the ports answer: all of it on each of them, or what is for operators on an address of its own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from service.app.apis import Api
from service.app.dependencies import Dependencies
from service.app.front_settings import is_loopback
from service.core.rights import FOR_ADMIN
from service.seam.grpc import GrpcService
from service.seam.http import RestApi
from service.seam.method import BytesMethod, Method
from service.transport import openapi
from service.transport.application import Application
from service.transport.call import REQUEST_ID, Calls
from service.transport.cross_site import SitePolicy
from service.transport.grpc.asgi import GrpcApp
from service.transport.grpc.calls import GrpcCalls, OpenStream
from service.transport.operations import Operations
from service.transport.rest.app import Headers, RestApp
from service.transport.streams import OrderedStreams
from service.transport.weighing import Weighing

_EXPOSED_HEADERS = (
    REQUEST_ID,
    "grpc-status",
    "grpc-message",
    "grpc-status-details-bin",
    "tensorgate-code",
    "inference-header-content-length",
    "retry-after",
    "ratelimit",
    "ratelimit-policy",
)
"""What scripts in browsers may read of an answer, beside its body."""

_NO_SNIFFING = (b"x-content-type-options", b"nosniff")
"""A browser is to take an answer for what its type says: what a client sent and an error quotes is no page."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What one address answers.

    Attributes:
        app: All of it.
        grpc: The gRPC methods among it, for a server that speaks nothing else.
    """

    app: ASGIApp
    grpc: GrpcCalls


@dataclass(frozen=True, slots=True)
class Applications:
    """Makes the applications of one server.

    Attributes:
        parts: Of the server.
        apis: The protocols.
        operations: The gRPC methods of none of them, by path: health and reflection.
        calls: Runs the calls.
        streams: Answers streams.
        accepting: Returns whether the server admits requests.
        weighing: Counts what messages hold beyond their bytes.
        headers: That answers have because of TLS.
    """

    parts: Dependencies
    apis: Sequence[Api]
    operations: Mapping[str, BytesMethod | OpenStream]
    calls: Calls
    streams: OrderedStreams
    accepting: Callable[[], bool]
    weighing: Weighing
    headers: Headers = ()

    def at(self, host: str, *, for_admin: bool) -> Answered:
        """Makes that of an address.

        Args:
            host: What is listened on.
            for_admin: Whether what is for operators is answered there; elsewhere it does not exist.
        """
        settings = self.parts.settings
        sites = SitePolicy.of(
            hosts=settings.allowed_hosts,
            origins=settings.cors_origins,
            local_host=host if is_loopback(host) else "",
        )
        services = [service for api in self.apis for service in api.grpc]
        grpc = GrpcCalls(
            services=services if for_admin else map(_public_service, services),
            operations=self.operations,
            calls=self.calls,
            streams=self.streams,
            max_request_bytes=settings.max_request_bytes,
            weighing=self.weighing,
        )
        apis = [api.rest if for_admin else _public_api(api.rest) for api in self.apis]
        left_out: list[tuple[str, str]] = []
        operations = Operations(
            models=self.parts.models,
            accepting=self.accepting,
            metrics=self.parts.metrics.collect,
            openapi=lambda call: openapi.document((api.openapi for api in self.apis), call, access_of, left_out),
        ).routes()
        routes = [*operations, *(route for api in self.apis for route in api.rest.routes)]
        access_of = {route.template: route.access for route in routes} if settings.has_access_control else None
        if not for_admin:
            left_out += [(route.verb, route.template) for route in routes if route.access in FOR_ADMIN]
        rest = RestApp(
            apis=apis,
            operations=[route for route in operations if for_admin or route.access not in FOR_ADMIN],
            calls=self.calls,
            sites=sites,
            max_request_bytes=settings.max_request_bytes,
            headers=(_NO_SNIFFING, *self.headers),
        )
        return Answered(self._with_cors(Application(GrpcApp(grpc, sites), rest)), grpc)

    def _with_cors(self, app: ASGIApp) -> ASGIApp:
        origins = self.parts.settings.cors_origins
        if not origins:
            return app
        return CORSMiddleware(
            app,
            allow_origins=[origin.strip() for origin in origins.split(",")],
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=_EXPOSED_HEADERS,
        )


def _public_api(api: RestApi) -> RestApi:
    return replace(api, routes=[route for route in api.routes if route.access not in FOR_ADMIN])


def _public_service(service: GrpcService) -> GrpcService:
    methods = {
        name: method
        for name, method in service.methods.items()
        if not (isinstance(method, Method) and method.access in FOR_ADMIN)
    }
    return replace(service, methods=methods)
