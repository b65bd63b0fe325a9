"""URLs of stores: which there are, and what each needs."""

import hashlib
import importlib
import re
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

from service.errors import ErrorKind, GatewayError, not_installed
from service.stores.port import Store
from service.stores.redaction import hush

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of store.

    Attributes:
        made_by: Module and class, imported when a URL is of this kind.
        module: The package that it needs; empty where Python does.
        extra: Of this package, which brings that.
    """

    made_by: str
    module: str = ""
    extra: str = ""


_FSSPEC = "service.stores.fsspec_store:FsspecStore"
_S3 = _Kind(_FSSPEC, "s3fs", "s3")
_GCS = _Kind(_FSSPEC, "gcsfs", "gcs")
_AZURE = _Kind(_FSSPEC, "adlfs", "azure")
_HTTP = _Kind("service.stores.https_store:HttpsStore")
KINDS = {
    "s3": _S3,
    "gs": _GCS,
    "gcs": _GCS,
    "az": _AZURE,
    "abfs": _AZURE,
    "abfss": _AZURE,
    "https": _HTTP,
    "http": _HTTP,
    "oci": _Kind("service.stores.oci_store:OciStore", "oras", "oci"),
    "mlflow": _Kind("service.stores.mlflow_store:MlflowStore"),
}
"""By the scheme of a URL."""


def is_url(text: str) -> bool:
    """Returns whether a text is a URL, and not a folder."""
    return "://" in text


def checked(url: str) -> str:
    """Returns the URL of a store in its normal form, without a trailing slash.

    Raises:
        ValueError: When it is not one, with what was expected.
    """
    parts = urlsplit(url)
    if parts.scheme not in KINDS:
        raise ValueError(f"a folder, or a URL that begins with {', '.join(f'{kind}://' for kind in KINDS)}")
    if parts.password is not None or (parts.username is not None and not parts.scheme.startswith("abfs")):
        raise ValueError("a URL without a name and a password: give them as docs/stores.md says")
    if parts.query or parts.fragment:
        raise ValueError("a URL without ? and #, as it is shown in the log")
    if not parts.netloc:
        raise ValueError(f"{parts.scheme}://, and a bucket, container or host")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("https://, or http:// for this machine alone: nobody could tell what came over it")
    return url.rstrip("/")


def is_loopback(host: str | None) -> bool:
    """Returns whether a host is this machine, which needs no TLS."""
    return host in _LOOPBACK


def open_store(url: str) -> Store:
    """Returns the store at a URL that was checked; sends no request yet.

    Raises:
        GatewayError: NOT_SUPPORTED when the package that it needs is not installed, with the extra that brings it.
    """
    kind = KINDS[urlsplit(url).scheme]
    module, _, name = kind.made_by.partition(":")
    try:
        if kind.module:
            importlib.import_module(kind.module)
        made_by = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        text = f"{url}: {not_installed(error.name, kind.extra)}"
        raise GatewayError(ErrorKind.NOT_SUPPORTED, text) from error
    hush()
    return cast("Store", made_by(url))


def cache_name(url: str) -> str:
    """Returns the name of the cache folder of a URL; different for each."""
    words = re.sub(r"[^A-Za-z0-9.]+", "-", url)[:60].strip("-")
    return f"{words}-{hashlib.sha256(url.encode()).hexdigest()[:8]}"
