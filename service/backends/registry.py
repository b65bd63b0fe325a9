"""Backends by name, imported only when chosen: so that tensorflow is loaded by none but the one that needs it."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, cast

from service.core.batch_policy import BatchPolicy
from service.core.model_config import ModelConfig
from service.core.ports import Backend
from service.core.replicas import NullObserver, ReplicaObserver
from service.core.retry_budget import RetryBudget
from service.core.versions import VersionPolicy
from service.errors import not_installed

BACKENDS = {
    "savedmodel": "service.backends.savedmodel.backend:SavedModelBackend",
    "tfserving": "service.backends.tfserving.backend:TfServingBackend",
}
_LOADING = ("savedmodel",)
"""Those that load versions themselves, and look at who made them."""


class BackendChoiceError(Exception):
    """There is no such backend, or what it needs is not installed."""


@dataclass(frozen=True, slots=True)
class TfServingOptions:
    """Where TensorFlow Serving is, and how it is to be spoken to.

    Attributes:
        addresses: ``host:port``, ``dns:///name:port`` or ``unix:/path``, with commas between them.
        models: Names of the models; when empty, those of the configuration or of the models folder.
        ca: PEM file of who signed the replicas' certificates; without it, there is no TLS.
        certificate: PEM file of this client, for mutual TLS; together with its key.
        key: Likewise.
        server_name: What the replicas' certificates say, where that is not their address.
        probe_seconds: How often each replica is looked at.
        probe_timeout: Seconds in which it has to answer then.
        max_retries: How often one run may be tried again.
    """

    addresses: str = "127.0.0.1:8500"
    models: tuple[str, ...] = ()
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    server_name: str = ""
    probe_seconds: float = 1.0
    probe_timeout: float = 1.0
    max_retries: int = 2


@dataclass(frozen=True, slots=True)
class Isolation:
    """How a helper process is watched that runs the models.

    Attributes:
        silence: Seconds without a sign of life, after which it is ended.
        restarted: Called each time that it has ended, with the reason: ``ended``, or ``silent``.
    """

    silence: float
    restarted: Callable[[str], None]


class MemoryObserver(Protocol):
    """Is notified of what becomes of memory."""

    def taken(self, size: int) -> None:
        """Takes how many bytes the loaded versions take now."""

    def evicted(self, model: str) -> None:
        """Takes note that a version of a model leaves memory to make room."""


@dataclass(frozen=True, slots=True)
class MemoryBound:
    """How much memory loaded versions may take; those that were not asked for the longest leave it for others.

    Attributes:
        max_bytes: Of all of them.
        wait_seconds: That a request waits at most for its version to be loaded, and a version for room.
        most_waiting: Requests that may wait for one version.
        observer: Is notified.
    """

    max_bytes: int
    wait_seconds: float
    most_waiting: int
    observer: MemoryObserver


@dataclass(frozen=True, slots=True)
class BackendOptions:
    """What a backend may need to know.

    Attributes:
        models: Folder of the models: ``<name>/<version>/saved_model.pb``.
        threads: How many runs may be under way at a time in this process.
        tensorflow_threads: How many threads share the work of one operation of TensorFlow.
        batching: How requests are merged, where nothing else is said of a model.
        retry_budget: Of runs that are repeated.
        policy: Which versions of each model to serve.
        poll_seconds: How often to look for changes of the folder; 0 for never.
        configs: The models to serve, in place of all that the folder holds.
        isolation: Of models that are not to run in this process.
        memory: Of the versions that are loaded, where that is bounded.
        trusted_hashes: A list of all files that may be loaded.
        trusted_key: Public key of minisign, of who must have signed each version.
        tfserving: For the backend that forwards to TensorFlow Serving.
        observer: Is notified of what happens to replicas.
    """

    models: Path
    threads: int
    tensorflow_threads: int = 1
    batching: BatchPolicy = field(default_factory=BatchPolicy)
    retry_budget: RetryBudget = field(default_factory=RetryBudget)
    policy: VersionPolicy = field(default_factory=VersionPolicy)
    poll_seconds: float = 0.0
    configs: tuple[ModelConfig, ...] | None = None
    isolation: Isolation | None = None
    memory: MemoryBound | None = None
    trusted_hashes: Path | None = None
    trusted_key: Path | None = None
    tfserving: TfServingOptions = field(default_factory=TfServingOptions)
    observer: ReplicaObserver = field(default_factory=NullObserver)


def create_backend(choice: str, options: BackendOptions) -> Backend:
    """Imports and makes the backend.

    Args:
        choice: A name of `BACKENDS`, or ``package.module:Class`` of a class that takes `BackendOptions`.
        options: Passed to it.

    Raises:
        BackendChoiceError: With a sentence for the operator.
    """
    if choice not in _LOADING and (options.trusted_hashes or options.trusted_key):
        raise BackendChoiceError(
            f"trusted_hashes and trusted_key go with the backend {' or '.join(_LOADING)}, which loads versions itself; "
            f"{choice!r} would not look at them"
        )
    module_name, _, attribute = BACKENDS.get(choice, choice).partition(":")
    if not attribute:
        known = ", ".join(sorted(BACKENDS))
        raise BackendChoiceError(f"there is no backend {choice!r}; choose {known} or give module:Class")
    try:
        factory = getattr(importlib.import_module(module_name), attribute)
    except ModuleNotFoundError as error:
        if error.name == "tensorflow":
            raise BackendChoiceError(f"the backend {choice!r}: {not_installed(error.name, 'embedded')}") from error
        raise BackendChoiceError(f"the backend {choice!r} needs the module {error.name!r}") from error
    except AttributeError as error:
        raise BackendChoiceError(f"the module {module_name!r} has no {attribute!r}") from error
    missing = [name for name in ("start", "run", "close") if not callable(getattr(factory, name, None))]
    if missing:
        raise BackendChoiceError(f"{choice!r} is no backend: it has no {', '.join(missing)}")
    return cast("Backend", factory(options))
