"""Composition: makes the parts of one server out of its settings, each with what it needs."""

from collections.abc import Awaitable
from dataclasses import dataclass
from functools import partial

from service.app.access import FollowedAccess, followed_access
from service.app.elsewhere import Elsewhere
from service.app.followed_file import FollowedFile
from service.app.followed_store import FollowedStore
from service.app.limits_file import parse_limits
from service.app.model_config_file import ModelConfigFile
from service.app.settings import Settings
from service.backends.registry import BackendOptions, Isolation, MemoryBound, TfServingOptions, create_backend
from service.codecs.image_requests import ImageRequests
from service.core.admission import Admission, ClientBounds
from service.core.batch_policy import BatchMode, BatchPolicies, BatchPolicy, parse_batch_sizes
from service.core.batching import Batcher, BatchLimits
from service.core.bounds import InputBounds
from service.core.catalog import Catalog
from service.core.control import ModelControl
from service.core.deadline import Deadline
from service.core.drift import DriftMonitor
from service.core.engine import Engine
from service.core.model_config import ModelConfig
from service.core.model_version import ModelVersion
from service.core.ports import Backend
from service.core.rate_limits import RateLimits
from service.core.replicas import ReplicatedBackend
from service.core.request import InferenceRequest
from service.core.retry_budget import RetryBudget
from service.core.rollouts import Rollouts
from service.core.shadow import Outputs, Shadows
from service.core.versions import VersionPolicy
from service.core.visibility import Models
from service.errors import OK
from service.protocols.tfserving.errors import CODES
from service.recording.log import LogOptions, RequestLog
from service.telemetry.access import AccessMetrics
from service.telemetry.isolation import IsolationMetrics
from service.telemetry.memory import MemoryMetrics
from service.telemetry.memory_limit import report_memory_limit
from service.telemetry.metrics import Metrics
from service.telemetry.rate_limits import RateLimitMetrics
from service.telemetry.request_log import RequestLogMetrics
from service.telemetry.shadow import ShadowMetrics
from service.telemetry.stores import StoreMetrics
from service.telemetry.traffic import TrafficMetrics

