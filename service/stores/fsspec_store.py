"""Object stores (S3, Google Cloud Storage, Azure), by fsspec, which finds credentials as their own tools do."""

import base64
import binascii
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import fsspec

from service.errors import GatewayError
from service.stores.paths import is_model_name, version_number
from service.stores.port import MANIFEST, MODEL_FILES, StoredFile, StoredVersion, failed, unavailable
from service.stores.redaction import said

_BLOCK = 16 * 1024 * 1024
"""Bytes of a file that one request asks for."""
_CONNECT_SECONDS, _READ_SECONDS = 10, 60
_ANYWHERE: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
"""Without caches: each call asks the store."""
_S3: dict[str, Any] = {
    "config_kwargs": {
        "connect_timeout": _CONNECT_SECONDS,
        "read_timeout": _READ_SECONDS,
        "retries": {"mode": "standard", "max_attempts": 2},
    }
}
_AZURE: dict[str, Any] = {"connection_timeout": _CONNECT_SECONDS, "read_timeout": _READ_SECONDS}
_OPTIONS = {"s3": _S3, "az": _AZURE, "abfs": _AZURE, "abfss": _AZURE}


class FsspecStore:
    """A prefix of a bucket, with objects named ``<model>/<version>/<file>`` below it; others are ignored.

    A look is one listing of all objects, a request for each thousand.

    Args:
        url: The URL of the prefix.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._kind = fsspec.get_filesystem_class(urlsplit(url).scheme)
        self._root: str = self._kind._strip_protocol(url).rstrip("/")
        self._made: Any = None

    @property
    def _files(self) -> Any:
        """The library's file system, created on first use, as some look for credentials on the network then."""
        if self._made is None:
            of_kind = _OPTIONS.get(urlsplit(self._url).scheme, {})
            self._made = self._kind(**_ANYWHERE, **of_kind, **self._kind._get_kwargs_from_urls(self._url))
        return self._made

    def versions(self) -> Mapping[str, Mapping[int, StoredVersion | None]]:
        """Returns all versions."""
        found: dict[str, dict[int, list[StoredFile]]] = {}
        for path, info in self._find(self._root).items():
            parts = path.removeprefix(f"{self._root}/").split("/", 2)
            number = version_number(parts[1]) if len(parts) > 2 else None
            if number is not None and parts[2] and is_model_name(parts[0]):
                found.setdefault(parts[0], {}).setdefault(number, []).append(_file(parts[2], info))
        return {
            model: {number: StoredVersion(tuple(files)) for number, files in versions.items()}
            for model, versions in found.items()
        }

    def describe(self, model: str, version: int) -> StoredVersion | None:
        """Returns a version as it is now; ``None`` if it is gone."""
        root = self._path(model, version)
        files = tuple(_file(path.removeprefix(f"{root}/"), info) for path, info in self._find(root).items())
        return StoredVersion(files) if files else None

    def read(self, model: str, version: int, file: StoredFile, start: int) -> Generator[bytes, None, None]:
        """Yields the contents of a file from an offset on."""
        path = f"{self._path(model, version)}/{file.path}"
        with (
            self._asking(path, absent=failed),
            self._files.open(path, "rb", block_size=_BLOCK, cache_type="readahead") as content,
        ):
            content.seek(start)
            while part := content.read(_BLOCK):
                yield part

    def publish(self, model: str, version: int, files: Mapping[str, Path]) -> None:
        """Writes a version: first the files that do not make it one, then the model, and the manifest last.

        Args:
            model: Name of the model.
            version: A number that the store does not have.
            files: By their paths relative to the version's folder.

        Raises:
            GatewayError: BACKEND_UNAVAILABLE.
        """
        for path in sorted(files, key=lambda path: (path == MANIFEST, path in MODEL_FILES, path)):
            target = f"{self._path(model, version)}/{path}"
            with self._asking(target):
                self._files.put_file(str(files[path]), target)
                size, expected = self._files.info(target)["size"], files[path].stat().st_size
            if size != expected:
                raise unavailable(f"{target} has {size} bytes in the store, and not {expected}")

    def _path(self, model: str, version: int) -> str:
        return f"{self._root}/{model}/{version}"

    def _find(self, root: str) -> dict[str, dict[str, Any]]:
        with self._asking(root):
            found: dict[str, dict[str, Any]] = self._files.find(root, detail=True)
        # Consoles make a key that ends in a slash in place of a folder.
        return {
            path: info
            for path, info in found.items()
            if info.get("type") != "directory" and not path.endswith("/") and path != root
        }

    @contextmanager
    def _asking(self, path: str, absent: Callable[[str], GatewayError] = unavailable) -> Iterator[None]:
        """Translates the errors of libraries.

        Args:
            path: What is read or written.
            absent: Returns the error for what does not exist, or may not be accessed.
        """
        try:
            yield
        except FileNotFoundError:
            raise absent(f"{path} is not in the store") from None
        except PermissionError as error:
            raise absent(f"{path} may not be read or written: {said(error)}") from None
        except Exception as error:  # libraries raise all kinds
            raise unavailable(f"{path} could not be read or written: {said(error)}") from None


def _file(path: str, info: Mapping[str, Any]) -> StoredFile:
    """Returns a file of a listing: S3 states an ETag, Google and Azure a generation or an etag, and a hash."""
    tag = next((info[name] for name in ("ETag", "generation", "etag") if info.get(name)), "")
    return StoredFile(path, int(info["size"] or 0), str(tag), _md5(info))


def _md5(info: Mapping[str, Any]) -> str:
    """Returns the MD5 that a store states; an ETag of S3 is none for objects that are encrypted or multipart."""
    settings = info.get("content_settings") or {}
    value = info.get("md5Hash") or settings.get("content_md5") or b""
    try:
        digest = base64.b64decode(value) if isinstance(value, str) else bytes(value)
    except binascii.Error:
        return ""
    return f"md5:{digest.hex()}" if digest else ""
