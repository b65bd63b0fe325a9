"""Files of pages: read as they are asked for, compressed where the browser takes that, and not sent twice."""

import asyncio
import gzip
import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from service.core.call import Call
from service.seam.http import Handle, HttpRequest, HttpResponse

_NOT_MODIFIED = 304
_MAX_PACKED_BYTES = 512 * 1024
"""Longer files are sent uncompressed, as compressed ones are kept in memory."""


def file_handler(path: Path, media_type: str, headers: Mapping[str, str]) -> Handle:
    """Returns a handler that answers with a file.

    Args:
        path: The file's.
        media_type: Its type.
        headers: Headers of each answer beside those of caching.
    """

    async def respond(request: HttpRequest, call: Call) -> HttpResponse:
        takes_gzip = _takes_gzip(request.header_values(b"accept-encoding"))
        body, tag, encoding = await asyncio.to_thread(_read, path, takes_gzip)
        # Browsers keep it, and ask whether it is still the same: a new release is seen at once.
        common = {**headers, "etag": tag, "cache-control": "no-cache", "vary": "accept-encoding"}
        if tag in _tags(request.header_values(b"if-none-match")):
            return HttpResponse(b"", _NOT_MODIFIED, media_type, common)
        return HttpResponse(body, media_type=media_type, headers=common | encoding)

    return respond


def _read(path: Path, takes_gzip: bool) -> tuple[bytes, str, dict[str, str]]:
    """Returns what is sent of a file, the tag of these bytes, and the header that says how they are encoded."""
    status = path.stat()
    packs = takes_gzip and status.st_size <= _MAX_PACKED_BYTES
    body = _packed(path, status.st_mtime_ns) if packs else path.read_bytes()
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return body, tag, {"content-encoding": "gzip"} if packs else {}


@lru_cache(maxsize=16)
def _packed(path: Path, modified: int) -> bytes:
    """Returns a file compressed; once each time it is modified, as compressing takes longer than sending."""
    return gzip.compress(path.read_bytes(), mtime=0)


def _takes_gzip(values: list[str]) -> bool:
    for part in ",".join(values).split(","):
        coding, _, weight = part.replace(" ", "").lower().partition(";")
        if coding == "gzip":
            return not weight.startswith("q=0") or weight.strip("q=0.") != ""
    return False


def _tags(values: list[str]) -> set[str]:
    return {tag.strip().removeprefix("W/") for tag in ",".join(values).split(",")}