_LIMITS = {"max_requests_in_flight", "max_streams_in_flight", "max_bytes_in_flight", "max_queue_size"}
_BOUND = "max_loaded_bytes"


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The parts of one server.

    Attributes:
        models: Those that each call may see and use, of the catalog's.
        access: Who may ask, if that is controlled.
        config_file: What the operator says of the models, if it is in a file.
        limits_file: What each client may ask of each model, if that is in a file.
        rollouts: Those that the operator declares.
        shadows: Have copies of requests answered by other versions.
        elsewhere: Those of them that this server has not.
        request_log: Keeps a share of the requests, if that is wanted.
        store: Where the models lie, if that is no folder.
    """

    settings: Settings
    catalog: Catalog
    models: Models
    access: FollowedAccess | None
    admission: Admission
    metrics: Metrics
    bounds: InputBounds
    backend: Backend
    control: ModelControl
    engine: Engine
    config_file: ModelConfigFile | None
    limits_file: FollowedFile | None
    rollouts: Rollouts
    shadows: Shadows
    elsewhere: Elsewhere
    request_log: RequestLog | None
    store: FollowedStore | None

    @classmethod
    def of(cls, settings: Settings) -> "Dependencies":
        """Makes them.

        Raises:
            BackendChoiceError: When there is no such backend.
            GatewayError: When the model configuration file, the access file or the limits file makes no sense.
        """
        catalog = Catalog(needs_all=settings.ready_when == "all")
        models = Models(catalog, controlled=settings.has_access_control)
        admission = Admission(
            requests=settings.max_requests_in_flight,
            streams=settings.max_streams_in_flight,
            request_bytes=settings.max_bytes_in_flight,
            clients=ClientBounds(share=settings.max_client_share, whole_request=settings.max_request_bytes),
        )
        metrics = Metrics(admission=admission, backend=settings.backend)
        metrics.watch(catalog)
        if settings.tfserving_metrics:
            metrics.use_names_of_tensorflow_serving({OK: "OK", **{kind: code.name for kind, code in CODES.items()}})
        metrics.report_limits(settings.model_dump(include=_LIMITS | ({_BOUND} if settings.max_loaded_bytes else set())))
        report_memory_limit(metrics.registry)
        config_file = ModelConfigFile(settings.model_config_file) if settings.model_config_file else None
        if config_file is not None:
            metrics.report_config_file(lambda: config_file.in_effect)
        drift = DriftMonitor(share=settings.drift_share, half_life=settings.drift_half_life)
        metrics.watch_drift(drift.report)
        rollouts = Rollouts(catalog, drift)
        metrics.registry.register(TrafficMetrics(catalog, rollouts))
        configs = None if config_file is None else tuple(config_file.read())
        rollouts.configure(catalog, configs or ())
        budget = RetryBudget(ratio=settings.retry_ratio)
        backend = _backend(settings, configs, metrics, budget, _memory(settings, metrics, catalog))
        bounds = InputBounds(
            max_request_bytes=settings.max_request_bytes,
            max_request_rows=settings.max_request_rows,
            max_tensor_elements=settings.max_tensor_elements,
            max_json_depth=settings.max_json_depth,
            max_json_values=settings.max_json_values,
            max_extended_json_bytes=settings.max_extended_json_bytes,
            max_message_fields=settings.max_message_fields,
            max_name_length=settings.max_name_length,
        )
        control = ModelControl(
            catalog=catalog,
            backend=backend,
            allowed=settings.allow_model_control,
            root=settings.models_folder,
            bounds=bounds,
            rollouts=rollouts,
        )
        batcher = _batcher(settings, backend, metrics, catalog, budget)
        request_log = _request_log(settings, metrics)
        limits, limits_file = _limits(settings, metrics, catalog)
        engine = Engine(
            models=models,
            batcher=batcher,
            bounds=bounds,
            recorder=request_log,
            drift=drift,
            limits=limits,
        )
        shadows, elsewhere = _shadows(settings, catalog, backend, batcher)
        engine.mirror = shadows.offer
        rollouts.compared = shadows.compared
        metrics.registry.register(ShadowMetrics(catalog, shadows))
        engine.check_files = ImageRequests(settings.max_image_pixels).check
        return cls(
            settings=settings,
            catalog=catalog,
            models=models,
            access=followed_access(settings, AccessMetrics(metrics.registry)),
            admission=admission,
            metrics=metrics,
            bounds=bounds,
            backend=backend,
            control=control,
            engine=engine,
            config_file=config_file,
            limits_file=limits_file,
            rollouts=rollouts,
            shadows=shadows,
            elsewhere=elsewhere,
            request_log=request_log,
            store=_store(settings, catalog, backend, metrics),
        )


def _backend(
    settings: Settings,
    configs: tuple[ModelConfig, ...] | None,
    metrics: Metrics,
    budget: RetryBudget,
    memory: MemoryBound | None,
) -> Backend:
    isolation = None
    if settings.isolated:
        isolation = Isolation(settings.isolated_silence, IsolationMetrics(metrics.registry).restarted)
    options = BackendOptions(
        models=settings.models_folder,
        threads=settings.backend_threads,
        tensorflow_threads=settings.tensorflow_threads,
        batching=_batch_policy(settings),
        retry_budget=budget,
        policy=VersionPolicy.parse(settings.version_policy),
        poll_seconds=settings.poll_seconds,
        configs=configs,
        isolation=isolation,
        memory=memory,
        trusted_hashes=settings.trusted_hashes,
        trusted_key=settings.trusted_key,
        tfserving=_tfserving(settings),
        observer=metrics.replicas,
    )
    return create_backend(settings.backend, options)


def _memory(settings: Settings, metrics: Metrics, catalog: Catalog) -> MemoryBound | None:
    if not settings.max_loaded_bytes:
        return None
    return MemoryBound(
        max_bytes=settings.max_loaded_bytes,
        wait_seconds=settings.max_load_wait,
        most_waiting=settings.max_queue_size,
        observer=MemoryMetrics(metrics.registry, catalog.__contains__),
    )


def _tfserving(settings: Settings) -> TfServingOptions:
    return TfServingOptions(
        addresses=settings.tfserving_addresses,
        models=tuple(_names(settings.tfserving_models)),
        ca=settings.tfserving_ca,
        certificate=settings.tfserving_certificate,
        key=settings.tfserving_key,
        server_name=settings.tfserving_server_name,
        probe_seconds=settings.probe_seconds,
        probe_timeout=settings.probe_timeout,
        max_retries=settings.max_retries,
    )


def _shadows(settings: Settings, catalog: Catalog, backend: Backend, batcher: Batcher) -> tuple[Shadows, Elsewhere]:
    def run(version: ModelVersion, request: InferenceRequest, deadline: Deadline) -> Awaitable[Outputs]:
        return backend.run(version, request.signature, request.inputs, deadline)

    elsewhere = Elsewhere(_tfserving(settings))
    return Shadows(catalog, run=run, elsewhere=elsewhere.run, is_idle=lambda: batcher.is_idle), elsewhere


def _batcher(settings: Settings, backend: Backend, metrics: Metrics, catalog: Catalog, budget: RetryBudget) -> Batcher:
    limits = BatchLimits(
        max_batches_in_flight=settings.max_batches_in_flight,
        max_batches_per_model=settings.max_batches_per_model,
        max_client_share=settings.max_client_share,
    )
    policies = BatchPolicies(_batch_policy(settings), catalog.options)
    make = partial(
        Batcher, backend=backend, limits=limits, policies=policies, budget=budget, observe=metrics.observe_batch
    )
    if isinstance(backend, ReplicatedBackend):
        metrics.replicas.watch(backend.replicas)
        batcher = make(replicas=backend.serving)
    else:
        batcher = make()
    metrics.watch_batching(batcher)
    return batcher


def _limits(
    settings: Settings, metrics: Metrics, catalog: Catalog
) -> tuple[RateLimits, FollowedFile] | tuple[None, None]:
    if settings.limits_file is None:
        return None, None
    limits = RateLimits(observe=RateLimitMetrics(metrics.registry, catalog.__contains__).refused)
    file = FollowedFile("limits_file", settings.limits_file, lambda text: limits.become(parse_limits(text)))
    file.read()
    return limits, file


def _store(settings: Settings, catalog: Catalog, backend: Backend, metrics: Metrics) -> FollowedStore | None:
    if settings.store is None:
        return None
    count = StoreMetrics(metrics.registry)
    return FollowedStore(settings.store, settings, catalog=catalog, backend=backend, metrics=count)


def _request_log(settings: Settings, metrics: Metrics) -> RequestLog | None:
    if settings.request_log is None:
        return None
    options = LogOptions(
        folder=settings.request_log,
        share=settings.request_log_share,
        max_bytes=settings.request_log_max_bytes,
        max_files=settings.request_log_files,
        format=settings.request_log_format,
        redact=frozenset(_names(settings.request_log_redact)),
    )
    return RequestLog(options, RequestLogMetrics(metrics.registry))


def _names(text: str) -> list[str]:
    """Returns the names that stand in a setting with commas between them."""
    return [name for part in text.split(",") if (name := part.strip())]


def _batch_policy(settings: Settings) -> BatchPolicy:
    return BatchPolicy(
        mode=BatchMode(settings.batching),
        max_batch_size=settings.max_batch_size,
        allowed_batch_sizes=parse_batch_sizes(settings.allowed_batch_sizes),
        max_queue_size=settings.max_queue_size,
    )
