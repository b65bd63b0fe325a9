"""What operators and their tools ask for: probes, metrics, the OpenAPI document and the page that shows it."""

from collections.abc import Callable
from importlib.resources import files
from typing import Any

import orjson

from service.core.call import Call
from service.core.catalog import Catalog
from service.seam.http import HttpRequest, HttpResponse, Route

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
        exposition: Callable[[str], tuple[bytes, str]],
        openapi: Callable[[], dict[str, Any]],
    ) -> None:
        self._catalog = catalog
        self._accepting = accepting
        self._exposition = exposition
        self._openapi = openapi
        self._page = files("service.transport").joinpath("docs.html").read_bytes()

    def routes(self) -> list[Route]:
        """Returns the routes."""
        return [
            Route("GET", "/", self.root, is_probe=True),
            Route("GET", "/livez", self.livez, is_probe=True),
            Route("GET", "/readyz", self.readyz, is_probe=True),
            Route("GET", "/metrics", self.metrics, is_probe=True),
            Route("GET", "/openapi.json", self.openapi, is_probe=True),
            Route("GET", "/docs", self.docs, is_probe=True),
        ]

    async def root(self, request: HttpRequest, call: Call) -> HttpResponse:
        """Sends people to the page."""
        return HttpResponse(b"", 307, headers={"location": "/docs"})

    async def livez(self, request: HttpRequest, call: Call) -> HttpResponse:
        """Tells that the process works: its event loop answered."""
        return _json({"status": "ok"})

    async def readyz(self, request: HttpRequest, call: Call) -> HttpResponse:
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

    async def metrics(self, request: HttpRequest, call: Call) -> HttpResponse:
        """Answers a scrape."""
        body, content_type = self._exposition(request.headers.get("accept", ""))
        return HttpResponse(body, media_type=content_type)

    async def openapi(self, request: HttpRequest, call: Call) -> HttpResponse:
        """Answers with the OpenAPI document."""
        return _json(self._openapi())

    async def docs(self, request: HttpRequest, call: Call) -> HttpResponse:
        """Answers with the page."""
        return HttpResponse(
            self._page, media_type="text/html; charset=utf-8", headers={"content-security-policy": _PAGE_POLICY}
        )


def _json(body: dict[str, Any], status: int = 200) -> HttpResponse:
    return HttpResponse(orjson.dumps(body), status)
