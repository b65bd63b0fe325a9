"""Requests over HTTP, on as many connections as are needed at a time, which are kept."""

import http.client
import json
import ssl
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

_ENDED = (http.client.BadStatusLine, http.client.CannotSendRequest, BrokenPipeError, ConnectionResetError)
"""What a server that has ended an idle connection meanwhile makes of the next request on it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Status and body of an answer."""

    status: int
    body: bytes

    @property
    def text(self) -> str:
        """What the body of a failure says."""
        try:
            said = json.loads(self.body)["error"]
        except (ValueError, KeyError, TypeError):
            said = self.body.decode("utf-8", "replace")
        return str(said)[:1000]


class HttpConnections:
    """Connections to one server, for any number of threads.

    Args:
        url: ``http://host:port`` or ``https://host:port``, with a path before those of the protocol if need be.
        timeout: Seconds for an answer.
        tls: Whom to trust, and what to show; for ``https``.
        headers: Of all requests.
    """

    def __init__(
        self,
        url: str,
        timeout: float,
        tls: ssl.SSLContext | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port
        self._prefix = parts.path.rstrip("/")
        self._tls = tls
        self._timeout = timeout
        self._headers = headers
        self._idle: deque[http.client.HTTPConnection] = deque()

    def get(self, path: str) -> Reply:
        """Asks for a path.

        Raises:
            OSError, http.client.HTTPException: When there is no answer.
        """
        return self._request("GET", path, None)

    def post(self, path: str, body: bytes) -> Reply:
        """Sends JSON to a path.

        Raises:
            OSError, http.client.HTTPException: When there is no answer.
        """
        return self._request("POST", path, body)

    def close(self) -> None:
        """Ends those that are idle."""
        while self._idle:
            self._idle.pop().close()

    def _request(self, verb: str, path: str, body: bytes | None) -> Reply:
        try:
            connection = self._idle.pop()
        except IndexError:
            return self._exchange(self._connect(), verb, path, body)
        try:
            return self._exchange(connection, verb, path, body)
        except _ENDED:
            return self._exchange(self._connect(), verb, path, body)  # to ask a model twice changes nothing

    def _exchange(self, connection: http.client.HTTPConnection, verb: str, path: str, body: bytes | None) -> Reply:
        headers = {**self._headers, **({"Content-Type": "application/json"} if body is not None else {})}
        try:
            connection.request(verb, self._prefix + path, body, headers)
            response = connection.getresponse()
            reply = Reply(response.status, response.read())
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        return reply

    def _connect(self) -> http.client.HTTPConnection:
        common: dict[str, Any] = {"timeout": self._timeout}
        if self._tls is not None:
            return http.client.HTTPSConnection(self._host, self._port, context=self._tls, **common)
        return http.client.HTTPConnection(self._host, self._port, **common)
