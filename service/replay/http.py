"""Requests over HTTP, each thread on a connection of its own, which is kept."""

import http.client
import json
import ssl
import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

_REUSED = (http.client.BadStatusLine, http.client.CannotSendRequest, BrokenPipeError, ConnectionResetError)
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


class HttpConnections(threading.local):
    """Connections to one server.

    Args:
        url: ``http://host:port`` or ``https://host:port``, with a path before those of the protocol if need be.
        timeout: Seconds for an answer.
    """

    def __init__(self, url: str, timeout: float) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port
        self._prefix = parts.path.rstrip("/")
        self._tls = parts.scheme == "https"
        self._timeout = timeout
        self._connection: http.client.HTTPConnection | None = None

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
        """Ends this thread's connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _request(self, verb: str, path: str, body: bytes | None) -> Reply:
        reused = self._connection is not None
        try:
            return self._exchange(verb, path, body)
        except BaseException as error:
            self.close()
            if not (reused and isinstance(error, _REUSED)):
                raise
        return self._exchange(verb, path, body)  # to ask a model twice changes nothing

    def _exchange(self, verb: str, path: str, body: bytes | None) -> Reply:
        if self._connection is None:
            self._connection = self._connect()
        headers = {"Content-Type": "application/json"} if body is not None else {}
        self._connection.request(verb, self._prefix + path, body, headers)
        response = self._connection.getresponse()
        return Reply(response.status, response.read())

    def _connect(self) -> http.client.HTTPConnection:
        common: dict[str, Any] = {"timeout": self._timeout}
        if self._tls:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(self._host, self._port, context=context, **common)
        return http.client.HTTPConnection(self._host, self._port, **common)
