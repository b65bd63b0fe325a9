"""What operators and their tools ask for: probes, metrics, the OpenAPI document and the page that shows it."""

from collections.abc import Awaitable, Callable
from importlib.metadata import distribution
from importlib.resources import files
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Route

from service.core.catalog import Catalog

_JSON = "application/json"
_NOT_READY = 503
_POLICY = (
    "default-src 'none'; connect-src 'self'; script-src 'self'; style-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def _page_files() -> dict[str, str]:
    """Returns where the files of the page are, by path: the page, and the Swagger UI that a package brings."""
    own, packed = files("service.transport"), distribution("offapi")
    return {
        "/docs": str(own.joinpath("docs.html")),
        "/docs/start.js": str(own.joinpath("docs.js")),
        # Found without importing it, which would read all that it has, and keep it.
        "/docs/swagger-ui.js": str(packed.locate_file("offapi/swagger_bundle.js")),
        "/docs/swagger-ui.css": str(packed.locate_file("offapi/swagger_style.css")),
    }


class Operations:
    """The handlers of the operators' paths.

    Args:
        catalog: The models that there are.
        accepting: Tells whether requests are admitted.
        exposition: Returns the metrics, and their content type, for an ``Accept`` header.
        openapi: Returns the OpenAPI document.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        accepting: Callable[[], bool],
        exposition: Callable[[str], Awaitable[tuple[bytes, str]]],
        openapi: Callable[[], dict[str, Any]],
    ) -> None:
        self._catalog = catalog
        self._accepting = accepting
        self._exposition = exposition
        self._openapi = openapi

    def routes(self) -> list[Route]:
        """Returns the routes."""
        return [
            Route("/", self.root, methods=["GET"]),
            Route("/livez", self.livez, methods=["GET"]),
            Route("/readyz", self.readyz, methods=["GET"]),
            Route("/metrics", self.metrics, methods=["GET"]),
            Route("/openapi.json", self.openapi, methods=["GET"]),
            *(Route(path, _file(file), methods=["GET"]) for path, file in _page_files().items()),
        ]

    async def root(self, request: Request) -> Response:
        """Sends people to the page."""
        return RedirectResponse("/docs")

    async def livez(self, request: Request) -> Response:
        """Tells that the process works: its event loop answered."""
        return _json({"status": "ok"})

    async def readyz(self, request: Request) -> Response:
        """Tells whether each model can answer, and whether the server takes requests."""
        ready = self._accepting() and self._catalog.ready()
        models = self._catalog.readiness()
        body = {
            "status": "ready" if ready else "not ready",
            "accepting": self._accepting(),
            "models": {
                name: {
                    "ready": available,
                    "versions": {
                        str(entry.version): {"state": entry.state.value, "error": entry.error}
                        for entry in (self._catalog.versions(name) if name in self._catalog else ())
                    },
                }
                for name, available in models.items()
            },
        }
        return _json(body, 200 if ready else _NOT_READY)

    async def metrics(self, request: Request) -> Response:
        """Answers a scrape."""
        body, content_type = await self._exposition(request.headers.get("accept", ""))
        return Response(body, headers={"Content-Type": content_type})

    async def openapi(self, request: Request) -> Response:
        """Answers with the OpenAPI document."""
        return _json(self._openapi())


def _file(path: str) -> Callable[[Request], Awaitable[Response]]:
    """Returns a handler that answers with a file of the page."""

    async def respond(request: Request) -> Response:
        return FileResponse(path, headers={"Content-Security-Policy": _POLICY})

    return respond


def _json(body: dict[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type=_JSON)
