"""The life of one server: it starts, becomes ready, drains, and stops."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from socket import socket
from types import TracebackType
from typing import Self

from service.app.apis import apis
from service.app.applications import Applications
from service.app.call_reports import CallReports
from service.app.dependencies import Dependencies
from service.app.front_settings import split_address
from service.app.grpc_servers import admin_server, grpc_server
from service.app.rollout_follower import RolloutFollower
from service.app.settings import Settings
from service.app.tls import ServerTls
from service.app.tracing import tracer
from service.core.admission import Admission
from service.core.catalog import Catalog
from service.core.model_version import ModelVersion, State
from service.core.ports import FollowingBackend
from service.errors import GatewayError
from service.transport.call import Calls
from service.transport.grpc.health import Health
from service.transport.grpc.reflection import reflection_methods
from service.transport.rest.server import RestServer
from service.transport.sockets import listen
from service.transport.streams import OrderedStreams
from service.transport.weighing import Weighing

logger = logging.getLogger(__name__)

_LOG_SECONDS = 5.0
"""That a slow disk has to take what is left of the request log."""


class Server:
    """One server, all its ports. An async context manager that serves while it is open.

    Args:
        settings: All of them.

    Attributes:
        rest_port: Of REST, once it listens.
        grpc_port: Of gRPC, once it listens.
        admin_port: Of the admin address, where there is one, once it listens.

    Raises:
        BackendChoiceError: When there is no such backend.
        GatewayError: When the model configuration file, the access file or the limits file makes no sense, or a file of
            TLS cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._parts = Dependencies.of(settings)
        self._draining = False
        self._apis = apis(self._parts, self._accepting)
        self._tracer = tracer()
        reports = CallReports(settings, self._parts.metrics, self._parts.rollouts, self._tracer)
        calls = Calls(
            self.admission,
            settings.default_timeout,
            settings.max_timeout,
            reports.call,
            tracer=self._tracer,
            authenticator=None if self._parts.access is None else self._parts.access.authenticator,
            by_address=settings.clients_by_address,
        )
        weighing = Weighing(settings.max_message_fields)
        services = [service for api in self._apis for service in api.grpc]
        self._health = Health(["", *(name for service in services for name in (service.name, *service.health_names))])
        self._tls = ServerTls.of(settings, self._parts.metrics.registry)
        applications = Applications(
            parts=self._parts,
            apis=self._apis,
            operations=self._health.methods()
            | reflection_methods((service.name, service.descriptor) for service in services),
            calls=calls,
            streams=OrderedStreams(
                window=settings.stream_window,
                timeout=settings.default_timeout,
                idle_timeout=settings.stream_idle_timeout,
                draining=self.admission.draining,
                report=reports.message,
                tracer=self._tracer,
                weighing=weighing,
            ),
            accepting=self._accepting,
            weighing=weighing,
            headers=() if self._tls is None else self._tls.headers,
        )
        tls = None if self._tls is None else self._tls.material
        admin = split_address(settings.admin_address)
        answered = applications.at(settings.host, for_admin=admin is None)
        self._rest = RestServer(
            answered.app, drain_seconds=settings.drain_timeout, stall_timeout=settings.stall_timeout, tls=tls
        )
        self._grpc = [grpc_server(settings, answered, tls)]
        if admin is not None:
            self._grpc.append(admin_server(settings, applications.at(admin[0], for_admin=True), tls))
        self._changed = asyncio.Event()
        self._ready = asyncio.Event()
        self._started = asyncio.Event()
        self._helpers: list[asyncio.Task[None]] = []
        self.rest_port = 0
        self.grpc_port = 0
        self.admin_port = 0

    @property
    def catalog(self) -> Catalog:
        """The models that there are."""
        return self._parts.catalog

    @property
    def admission(self) -> Admission:
        """The calls in flight."""
        return self._parts.admission

    def _accepting(self) -> bool:
        return not (self._draining or self.admission.draining.is_set())

    async def __aenter__(self) -> Self:
        """Listens and begins to load the models.

        Raises:
            OSError: When an address cannot be had.
            GatewayError: When the folder of the request log cannot be had, or the certificate cannot be used.
        """
        if (log := self._parts.request_log) is not None:
            log.start()
        try:
            listening = self._listen()
            for server in self._grpc:
                await server.start()
        except (OSError, GatewayError):
            if log is not None:
                log.close(_LOG_SECONDS)
            raise
        self.rest_port = listening.getsockname()[1]
        self._serving = asyncio.create_task(self._rest.serve(sockets=[listening]))
        self.catalog.subscribe(self._model_changed)
        self._helpers = [asyncio.create_task(self._follow_readiness()), asyncio.create_task(self._start_backend())]
        if (access := self._parts.access) is not None:
            self._helpers.append(asyncio.create_task(access.follow()))
        if (limits := self._parts.limits_file) is not None and self._settings.poll_seconds:
            self._helpers.append(asyncio.create_task(limits.follow(self._settings.poll_seconds)))
        if (store := self._parts.store) is not None:
            self._helpers.append(asyncio.create_task(store.follow(self._settings.models_poll_seconds)))
        file = self._parts.config_file
        rollouts = RolloutFollower(self._parts.rollouts, None if file is None else file.path)
        self._helpers += [asyncio.create_task(rollouts.follow()), asyncio.create_task(self._parts.shadows.work())]
        if self._tls is not None:
            self._helpers.append(asyncio.create_task(self._tls.follow((*self._grpc, self._rest))))
        self._changed.set()
        return self

    def _listen(self) -> socket:
        """Takes all addresses; returns the socket of REST."""
        settings = self._settings
        rest = listen(settings.host, settings.rest_port, "REST", stall_timeout=settings.stall_timeout)
        try:
            self.grpc_port = self._grpc[0].listen(settings.host, settings.grpc_port)
            if (admin := split_address(settings.admin_address)) is not None:
                self.admin_port = self._grpc[1].listen(*admin)
        except OSError:
            rest.close()
            raise
        return rest

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Drains: not ready, then no new requests, then those in flight, then the backend, then the last spans."""
        self._draining = True
        self._health.set_ready(False)
        await asyncio.sleep(self._settings.drain_delay)
        self.admission.refuse()
        self._rest.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.admission.idle(), self._settings.drain_timeout)
        self._health.close()
        await asyncio.gather(*(server.stop() for server in self._grpc), self._serving)
        for helper in self._helpers:
            helper.cancel()
        await asyncio.gather(*self._helpers, return_exceptions=True)
        if (store := self._parts.store) is not None:
            await store.close()
        await self._parts.backend.close()
        await self._parts.elsewhere.close()
        if (log := self._parts.request_log) is not None:
            await asyncio.to_thread(log.close, _LOG_SECONDS)
        if self._tracer is not None:
            await self._tracer.close()

    async def ready(self) -> None:
        """Waits until the server is ready: see `Catalog.ready`."""
        await self._ready.wait()

    async def look(self) -> None:
        """Looks at once at what is followed, the operator's files and the models folder, and logs the outcome.

        Settings are not read again.
        """
        await self._started.wait()
        parts = self._parts
        looks: dict[str, Callable[[], Awaitable[None]]] = {}
        if parts.access is not None:
            looks[str(parts.access.path)] = parts.access.look
        if parts.limits_file is not None:
            looks[str(parts.limits_file.path)] = parts.limits_file.look
        if self._tls is not None:
            looks["the certificate"] = self._tls.look
        if parts.config_file is not None:
            looks[str(parts.config_file.path)] = partial(parts.config_file.look, parts.control)
        if parts.store is not None:
            looks[parts.store.url] = parts.store.look
        if isinstance(parts.backend, FollowingBackend):
            where = "the models folder" if parts.config_file is None else "the folders of its models"
            looks[where] = parts.backend.look
        what = f"looking at {' and '.join(looks)}" if looks else "there is nothing to look at"
        logger.info("%s; a change of a setting needs a restart", what)
        before = self._states()
        for look in looks.values():
            await look()
        logger.info("what is served %s", "is as it was" if self._states() == before else "has changed")

    def _states(self) -> set[tuple[str, int, State]]:
        catalog = self.catalog
        return {(name, entry.version, entry.state) for name in catalog.names() for entry in catalog.versions(name)}

    async def _start_backend(self) -> None:
        parts = self._parts
        try:
            if parts.store is not None:
                await parts.store.before_start()
            await parts.backend.start(parts.catalog)
        except Exception:
            logger.exception("the backend could not start")
        else:
            parts.catalog.fill_ended()
            self._changed.set()
        self._started.set()
        if parts.store is not None:
            parts.store.backend_started()
        if parts.config_file is not None and self._settings.poll_seconds:
            await parts.config_file.follow(parts.control, self._settings.poll_seconds)

    def _model_changed(self, version: ModelVersion) -> None:
        logger.info("version %d of model %s: %s", version.version, version.name, version.state)
        if version.state is State.AVAILABLE:
            if version.doubt:
                text = "model %s is served without the typed API, which needs another form of it: %s"
                logger.warning(text, version.name, version.doubt)
            for signature, reason in version.unbatched.items():
                text = "requests for the signature %s of model %s are neither merged nor split: %s"
                logger.info(text, signature, version.name, reason)
            for signature, reason in version.unservable.items():
                text = "the signature %s of version %d of model %s cannot be served: %s"
                logger.warning(text, signature, version.version, version.name, reason)
        self._changed.set()

    async def _follow_readiness(self) -> None:
        """Keeps the health service in step with the catalog."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self.catalog.ready():
                self._ready.set()
            self._health.set_ready(self._accepting() and self.catalog.ready())
