"""The composition root: makes the parts, starts them in order, stops them in order."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable
from types import TracebackType
from typing import Self

from starlette.types import ASGIApp

from service.api_families import Serving, api_families
from service.backends.registry import BackendOptions, TfServingOptions, create_backend
from service.core.admission import Admission
from service.core.batching import Batcher, BatchLimits
from service.core.bounds import InputBounds
from service.core.call import Call
from service.core.catalog import Catalog, ModelVersion
from service.core.control import ModelControl
from service.core.engine import Engine
from service.core.ports import Backend
from service.core.replicas import ReplicatedBackend
from service.core.versions import VersionPolicy
from service.model_config_file import ModelConfigFile
from service.settings import Settings, unknown_variables
from service.telemetry import logs
from service.telemetry.metrics import Metrics
from service.transport import openapi, rest
from service.transport.limits import RequestLimits
from service.transport.operations import Operations
from service.transport.rest import RestServer
from service.transport.rpc import RpcServer
from service.transport.rpc_calls import RpcCalls

logger = logging.getLogger(__name__)

_TOLD_LIMITS = {"max_requests_in_flight", "max_streams_in_flight", "max_bytes_in_flight", "max_queue_size"}


class Runtime:
    """One server: both transports, the core and a backend. An async context manager that serves while it is open.

    Args:
        settings: All of them.

    Attributes:
        catalog: The models that there are.
        admission: The requests in flight.
        rest_port: Of the REST server, once it listens.
        grpc_port: Of the gRPC server, once it listens.

    Raises:
        BackendChoiceError: When there is no such backend.
        GatewayError: When the model configuration file makes no sense.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._draining = False
        self.catalog = Catalog()
        self.admission = Admission(
            requests=settings.max_requests_in_flight,
            streams=settings.max_streams_in_flight,
            request_bytes=settings.max_bytes_in_flight,
        )
        self._metrics = Metrics(admission=self.admission, backend=settings.backend)
        self._metrics.watch(self.catalog)
        self._metrics.tell_limits(settings.model_dump(include=_TOLD_LIMITS))
        self._config_file = ModelConfigFile(settings.model_config_file) if settings.model_config_file else None
        self._backend = self._create_backend()
        bounds = InputBounds(
            max_request_bytes=settings.max_request_bytes,
            max_batch_rows=settings.max_batch_rows,
            max_tensor_elements=settings.max_tensor_elements,
            max_json_depth=settings.max_json_depth,
            max_json_values=settings.max_json_values,
            max_name_length=settings.max_name_length,
        )
        self._control = ModelControl(
            catalog=self.catalog,
            backend=self._backend,
            allowed=settings.allow_model_control,
            root=settings.models,
            bounds=bounds,
        )
        batcher = Batcher(
            backend=self._backend,
            limits=BatchLimits(
                max_batch_size=settings.max_batch_size,
                max_batches_in_flight=settings.max_batches_in_flight,
                max_batches_per_model=settings.max_batches_per_model,
                max_queue_size=settings.max_queue_size,
            ),
            observe=self._metrics.observe_batch,
            replicas=self._backend.serving if isinstance(self._backend, ReplicatedBackend) else lambda: 1,
        )
        if isinstance(self._backend, ReplicatedBackend):
            self._metrics.replicas.watch(self._backend.replicas)
        self._metrics.watch_queues(batcher.waiting)
        self._engine = Engine(catalog=self.catalog, batcher=batcher, bounds=bounds)
        self._families = api_families(
            Serving(
                engine=self._engine,
                control=self._control,
                settings=settings,
                accepting=self._accepting,
                draining=self.admission.draining,
                observe=self._metrics.observe,
            )
        )
        self._limits = RequestLimits(settings.default_timeout, settings.max_timeout)
        self._rest = RestServer(self._rest_app(), drain_seconds=settings.drain_timeout)
        self._rpc = self._rpc_server()
        self._changed = asyncio.Event()
        self._ready = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.rest_port = 0
        self.grpc_port = 0

    def _create_backend(self) -> Backend:
        configs = None if self._config_file is None else self._config_file.read()
        for config in configs or ():
            self.catalog.set_labels(config.name, config.labels)
        options = BackendOptions(
            models=self._settings.models,
            threads=self._settings.backend_threads,
            policy=VersionPolicy.parse(self._settings.version_policy),
            poll_seconds=self._settings.poll_seconds,
            configs=None if configs is None else tuple(configs),
            tfserving=_tfserving_options(self._settings),
            observer=self._metrics.replicas,
        )
        return create_backend(self._settings.backend, options)

    def _report(self, call: Call, code: str) -> None:
        self._metrics.observe(call, code)
        logs.log_access(call, code)

    def _rest_app(self) -> ASGIApp:
        operations = Operations(
            catalog=self.catalog,
            accepting=self._accepting,
            exposition=self._metrics.exposition,
            openapi=lambda: openapi.document(self._families.openapi),
        )
        return rest.create_app(
            families=self._families.rest,
            operations=operations.routes(),
            admission=self.admission,
            limits=self._limits,
            max_request_bytes=self._settings.max_request_bytes,
            report=self._report,
        )

    def _rpc_server(self) -> RpcServer:
        return RpcServer(
            services=self._families.rpc,
            calls=RpcCalls(
                admission=self.admission,
                limits=self._limits,
                max_request_bytes=self._settings.max_request_bytes,
                report=self._report,
            ),
            max_request_bytes=self._settings.max_request_bytes,
        )

    def _accepting(self) -> bool:
        return not (self._draining or self.admission.draining.is_set())

    async def __aenter__(self) -> Self:
        """Listens and begins to load the models.

        Raises:
            OSError: When an address cannot be had.
        """
        host = self._settings.host
        socket = rest.listen(host, self._settings.rest_port)
        try:
            self.grpc_port = self._rpc.listen(host, self._settings.grpc_port)
        except OSError:
            socket.close()
            raise
        self.rest_port = socket.getsockname()[1]
        self.catalog.subscribe(self._model_changed)
        await self._rpc.start()
        self._tasks = [
            asyncio.create_task(self._rest.serve(sockets=[socket])),
            asyncio.create_task(self._follow_readiness()),
            asyncio.create_task(self._start_backend()),
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Drains: not ready, then no new requests, then those in flight, then the backend."""
        serving, *helpers = self._tasks
        self._draining = True
        await self._rpc.set_ready(False)
        await asyncio.sleep(self._settings.drain_delay)
        self.admission.refuse()
        self._rest.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.admission.idle(), self._settings.drain_timeout)
        await asyncio.gather(self._rpc.stop(), serving)
        for helper in helpers:
            helper.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)
        await self._backend.close()

    async def ready(self) -> None:
        """Waits until every model can answer."""
        await self._ready.wait()

    async def _start_backend(self) -> None:
        try:
            await self._backend.start(self.catalog)
        except Exception:
            logger.exception("the backend could not start")
        if self._config_file is not None and self._settings.poll_seconds:
            await self._config_file.follow(self._control, self._settings.poll_seconds)

    def _model_changed(self, version: ModelVersion) -> None:
        logger.info("version %d of model %s: %s", version.version, version.name, version.state)
        self._changed.set()

    async def _follow_readiness(self) -> None:
        """Keeps the health service in step with the catalog."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self.catalog.ready():
                self._ready.set()
            await self._rpc.set_ready(self._accepting() and self.catalog.ready())


def _tfserving_options(settings: Settings) -> TfServingOptions:
    names = (name.strip() for name in settings.tfserving_models.split(","))
    return TfServingOptions(
        addresses=settings.tfserving_addresses,
        models=tuple(name for name in names if name),
        ca=settings.tfserving_ca,
        certificate=settings.tfserving_certificate,
        key=settings.tfserving_key,
        server_name=settings.tfserving_server_name,
        probe_seconds=settings.probe_seconds,
        probe_timeout=settings.probe_timeout,
        max_retries=settings.max_retries,
        retry_ratio=settings.retry_ratio,
    )


async def serve(settings: Settings, announce: Callable[[Runtime], None]) -> None:
    """Serves until SIGTERM or SIGINT, then drains; a second signal ends the drain.

    Args:
        settings: All of them.
        announce: Called once, when the models are ready.

    Raises:
        BackendChoiceError: When there is no such backend.
        OSError: When an address cannot be had.
    """
    logs.configure(level=settings.log_level, style=settings.log_format)
    for name in unknown_variables(os.environ):
        logger.warning("%s is set, and is no setting", name)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()

    def stop() -> None:
        if stopping.is_set() and task is not None:
            task.cancel()
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    async with Runtime(settings) as runtime:
        logger.info("listening: REST on port %d, gRPC on port %d", runtime.rest_port, runtime.grpc_port)
        announcing = asyncio.create_task(_announce(runtime, announce))
        await stopping.wait()
        announcing.cancel()
        logger.info("stopping, with %d requests in flight", runtime.admission.in_flight["requests"])
    with contextlib.suppress(asyncio.CancelledError):
        await announcing


async def _announce(runtime: Runtime, announce: Callable[[Runtime], None]) -> None:
    await runtime.ready()
    announce(runtime)
