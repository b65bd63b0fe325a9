"""Requests to a web server that has models: with timeouts, and with credentials that no other server gets."""

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from service.stores.port import failed, unavailable
from service.stores.redaction import said

_SECONDS = 60.0
"""Time that the server may be silent."""
_PART = 1024 * 1024
_PARTIAL = 206
_OF_CLIENTS = 4
_FOR_NOW = {401, 403, 408, 425, 429}
"""Client errors that may pass: credentials can be mended."""


class _SafeRedirects(HTTPRedirectHandler):
    """Follows redirects to URLs with TLS, and without TLS only on the same server."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        before, after = urlsplit(req.full_url), urlsplit(newurl)
        if after.scheme != "https" and (before.scheme, before.netloc) != (after.scheme, after.netloc):
            raise HTTPError(req.full_url, code, "it leads to another server without TLS", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class Web:
    """Sends requests to a server, and follows its redirects.

    Args:
        authorization: Returns the ``Authorization`` header for a host; it is not sent along with a redirect.
    """

    def __init__(self, authorization: Callable[[str], str]) -> None:
        self._authorization = authorization
        self._opener = build_opener(_SafeRedirects)

    @contextmanager
    def ask(self, url: str, headers: Mapping[str, str] | None = None, *, fine: int = 0) -> Iterator[Any]:
        """Sends a GET; yields the response, to be read.

        Args:
            url: The URL.
            headers: Of the request.
            fine: An error status that is not an error here.

        Raises:
            GatewayError: BACKEND_FAILED for a client error that will not pass, else BACKEND_UNAVAILABLE.
        """
        request = Request(url, headers={"Accept-Encoding": "identity", **(headers or {})})  # noqa: S310  # was checked
        if authorization := self._authorization(urlsplit(url).hostname or ""):
            request.add_unredirected_header("Authorization", authorization)
        try:
            try:
                answer = self._opener.open(request, timeout=_SECONDS)
            except HTTPError as error:
                if error.code != fine:
                    raise
                answer = error
            with answer:
                yield answer
        except HTTPError as error:
            error.close()  # it has the connection
            is_final = error.code // 100 == _OF_CLIENTS and error.code not in _FOR_NOW
            make = failed if is_final else unavailable
            raise make(f"{url}: {error.code} {said(Exception(error.reason))}") from None
        except (OSError, HTTPException, ValueError) as error:
            raise unavailable(f"{url} could not be read: {said(error)}") from None

    def document(self, url: str, most: int) -> bytes:
        """Returns the document at a URL, of a bounded size.

        Raises:
            GatewayError: As `ask` does, and when it is longer, or ends early.
        """
        with self.ask(url) as answer:
            return whole(answer, url, most)

    def read(self, url: str, start: int) -> Generator[bytes, None, None]:
        """Yields a file from an offset on, even if the server supports no ranges; may end early.

        Raises:
            GatewayError: As `ask` does.
        """
        with self.ask(url, {"Range": f"bytes={start}-"} if start else {}) as answer:
            skip = start if answer.status != _PARTIAL else 0
            while part := answer.read1(_PART):
                if len(part) > skip:
                    yield part[skip:]
                skip = max(0, skip - len(part))


def whole(answer: Any, url: str, most: int) -> bytes:
    """Returns the body of a response.

    Raises:
        GatewayError: When it is longer than so many bytes, or ends early.
    """
    data: bytes = answer.read(most + 1)
    length = answer.headers.get("Content-Length")
    if len(data) > most:
        raise failed(f"{url} is longer than {most} bytes")
    if length is not None and len(data) < int(length):
        raise unavailable(f"{url} ended after {len(data)} of {length} bytes")
    return data
