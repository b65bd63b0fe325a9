"""What is checked before models or labels are changed at a client's request."""

from collections.abc import Mapping, Sequence

from service.core.catalog import Catalog
from service.core.model_config import ModelConfig
from service.core.model_version import ModelVersion, State
from service.core.traffic_split import Split, Target
from service.core.visibility import SeenModels
from service.errors import ErrorKind, GatewayError, listed, shown

_GO_BACK = (
    "; it is on disk, and the version policy does not choose it: name it in the model configuration "
    "(specific { versions: N }), serve more versions (latest:N, all), or to go back to it take the newer ones away"
)


def check_available(catalog: Catalog, configs: Sequence[ModelConfig]) -> None:
    """Refuses configurations that cannot take effect.

    Raises:
        GatewayError: LOAD_FAILED.
    """
    failed = {config.name: reason for config in configs if (reason := _reason_against(catalog, config))}
    if failed:
        reasons = listed(f"{{{name} due to error: {reason}}}" for name, reason in failed.items())
        raise GatewayError(ErrorKind.LOAD_FAILED, f"{len(failed)} model(s) did not become available: {reasons}")


def _reason_against(catalog: Catalog, config: ModelConfig) -> str:
    """Returns why a configuration cannot take effect; empty where it can."""
    if not is_available(catalog, config.name):
        return reason_of(catalog, config.name)
    available = {entry.version for entry in _versions(catalog, config.name) if entry.state is State.AVAILABLE}
    wanted = config.policy.only
    if wanted is None or wanted & available:
        return ""
    stored = catalog.stored.get(config.name, ())
    there = f"on disk are {listed(map(str, stored))}" if stored else f"there are {listed(map(str, sorted(available)))}"
    return f"none of the versions {listed(map(str, sorted(wanted)))} can be served; {there}"


def check_label(
    catalog: SeenModels, name: str, label: str, target: Target, stored: Mapping[str, Sequence[int]]
) -> None:
    """Refuses a label for a version that is not available.

    Args:
        catalog: The models as the client may see them.
        name: The model's.
        label: The label to put on.
        target: What it is to stand for.
        stored: Versions on disk by model, served or not.

    Raises:
        GatewayError: MODEL_NOT_FOUND or FAILED_PRECONDITION.
    """
    for version in target.weights if isinstance(target, Split) else (target,):
        _check_version(catalog, name, label, version, stored)


def _check_version(
    catalog: SeenModels, name: str, label: str, version: int, stored: Mapping[str, Sequence[int]]
) -> None:
    entries = {entry.version: entry for entry in catalog.versions(name)}
    entry = entries.get(version)
    if entry is None or entry.state is not State.AVAILABLE:
        raise GatewayError(
            ErrorKind.FAILED_PRECONDITION,
            f"the label {shown(label)} cannot be put on version {version} of {shown(name)}, which is not available"
            + (_GO_BACK if entry is None and version in stored.get(name, ()) else ""),
        )


def is_available(catalog: Catalog, name: str) -> bool:
    """Returns whether a version of the model is available."""
    return any(entry.state is State.AVAILABLE for entry in _versions(catalog, name))


def reason_of(catalog: Catalog, name: str) -> str:
    """Returns why no version of the model is available."""
    reasons = (entry.error for entry in _versions(catalog, name) if entry.error)
    return next(reasons, "there is no version of it to serve")


def _versions(catalog: Catalog, name: str) -> list[ModelVersion]:
    return catalog.versions(name) if name in catalog else []
