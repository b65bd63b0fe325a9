"""The composition root: makes the parts, starts them in order, stops them in order."""

import asyncio
import contextlib
import logging
from types import TracebackType
from typing import Any, Self

from starlette.types import ASGIApp

from service.api_families import Serving, api_families
from service.backends.registry import BackendOptions, TfServingOptions, create_backend
from service.core.admission import Admission
from service.core.batching import Batcher, BatchLimits
from service.core.bounds import InputBounds
from service.core.call import Call
from service.core.catalog import Catalog, ModelVersion
from service.core.control import NOT_ALLOWED, ModelControl
from service.core.engine import Engine
from service.core.ports import Backend
from service.core.replicas import ReplicatedBackend
from service.core.versions import VersionPolicy
from service.errors import ErrorKind, GatewayError
from service.model_config_file import ModelConfigFile
from service.settings import Settings
from service.telemetry import logs
from service.telemetry.exchange import Told, encoded
from service.telemetry.merging import families_of
from service.telemetry.metrics import Metrics
from service.transport import openapi, rest
from service.transport.limits import RequestLimits
from service.transport.operations import Operations
from service.transport.rest import RestServer
from service.transport.rpc import RpcServer
from service.transport.rpc_calls import RpcCalls
from service.workers.ports import Ports
from service.workers.worker import Worker

logger = logging.getLogger(__name__)

_TOLD_LIMITS = {"max_requests_in_flight", "max_streams_in_flight", "max_bytes_in_flight", "max_queue_size"}
_ONE_OF_SEVERAL = (
    "clients may not change what is served here: there are several workers, and a change would reach one of them; "
    "a model_config_file is followed by all"
)


class Runtime:
    """One server: both transports, the core and a backend. An async context manager that serves while it is open.

    Args:
        settings: All of them.
        worker: This process as one of several that serve together, if it is.

    Attributes:
        catalog: The models that there are.
        admission: The requests in flight.
        rest_port: Of the REST server, once it listens.
        grpc_port: Of the gRPC server, once it listens.

    Raises:
        BackendChoiceError: When there is no such backend.
        GatewayError: When the model configuration file makes no sense.
    """

    def __init__(self, settings: Settings, worker: Worker | None = None) -> None:
        self._settings = settings
        self._worker = worker
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
            allowed=settings.allow_model_control and worker is None,
            root=settings.models,
            bounds=bounds,
            refusal=NOT_ALLOWED if worker is None else _ONE_OF_SEVERAL,
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
            replicas=self._backend.serving if isinstance(self._backend, ReplicatedBackend) else lambda _: 1,
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
        self._helpers: list[asyncio.Task[None]] = []
        self.rest_port = 0
        self.grpc_port = 0

    def _create_backend(self) -> Backend:
        configs = None if self._config_file is None else self._config_file.read()
        for config in configs or ():
            self.catalog.set_labels(config.name, config.labels)
        options = BackendOptions(
            models=self._settings.models,
            threads=self._settings.backend_threads,
            tensorflow_threads=self._settings.tensorflow_threads,
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
            exposition=self._exposition,
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
            shared=self._worker is not None,
        )

    def collect(self, scraped: bool) -> list[Any]:
        """Returns this process's metrics as JSON can hold them, and forgets what is over if they will be told."""
        return self._metrics.exchanged(scraped=scraped)

    async def _exposition(self, accept: str) -> tuple[bytes, str]:
        """Returns the metrics, of all workers where there are several, and their content type."""
        if self._worker is None:
            return self._metrics.exposition(accept)
        try:
            return encoded(Told(families_of(await self._worker.scrape())), accept)
        except (ConnectionError, TimeoutError):
            raise GatewayError(ErrorKind.NOT_READY, "the metrics of the other workers cannot be had now") from None

    def _accepting(self) -> bool:
        return not (self._draining or self.admission.draining.is_set())

    def begin(self) -> None:
        """Begins to load the models, unless that has begun: before it listens, where others serve meanwhile."""
        if not self._helpers:
            self.catalog.subscribe(self._model_changed)
            self._helpers = [
                asyncio.create_task(self._follow_readiness()),
                asyncio.create_task(self._start_backend()),
            ]

    async def __aenter__(self) -> Self:
        """Listens and begins to load the models.

        Raises:
            OSError: When an address cannot be had.
        """
        host = self._settings.host
        ports = self._worker.ports if self._worker else Ports(self._settings.rest_port, self._settings.grpc_port)
        socket = rest.listen(host, ports.rest, shared=self._worker is not None)
        try:
            self.grpc_port = self._rpc.listen(host, ports.grpc)
        except OSError:
            socket.close()
            raise
        self.rest_port = socket.getsockname()[1]
        await self._rpc.start()
        self._serving = asyncio.create_task(self._rest.serve(sockets=[socket]))
        self.begin()
        self._changed.set()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Drains: not ready, then no new requests, then those in flight, then the backend."""
        self._draining = True
        await self._rpc.set_ready(False)
        await asyncio.sleep(self._settings.drain_delay)
        self.admission.refuse()
        self._rest.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.admission.idle(), self._settings.drain_timeout)
        await asyncio.gather(self._rpc.stop(), self._serving)
        for helper in self._helpers:
            helper.cancel()
        await asyncio.gather(*self._helpers, return_exceptions=True)
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
