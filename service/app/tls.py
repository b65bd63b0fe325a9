"""TLS of a server: its files are read at the start, and polled for a renewal while it runs."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from prometheus_client import CollectorRegistry

from service.app.settings import Settings
from service.errors import GatewayError
from service.telemetry.certificates import report_expiry
from service.transport.tls import TlsFiles, TlsMaterial

logger = logging.getLogger(__name__)


class Renewing(Protocol):
    """A server that can change its certificate while it runs."""

    async def renew(self, tls: TlsMaterial) -> None:
        """Uses this for all connections from now on.

        Raises:
            GatewayError: When it cannot be used; then nothing has changed.
        """


class ServerTls:
    """The certificate, the key and the authorities of a server, and their renewal.

    A renewal takes effect on all servers or on none.

    Args:
        files: That they are read from.
        poll_seconds: Interval at which the files are polled; 0 for on request only.
        hsts_seconds: How long browsers are to use TLS only (``Strict-Transport-Security``); 0 to send no such header.

    Attributes:
        material: The last contents of the files that all servers could use.
        headers: To be added to all HTTP responses.

    Raises:
        GatewayError: MALFORMED, when they cannot be used; it names the setting and the file.
    """

    def __init__(self, files: TlsFiles, *, poll_seconds: float, hsts_seconds: int) -> None:
        self._files = files
        self._poll_seconds = poll_seconds
        self._contents = files.contents()
        self.material = files.material(self._contents)
        self.headers: Sequence[tuple[bytes, bytes]] = ()
        if hsts_seconds:
            self.headers = ((b"strict-transport-security", b"max-age=%d" % hsts_seconds),)
        self._servers: Sequence[Renewing] = ()
        self._refused: tuple[bytes, bytes, bytes | None] | None = None  # contents that a server could not use
        self._trouble = ""
        self._told_expired: TlsMaterial | None = None
        self._looking = asyncio.Lock()
        self._warn_if_expired()

    @classmethod
    def of(cls, settings: Settings, registry: CollectorRegistry) -> "ServerTls | None":
        """Returns what the settings say; ``None`` where there is to be no TLS.

        Args:
            settings: All of them.
            registry: Of the server's metrics, for one of the certificate.

        Raises:
            GatewayError: Likewise.
        """
        if settings.tls_certificate is None or settings.tls_key is None:
            return None
        files = TlsFiles(
            certificate=settings.tls_certificate,
            key=settings.tls_key,
            client_ca=settings.tls_client_ca,
            needs_certificate=settings.tls_client_certificates == "required",
            newest_only=settings.tls_min_version == "1.3",
        )
        tls = cls(files, poll_seconds=settings.poll_seconds, hsts_seconds=settings.tls_hsts_seconds)
        report_expiry(registry, tls.expiry)
        return tls

    def expiry(self) -> float:
        """Returns when the certificate that is shown expires, in seconds since 1970."""
        return self.material.expires.timestamp()

    async def follow(self, servers: Iterable[Renewing]) -> None:
        """Polls the files, and renews the TLS of these servers when they have changed.

        Files that cannot be used change nothing, and are reported once.
        """
        self._servers = tuple(servers)
        while self._poll_seconds:
            await asyncio.sleep(self._poll_seconds)
            await self._look()

    async def look(self) -> None:
        """Looks at the files at once; what was refused is tried again, and what is wrong is reported again."""
        self._refused, self._trouble = None, ""
        await self._look()

    async def _look(self) -> None:
        async with self._looking:
            try:
                await self._follow_files()
            except GatewayError as error:
                if error.message != self._trouble:
                    until = _shown(self.material.expires)
                    logger.error("the certificate is not renewed, that until %s stays: %s", until, error.message)
                self._trouble = error.message
            except Exception:
                logger.exception("the files of TLS could not be followed")
            self._warn_if_expired()

    async def _follow_files(self) -> None:
        """Renews all servers when the files have changed, but for contents that were refused before."""
        contents = await asyncio.to_thread(self._files.contents)
        if contents == self._refused:
            return
        if contents != self._contents:
            material = await asyncio.to_thread(self._files.material, contents)
            try:
                await self._renew(material)
            except GatewayError:
                self._refused = contents
                raise
            self._contents, self.material = contents, material
            logger.info("the certificate was renewed: it is valid until %s", _shown(material.expires))
        self._refused, self._trouble = None, ""

    async def _renew(self, material: TlsMaterial) -> None:
        """Renews all servers, or none: when one fails, those before it get back what they had."""
        renewed: list[Renewing] = []
        try:
            for server in self._servers:
                await server.renew(material)
                renewed.append(server)
        except Exception:
            for server in renewed:
                try:
                    await server.renew(self.material)
                except Exception:
                    logger.exception("a server could not go back to its former certificate")
            raise

    def _warn_if_expired(self) -> None:
        if self.material.expires < datetime.now(UTC) and self._told_expired is not self.material:
            self._told_expired = self.material
            path, until = self._files.certificate, _shown(self.material.expires)
            logger.warning("the certificate in %s expired on %s: clients will refuse it", path, until)


def _shown(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
