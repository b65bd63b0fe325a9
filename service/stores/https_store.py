"""A web server as a store: the files, and an index that lists them."""

import netrc
from base64 import b64encode
from collections.abc import Generator, Mapping
from urllib.parse import quote

from service.stores.index import INDEX, MAX_BYTES, parse_index
from service.stores.port import StoredFile, StoredVersion
from service.stores.web import Web, whole

_NOT_MODIFIED = 304


class HttpsStore:
    """Files at ``<model>/<version>/<file>`` below a URL, and an ``index.json`` that lists them with their hashes.

    A look is one request, answered with 304 if the index has not changed. Credentials are read from netrc, as by curl.

    Args:
        url: The URL of the folder with the index.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._web = Web(_of_netrc)
        self._etag = ""
        self._index: dict[str, dict[int, StoredVersion | None]] = {}

    def versions(self) -> Mapping[str, Mapping[int, StoredVersion | None]]:
        """Returns what the index lists now."""
        where = f"{self._url}/{INDEX}"
        headers = {"If-None-Match": self._etag} if self._etag else {}
        with self._web.ask(where, headers, fine=_NOT_MODIFIED) as answer:
            if answer.status != _NOT_MODIFIED:
                self._index = parse_index(whole(answer, where, MAX_BYTES), where)
                self._etag = answer.headers.get("ETag", "")
        return self._index

    def describe(self, model: str, version: int) -> StoredVersion | None:
        """Returns a version as it is now; ``None`` if it is gone."""
        return self.versions().get(model, {}).get(version)

    def read(self, model: str, version: int, file: StoredFile, start: int) -> Generator[bytes, None, None]:
        """Yields the contents of a file from an offset on."""
        parts = (model, str(version), *file.path.split("/"))
        return self._web.read("/".join([self._url, *(quote(part, safe="") for part in parts)]), start)


def _of_netrc(host: str) -> str:
    try:
        found = netrc.netrc().authenticators(host)
    except (OSError, netrc.NetrcParseError):
        return ""
    return f"Basic {b64encode(f'{found[0]}:{found[2]}'.encode()).decode()}" if found else ""
