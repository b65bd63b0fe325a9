"""What operators and their tools ask for: probes, metrics, the OpenAPI document; and the pages for people."""

import asyncio
from collections.abc import Callable
from importlib.metadata import distribution
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson

from service.core.call import Call
from service.core.model_version import ModelVersion
from service.core.rights import Access
from service.core.visibility import Models
from service.seam.http import HttpRequest, HttpResponse, Route
from service.transport.static_files import file_handler

_NOT_READY = 503
_POLICY = (
    "default-src 'none'; connect-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE_HEADERS = {
    "content-security-policy": _POLICY,
    "x-frame-options": "DENY",  # for browsers that do not know frame-ancestors
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
"""Headers of a page and its files: nobody frames it, it reaches this server alone, and tells nobody where it is."""
_HTML, _SCRIPT, _STYLE = "text/html; charset=utf-8", "text/javascript; charset=utf-8", "text/css; charset=utf-8"
_TEXT = "text/plain; charset=utf-8"


def _page_files() -> dict[str, tuple[Path, str]]:
    """Returns the files of the pages and their types, by path: where models are tried, and the API reference."""
    own, packed = Path(str(files("service.transport"))), distribution("offapi")
    return {
        "/": (own / "page/index.html", _HTML),
        "/page/page.js": (own / "page/page.js", _SCRIPT),
        "/page/page.css": (own / "page/page.css", _STYLE),
        "/page/NOTICE.txt": (own / "page/NOTICE.txt", _TEXT),
        "/docs": (own / "docs.html", _HTML),
        "/docs/start.js": (own / "docs.js", _SCRIPT),
        # Found without importing it, which would read all that it has, and keep it.
        "/docs/swagger-ui.js": (Path(str(packed.locate_file("offapi/swagger_bundle.js"))), _SCRIPT),
        "/docs/swagger-ui.css": (Path(str(packed.locate_file("offapi/swagger_style.css"))), _STYLE),
    }


class Operations:
    """The handlers of the operators' paths.

    Args:
        models: The models that there are.
        accepting: Tells whether requests are admitted.
        metrics: Returns what makes, on any thread, the text of the metrics, and its content type, for an ``Accept``
            header: of all models, or of those that it is told to show.
        openapi: Returns the OpenAPI document, as who asks for it may see it.
    """

    def __init__(
        self,
        *,
        models: Models,
        accepting: Callable[[], bool],
        metrics: Callable[[str, Callable[[str], bool] | None], Callable[[], tuple[bytes, str]]],
        openapi: Callable[[Call], dict[str, Any]],
    ) -> None:
        self._models = models
        self._accepting = accepting
        self._metrics = metrics
        self._openapi = openapi

    def routes(self) -> list[Route]:
        """Returns the routes."""
        pages = {path: file_handler(*file, _PAGE_HEADERS) for path, file in _page_files().items()}
        public = {"/livez": self.livez, "/readyz": self.readyz, "/openapi.json": self.openapi, **pages}
        routes = [Route("GET", path, ask, is_probe=True, access=Access.PUBLIC) for path, ask in public.items()]
        metrics = ("/metrics", "/monitoring/prometheus/metrics")  # the second is where TensorFlow Serving has them
        return routes + [Route("GET", path, self.metrics, is_probe=True, access=Access.METRICS) for path in metrics]

    async def livez(self, request: HttpRequest, call: Call) -> HttpResponse:
        """Tells that the process works: its event loop answered."""
        return _json({"status": "ok"})

    async def readyz(self, request: HttpRequest, call: Call) -> HttpResponse:
        """Tells whether the server can answer, and of each model that may be read whether it can."""
        seen = self._models.of(call, Access.READ)
        ready = self._accepting() and self._models.ready()
        body = {
            "status": "ready" if ready else "not ready",
            "accepting": self._accepting(),
            "models": {
                name: {
                    "ready": available,
                    "versions": {
                        str(entry.version): _state(entry) for entry in (seen.versions(name) if name in seen else ())
                    },
                }
                for name, available in seen.readiness().items()
            },
            "unserved": dict(seen.unserved),
        }
        return _json(body, 200 if ready else _NOT_READY)

    async def metrics(self, request: HttpRequest, call: Call) -> HttpResponse:
        """Answers a scrape: of hundreds of models it has megabytes, which others are not to wait for."""
        text = self._metrics(request.header(b"accept") or "", self._models.shown_in_metrics(call))
        body, content_type = await asyncio.to_thread(text)
        return HttpResponse(body, media_type=content_type)

    async def openapi(self, request: HttpRequest, call: Call) -> HttpResponse:
        """Answers with the OpenAPI document."""
        return _json(self._openapi(call))


def _state(entry: ModelVersion) -> dict[str, Any]:
    """Returns the state of a version, and how far it is while it is being loaded."""
    state: dict[str, Any] = {"state": entry.told_state.value, "error": entry.error}
    progress = entry.progress if entry.residence is None else entry.residence.progress
    if progress is not None:
        state["progress"] = progress.told()
    return state


def _json(body: dict[str, Any], status: int = 200) -> HttpResponse:
    return HttpResponse(orjson.dumps(body), status)
