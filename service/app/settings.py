"""All settings of the server, each documented once.

A setting comes from its flag, else from its environment variable ``TENSORGATE_*``, else from the settings file, else
from its default. They are read once, at the start; plain values flow inward from there.
"""

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.app.access_settings import AccessSettings
from service.app.drift_settings import DriftSettings
from service.app.front_settings import FrontSettings, split_address
from service.app.isolation_settings import IsolationSettings
from service.app.limits_settings import LimitsSettings
from service.app.memory_settings import MemorySettings
from service.app.parsing_settings import ParsingSettings
from service.app.request_log_settings import RequestLogSettings
from service.app.settings_loading import PREFIX, RENAMED, SettingsError, load_as, nearest
from service.app.store_settings import StoreSettings
from service.app.tfserving_settings import TfServingSettings
from service.app.tls_settings import TlsSettings
from service.app.trust_settings import TrustSettings
from service.core.batch_policy import parse_batch_sizes
from service.core.versions import VersionPolicy

__all__ = ["PREFIX", "RENAMED", "Settings", "SettingsError", "fields", "load", "nearest_variables", "unknown_variables"]

_OTHER_VARIABLES = frozenset(
    {
        *("TENSORGATE_ADDRESS", "TENSORGATE_CONFIG", "TENSORGATE_KEY"),
        *("TENSORGATE_TLS_CA", "TENSORGATE_CLIENT_CERTIFICATE", "TENSORGATE_CLIENT_KEY"),
    }
)
"""Read by the command line, not by the server."""

logger = logging.getLogger(__name__)

Seconds = Annotated[float, Field(gt=0, le=86_400)]
Port = Annotated[int, Field(ge=0, le=65_535)]


