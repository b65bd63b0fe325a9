"""Requests to a web server that has models, by Python alone: bounded in time, with credentials for nobody else."""

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
"""That the server may be silent."""
_PART = 1024 * 1024
_PARTIAL = 206
_OF_CLIENTS = 4
_FOR_NOW = {401, 403, 408, 425, 429}
"""Statuses of that hundred that mean later: credentials may be mended."""


class _SafeRedirects(HTTPRedirectHandler):
    """Follows to where TLS is, too, and never from there to where it is not."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        before, after = urlsplit(req.full_url), urlsplit(newurl)
        if after.scheme != "https" and (before.scheme, before.netloc) != (after.scheme, after.netloc):
            raise HTTPError(req.full_url, code, "it leads to another server without TLS", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class Web:
    """Asks a server, and those that it sends to.

    Args:
        authorization: Returns the header of that name for a host; another one that this one sends to is not told.
    """

    def __init__(self, authorization: Callable[[str], str]) -> None:
        self._authorization = authorization
        self._opener = build_opener(_SafeRedirects)

    @contextmanager
    def ask(self, url: str, headers: Mapping[str, str] | None = None, *, fine: int = 0) -> Iterator[Any]:
        """Sends a GET; yields its answer, to be read.

        Args:
            url: Of what is asked for.
            headers: Of the request.
            fine: A status of errors that is an answer.

        Raises:
            GatewayError: BACKEND_FAILED where the server says that there is no such thing, else BACKEND_UNAVAILABLE.
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
        """Returns all that there is at a URL, with a bound in bytes.

        Raises:
            GatewayError: As `ask` does, and when it is longer, or ends early.
        """
        with self.ask(url) as answer:
            return whole(answer, url, most)

    def read(self, url: str, start: int) -> Generator[bytes, None, None]:
        """Yields a file from a byte on, from its begin where the server knows no ranges; may end early.

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
    """Returns the body of an answer.

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
