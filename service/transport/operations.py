"""What operators and their tools ask for: probes, metrics, the OpenAPI document and the page that shows it."""

from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from service.core.catalog import Catalog

_JSON = "application/json"
_NOT_READY = 503
_PAGE_POLICY = (
    "default-src 'none'; connect-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


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
        self._page = files("service.transport").joinpath("docs.html").read_text("utf-8")

    def routes(self) -> list[Route]:
        """Returns the routes."""
        return [
            Route("/", self.root, methods=["GET"]),
            Route("/livez", self.livez, methods=["GET"]),
            Route("/readyz", self.readyz, methods=["GET"]),
            Route("/metrics", self.metrics, methods=["GET"]),
            Route("/openapi.json", self.openapi, methods=["GET"]),
            Route("/docs", self.docs, methods=["GET"]),
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

    async def docs(self, request: Request) -> Response:
        """Answers with the page."""
        return HTMLResponse(self._page, headers={"Content-Security-Policy": _PAGE_POLICY})


def _json(body: dict[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type=_JSON)