class Settings(
    AccessSettings,
    DriftSettings,
    FrontSettings,
    IsolationSettings,
    LimitsSettings,
    MemorySettings,
    ParsingSettings,
    RequestLogSettings,
    StoreSettings,
    TfServingSettings,
    TlsSettings,
    TrustSettings,
):
    """The settings of ``tensorgate serve``."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True, protected_namespaces=()
    )

    backend: str = Field(
        "savedmodel",
        description="What runs the models: savedmodel (this server), tfserving (TensorFlow Serving replicas), or "
        "module:Class of your own.",
    )
    backend_threads: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=1,
        le=1024,
        description="Runs of one model under way at a time in this process; by default one a core.",
    )
    tensorflow_threads: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=1,
        le=1024,
        description="Threads that share the work of one operation of TensorFlow in this process; by default one a "
        "core.",
    )
    version_policy: str = Field(
        "latest",
        description="Versions of each model to serve: latest, latest:N, all or specific:N,N,...; the newest answers "
        "requests that name none.",
    )
    model_config_file: Path | None = Field(
        None,
        description="TensorFlow Serving's model_config_list, in place of the models folder and the version policy: "
        "models with folders, policies and labels of their own; followed like the folders.",
    )
    allow_model_control: bool = Field(
        False,
        description="Whether clients may load and unload models and move labels; folders below the models folder only.",
    )
    tensor_content: bool = Field(
        False,
        description="Whether TensorFlow Serving's gRPC API answers numbers as bytes (tensor_content), and not in the "
        "field of their dtype (float_val); a client's x-tensorgate-tensor-content goes before.",
    )
    tfserving_metrics: bool = Field(
        False, description="Whether requests are counted by TensorFlow Serving's names too, for dashboards of it."
    )
    ready_when: Literal["any", "all"] = Field(
        "any", description="Whether it is ready, after the first fill, while any model can answer, or all can."
    )
    poll_seconds: float = Field(
        2.0, ge=0, le=86_400, description="Seconds between looks for versions that are new or gone; 0 for never."
    )
    host: str = Field(
        "127.0.0.1", description="Address to listen on; 0.0.0.0 for all, which needs TLS, access control or insecure."
    )
    rest_port: Port = Field(8000, description="Port of REST, the docs and /metrics; 0 for any free one.")
    grpc_port: Port = Field(8001, description="Port of gRPC; 0 for any free one.")
    grpc_server: Literal["h2corn", "grpcio"] = Field(
        "h2corn",
        description="Server of the gRPC port: h2corn (fast; answers REST and gRPC-Web as well) or grpcio (the official "
        "one; for clients that cancel hundreds of calls a second on one connection).",
    )
    cors_origins: str = Field(
        "",
        description="Origins whose pages may call this server from a browser, with commas between them; * for any, "
        "none by default.",
    )
    stall_timeout: Seconds = Field(
        60.0,
        description="Seconds after which a client is let go that does not read its answers; too low cuts off slow "
        "networks, too high keeps memory for clients that hang.",
    )
    max_request_bytes: int = Field(
        32 * 1024 * 1024, ge=1024, lt=2**31, description="Longest request body or gRPC message."
    )
    max_request_rows: int = Field(8192, ge=1, description="Most rows in one request: images, series, examples.")
    max_batch_size: int = Field(
        128,
        ge=1,
        description="Most rows of one run: requests that wait for the same model are merged, larger ones run in parts; "
        "1 for neither.",
    )
    batching: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Whether requests are merged and large ones split: where a trial shows that rows do not depend on "
        "each other (auto), wherever first dimensions are free (on), or never (off); the model_config_file goes first.",
    )
    allowed_batch_sizes: str = Field(
        "", description="Rows that a merged run may have, with commas between; fewer are filled up. By default any."
    )
    max_batches_in_flight: int = Field(
        default_factory=lambda values: 4 if values.get("backend") == "tfserving" else 2,
        ge=1,
        le=1024,
        description="Runs under way at a time, of all models; with tfserving, on each replica, and 4 by default.",
    )
    max_batches_per_model: int = Field(
        default_factory=lambda values: 2 if values.get("backend") == "tfserving" else 1,
        ge=1,
        le=1024,
        description="Runs under way at a time of requests that could have been merged; with tfserving, on each "
        "replica, and 2 by default, which keeps it busy between two runs; batches are smaller then.",
    )
    max_queue_size: int = Field(
        256, ge=1, description="Requests that may wait for one model; more are refused at once, to be tried again."
    )
    max_tensor_elements: int = Field(
        2**26, ge=1, description="Most elements of one tensor, whether they came or its shape only claims them."
    )
    max_json_values: int = Field(
        2_000_000,
        ge=16,
        description="Most values of a JSON body, and most lists; larger tensors travel over gRPC or as binary data.",
    )
    max_json_depth: int = Field(32, ge=4, le=512, description="Most lists and objects within each other in JSON.")
    max_name_length: int = Field(256, ge=1, description="Most characters of a model's, label's or tensor's name.")
    max_image_pixels: int = Field(
        50_000_000, ge=1, description="Most pixels that the image files of one request may unpack to, together."
    )
    max_requests_in_flight: int = Field(
        512, ge=1, description="Requests handled at a time; more are refused at once, to be tried again."
    )
    max_streams_in_flight: int = Field(256, ge=1, description="Streams open at a time; more are refused at once.")
    max_bytes_in_flight: int = Field(
        512 * 1024 * 1024, ge=1024, description="Bytes of request bodies and messages that are held at a time."
    )
    default_timeout: Seconds = Field(30.0, description="Seconds for a request that states no timeout.")
    max_timeout: Seconds = Field(300.0, description="Seconds for a request at most, whatever it states.")
    stream_window: int = Field(
        64, ge=1, le=65_536, description="Messages of one stream that are in progress at a time."
    )
    stream_idle_timeout: Seconds = Field(
        600.0, description="Seconds after which a stream ends on which no message comes."
    )
    drain_delay: float = Field(
        0.0,
        ge=0,
        le=3600,
        description="Seconds to go on serving, not ready, after SIGTERM: for load balancers to notice.",
    )
    drain_timeout: Seconds = Field(20.0, description="Seconds that requests in flight have to finish in after that.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level to log.")
    access_log: Literal["all", "failed", "none"] = Field(
        "failed",
        description="Which requests are logged, a line each: all, those that failed, or none; all costs throughput.",
    )
    slow_request_seconds: float = Field(
        0.0,
        ge=0,
        le=86_400,
        description="Seconds beyond which a request that succeeded has a line in the log too, though access_log is "
        "failed; 0 for never.",
    )
    log_format: Literal["json", "text"] = Field("json", description="One JSON object a line, or text for people.")

    @model_validator(mode="after")
    def _can_keep_its_models(self) -> Self:
        self.fitting_memory(self.backend)
        return self.fitting_store(self.backend, self.model_config_file)

    @model_validator(mode="after")
    def _can_isolate(self) -> Self:
        if self.isolated and self.backend == "tfserving":
            raise ValueError("isolated with the backend savedmodel alone")
        return self

    @field_validator("version_policy")
    @classmethod
    def _is_policy(cls, text: str) -> str:
        VersionPolicy.parse(text)
        return text

    @field_validator("allowed_batch_sizes")
    @classmethod
    def _are_sizes(cls, text: str) -> str:
        parse_batch_sizes(text)
        return text

    @model_validator(mode="after")
    def _has_a_grpc_server_for_its_tls(self) -> Self:
        return self.fitting(self.grpc_server)

    @model_validator(mode="after")
    def _is_closed_or_meant_to_be_open(self) -> Self:
        admin = split_address(self.admin_address)
        self.check_exposure([self.host, *(() if admin is None else admin[:1])], is_guarded=self._is_guarded)
        if admin is not None and self.tls_certificate is not None and self.tls_min_version == "1.3":
            raise ValueError("tls_min_version 1.2, or no admin_address: its server, h2corn, always speaks TLS 1.2 too")
        return self

    @property
    def _is_guarded(self) -> bool:
        """Whether not simply anybody who reaches a port is answered, in words that all on the way can read."""
        return self.has_access_control or self.tls_certificate is not None


def fields() -> dict[str, FieldInfo]:
    """Returns all settings by name, in the order in which they are shown: the general ones, then those of each part."""
    parts = {name for part in Settings.__bases__ if issubclass(part, BaseSettings) for name in part.model_fields}
    parts.remove("models")
    return dict(sorted(Settings.model_fields.items(), key=lambda named: named[0] in parts))


def load(flags: Mapping[str, Any], file: Path | None = None, warn: Callable[[str], None] = logger.warning) -> Settings:
    """Reads the settings.

    Args:
        flags: Values from the command line, by name of the setting.
        file: A TOML file with settings by name.
        warn: Takes what is to be said about settings that are read nevertheless.

    Raises:
        SettingsError: When the file cannot be read, or a setting is wrong or unknown.
    """
    return load_as(Settings, flags, file, warn)


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Returns the names of variables that look like settings and are none: most likely misspelt."""
    known = _VARIABLES | {PREFIX + name.upper() for name in RENAMED}
    return sorted(
        name
        for name in environment
        if name.startswith(PREFIX) and name not in known and not name.startswith(PREFIX + "TEST_")
    )


def nearest_variables(name: str) -> str:
    """Returns what to say of the variables that are most like one that is none; nothing where none is."""
    return nearest(name, sorted(_VARIABLES), prefix=PREFIX)


_VARIABLES = {PREFIX + name.upper() for name in Settings.model_fields} | _OTHER_VARIABLES
