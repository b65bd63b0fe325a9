"""REST as an ASGI application: finds the route, reads the body, answers, shows errors as the path's protocol does."""

import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from starlette.types import Receive, Scope, Send

from service.core.admission import HeldBytes
from service.core.call import Call
from service.core.identity import UnauthenticatedError
from service.core.tracing import HttpFacts
from service.errors import ErrorKind, GatewayError, Violation, invalid_input, shown
from service.seam.http import Found, HttpRequest, HttpResponse, RestApi, Route
from service.seam.problem import problem_response
from service.transport.call import OTHER_METHOD, REQUEST_ID, Calls, answered_again, request_id_of
from service.transport.cross_site import SitePolicy
from service.transport.rest.quotas import quota_headers
from service.transport.rest.routing import MethodNotAllowedError, Router
from service.transport.tls import CERTIFICATE

Headers = Sequence[tuple[bytes, bytes]]

_REQUEST_ID, _TIMEOUT = REQUEST_ID.encode(), b"x-request-timeout"
_LOAD = "load"
"""The phase in which a request waits for its model; the client is told how long it took."""
_ASKED_CHARACTERS = 100
"""How much of a model's name in a path goes to the log."""

_SECONDS = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
"""A number as JSON and most languages write it; Python's own ``float`` also reads 1_0, and digits of all scripts."""
_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS"})


class RestApp:
    """Answers REST.

    Args:
        apis: The protocols' REST sides.
        operations: Routes of no protocol: probes, scrapes and pages.
        calls: Runs the calls.
        sites: Refuses what browsers send for other sites' pages.
        max_request_bytes: How long a body may be.
        headers: Headers of every answer.
    """

    def __init__(
        self,
        *,
        apis: Sequence[RestApi],
        operations: Sequence[Route],
        calls: Calls,
        sites: SitePolicy,
        max_request_bytes: int,
        headers: Headers = (),
    ) -> None:
        self._apis = [(api, Router(api.routes)) for api in apis]
        self._operations = Router(operations)
        self._calls = calls
        self._sites = sites
        self._max_request_bytes = max_request_bytes
        self._headers = headers

    async def answer(self, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive, send: Send) -> None:
        """Answers one request.

        Args:
            scope: The request's.
            headers: The first of its headers of each name.
            receive: Gives the events of the request's body.
            send: Takes those of the response.
        """
        given = headers.get(_REQUEST_ID)
        request_id = request_id_of(None if given is None else given.decode("latin-1"))
        call = Call("rest", OTHER_METHOD, request_id, self._calls.deadline(None), peer=scope.get("client"))
        call.metadata = headers
        call.certificate = scope.get(CERTIFICATE)
        path: str = scope["path"]
        api, router = next((pair for pair in self._apis if pair[0].owns(path)), (None, self._operations))
        refused: GatewayError | None = None
        found: Found | None = None
        try:
            found = _found(api, router, scope)
            call.method, call.access = found[0].name, found[0].access
            self._sites.check(scope["method"], headers)
            if (timeout := headers.get(_TIMEOUT)) is not None:
                call.deadline = self._calls.deadline(_seconds(timeout.decode("latin-1")))
        except GatewayError as error:
            refused = error

        async def work(held: HeldBytes) -> HttpResponse:
            if found is None or refused is not None:
                raise refused or AssertionError
            route, params = found
            body = b"" if scope["method"] in _WITHOUT_BODY else await self._body(headers, receive, held)
            held.admit()
            call.size = len(body)
            request = HttpRequest(params, scope["query_string"], scope["headers"], body)
            answer = await answered_again(lambda: route.handle(request, call), call, held)
            call.status, call.answered = answer.status, len(answer.body)
            return answer

        def refuse(error: GatewayError, call: Call) -> HttpResponse:
            respond = problem_response if api is None else api.refuse
            response = _with_advice(respond(error, call.request_id), error)
            call.status, call.answered = response.status, len(response.body)
            if found is not None and call.model is None and call.asked is None:  # refused before anybody looked for it
                asked = found[1].get("model", found[1].get("name"))
                call.asked = None if asked is None else asked[:_ASKED_CHARACTERS]
            return response

        is_probe = found is not None and found[0].is_probe
        if self._calls.tracer is not None and not is_probe:
            facts = HttpFacts(scope["method"], path, scope["http_version"], scope["scheme"])
            self._calls.tracer.begin(call, headers, facts)
        place = None if is_probe else "requests"
        response = await self._calls.run_call(work, call, refuse, place=place, reads=True)
        with suppress(OSError):  # the client went away
            await _send(response, self._headers, scope, send, call)

    async def _body(self, headers: Mapping[bytes, bytes], receive: Receive, held: HeldBytes) -> bytes:
        """Reads the body; one over the limit is refused by its declared length, or as soon as that much was read."""
        declared = headers.get(b"content-length", b"")
        if declared.isdigit() and int(declared) > self._max_request_bytes:
            raise self._too_large(f"{declared.decode()} bytes")
        parts: list[bytes] = []
        while True:
            event = await receive()
            if event["type"] == "http.disconnect":
                raise GatewayError(ErrorKind.CANCELLED, "the client went away")
            part: bytes = event.get("body", b"")
            held.take(len(part))
            if held.taken > self._max_request_bytes:
                raise self._too_large("more")
            parts.append(part)
            if not event.get("more_body", False):
                return parts[0] if len(parts) == 1 else b"".join(parts)

    def _too_large(self, got: str) -> GatewayError:
        expected = f"at most {self._max_request_bytes} bytes (max_request_bytes)"
        return invalid_input(Violation("body", expected, got), kind=ErrorKind.TOO_LARGE)


def _found(api: RestApi | None, router: Router, scope: Scope) -> Found:
    if api is not None and api.find is not None:
        return api.find(scope["method"], scope["raw_path"].decode("latin-1").partition("?")[0])
    return router.find(scope["method"], scope["path"])


def _seconds(text: str) -> float:
    seconds = float(text) if _SECONDS.fullmatch(text) else math.nan
    if not 0 < seconds < math.inf:
        raise invalid_input(Violation("X-Request-Timeout", "a positive number of seconds", shown(text)))
    return seconds


def _with_advice(response: HttpResponse, error: GatewayError) -> HttpResponse:
    """Returns the response of an error with what the client can do about it, in headers."""
    if isinstance(error, UnauthenticatedError):
        return replace(response, headers={**response.headers, "www-authenticate": error.challenge})
    if (seconds := error.retry_after) is not None:
        return replace(response, headers={**response.headers, "retry-after": str(seconds)})
    if isinstance(error, MethodNotAllowedError):
        return replace(response, headers={**response.headers, "allow": error.allowed})
    return response


async def _send(response: HttpResponse, common: Headers, scope: Scope, send: Send, call: Call) -> None:
    headers = [
        (b"content-type", response.media_type.encode("latin-1")),
        (b"content-length", b"%d" % len(response.body)),
        (_REQUEST_ID, call.request_id.encode("latin-1")),
        *common,
    ]
    headers += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers.items()]
    if call.was_split and call.version is not None:  # not all protocols say which version answers
        headers.append((b"x-tensorgate-model-version", b"%d" % call.version))
    if (waited := call.phases.get(_LOAD)) is not None:
        headers.append((b"server-timing", b"%s;dur=%.0f" % (_LOAD.encode(), waited * 1000)))  # milliseconds
    if call.lease is not None and (quotas := call.lease.quotas()):
        headers += quota_headers(quotas)
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else response.body})
