"""Splits and rollouts in the model configuration: between its message and our terms."""

import math
import re
from collections.abc import Iterable, Mapping

from service.core.rollout import (
    MAX_STEPS,
    PLAIN,
    STEP_SECONDS,
    STEP_WEIGHTS,
    Guards,
    Reason,
    RolledBack,
    Rollout,
    Shadow,
    Traffic,
)
from service.core.traffic_split import Split, checked_split
from service.core.versions import VersionPolicy
from service.errors import Violation, invalid_input, shown
from service.wire import serving_options_pb2 as options_pb

_MAX_SPLITS = 100
_MAX_SECONDS = 31_622_400
"""A year: longer a step does not take."""
_ADDRESS = re.compile(r"(?:[\w.-]+|\[[0-9A-Fa-f:]+\]):[0-9]{1,5}")
_GUARDS = ("max_error_rate_increase", "max_p99_ratio", "max_drift_psi", "max_changed_share")


def decode_traffic(
    message: options_pb.ServingOptions, policy: VersionPolicy, labels: Mapping[str, int], *, where: str
) -> Traffic:
    """Returns which version of a model gets which requests.

    Args:
        message: What is said of the model beside upstream's configuration.
        policy: Which versions of it are served.
        labels: Those of one version each.
        where: Names the message in errors.

    Raises:
        GatewayError: INVALID_INPUT.
    """
    if not message.splits and not message.HasField("rollout") and not message.HasField("shadow"):
        return PLAIN
    if len(message.splits) > _MAX_SPLITS:
        raise invalid_input(Violation(f"{where}.splits", f"at most {_MAX_SPLITS}", str(len(message.splits))))
    splits: dict[str, Split] = {}
    for label, weights in message.splits.items():
        at = f"{where}.splits[{label}]"
        if label in labels:
            raise invalid_input(Violation(at, "a label without an entry in version_labels", shown(label)))
        try:
            splits[label] = checked_split(dict(weights.weights))
        except ValueError as error:
            raise invalid_input(Violation(at, str(error), shown(dict(weights.weights)))) from None
        _check_served(policy, weights.weights, at)
    rollout = decode_rollout(message.rollout, where=f"{where}.rollout") if message.HasField("rollout") else None
    if rollout is not None:
        _check_served(policy, (rollout.stable, rollout.canary), f"{where}.rollout")
        if rollout.label in splits:
            raise invalid_input(Violation(f"{where}.rollout.label", "a label without a split", shown(rollout.label)))
    shadow = _shadow(message.shadow, f"{where}.shadow") if message.HasField("shadow") else None
    if shadow is not None and not shadow.address:
        _check_served(policy, (shadow.version,), f"{where}.shadow")
    return Traffic(splits, rollout, shadow)


def decode_rollout(message: options_pb.Rollout, *, where: str) -> Rollout:
    """Returns a rollout.

    Raises:
        GatewayError: INVALID_INPUT.
    """
    stable, canary = message.stable_version, message.canary_version
    if stable < 0 or canary < 0 or stable == canary:
        raise invalid_input(
            Violation(where, "two versions, stable_version and canary_version", f"{stable} and {canary}")
        )
    steps = tuple(message.step_weights) or STEP_WEIGHTS
    ascending = all(low < high for low, high in zip((0, *steps), steps, strict=False))
    if len(steps) > MAX_STEPS or not ascending or steps[-1] > 100:  # percent
        expected = f"at most {MAX_STEPS} ascending numbers from 1 to 100"
        raise invalid_input(Violation(f"{where}.step_weights", expected, shown(list(steps))))
    if not 0 <= message.step < len(steps):
        raise invalid_input(Violation(f"{where}.step", f"a step from 0 to {len(steps) - 1}", str(message.step)))
    if not 0 <= message.step_seconds <= _MAX_SECONDS:
        raise invalid_input(
            Violation(f"{where}.step_seconds", f"seconds from 0 to {_MAX_SECONDS}", str(message.step_seconds))
        )
    for name in ("start_time", "step_time"):
        if not 0 <= getattr(message, name) < math.inf:
            raise invalid_input(Violation(f"{where}.{name}", "seconds since 1970", str(getattr(message, name))))
    return Rollout(
        stable=stable,
        canary=canary,
        label=message.label,
        step_weights=steps,
        step_seconds=message.step_seconds or STEP_SECONDS,
        start_time=message.start_time,
        guards=_guards(message.guards, f"{where}.guards"),
        step=message.step,
        step_time=message.step_time,
        rolled_back=_rolled_back(message.rolled_back, where) if message.HasField("rolled_back") else None,
    )


def write_traffic(traffic: Traffic, message: options_pb.ServingOptions) -> None:
    """Writes it; the way back from `decode_traffic`."""
    for label, split in traffic.splits.items():
        message.splits[label].weights.update(split.weights)
    if traffic.rollout is not None:
        message.rollout.CopyFrom(encode_rollout(traffic.rollout))
    if (shadow := traffic.shadow) is not None:
        message.shadow.version, message.shadow.share = shadow.version, shadow.share
        message.shadow.address = shadow.address


def encode_rollout(rollout: Rollout) -> options_pb.Rollout:
    """Returns the message; the way back from `decode_rollout`."""
    message = options_pb.Rollout(
        label=rollout.label,
        stable_version=rollout.stable,
        canary_version=rollout.canary,
        step_weights=rollout.step_weights,
        step_seconds=rollout.step_seconds,
        start_time=rollout.start_time,
        step=rollout.step,
        step_time=rollout.step_time,
    )
    message.guards.min_requests = rollout.guards.min_requests
    for name in _GUARDS:
        limit = getattr(rollout.guards, name)
        setattr(message.guards, name, -1.0 if limit is None else limit)
    if (back := rollout.rolled_back) is not None:
        message.rolled_back.reason, message.rolled_back.message = back.reason.value, back.message
        message.rolled_back.time = back.time
    return message


def _shadow(message: options_pb.Shadow, where: str) -> Shadow:
    if message.version < 0:
        raise invalid_input(Violation(f"{where}.version", "a version from 0 on", str(message.version)))
    share = message.share if message.HasField("share") else 1.0
    if not 0 <= share <= 1:
        raise invalid_input(Violation(f"{where}.share", "a part of the requests, 0 to 1", str(share)))
    if message.address and not _ADDRESS.fullmatch(message.address):
        raise invalid_input(Violation(f"{where}.address", "host:port", shown(message.address)))
    return Shadow(message.version, share, message.address)


def _guards(message: options_pb.Guards, where: str) -> Guards:
    guards = Guards()
    fewest = message.min_requests if message.HasField("min_requests") else guards.min_requests
    if fewest < 1:
        raise invalid_input(Violation(f"{where}.min_requests", "a number from 1 on", str(fewest)))
    limits: dict[str, float | None] = {name: getattr(guards, name) for name in _GUARDS}
    for name in _GUARDS:
        if message.HasField(name):
            limit = float(getattr(message, name))
            if not limit < math.inf:
                raise invalid_input(
                    Violation(f"{where}.{name}", "a number, or one below zero for no guard", str(limit))
                )
            limits[name] = limit if limit >= 0 else None
    ratio = limits["max_p99_ratio"]
    if ratio is not None and ratio < 1:
        raise invalid_input(Violation(f"{where}.max_p99_ratio", "a ratio from 1 on", str(ratio)))
    return Guards(fewest, **limits)


def _rolled_back(message: options_pb.RolledBack, where: str) -> RolledBack:
    try:
        reason = Reason(message.reason)
    except ValueError:
        expected = f"one of {', '.join(Reason)}"
        raise invalid_input(Violation(f"{where}.rolled_back.reason", expected, shown(message.reason))) from None
    return RolledBack(reason, message.message, message.time)


def _check_served(policy: VersionPolicy, versions: Iterable[int], where: str) -> None:
    """Refuses versions that the model's policy does not serve together."""
    wanted = sorted(set(versions))
    if policy.newest is not None and policy.newest < len(wanted):
        cure = f"latest {{ num_versions: {len(wanted)} }}, all {{}}, or specific with {', '.join(map(str, wanted))}"
        got = f"latest, which serves {policy.newest}"
    elif policy.only is not None and (missing := [version for version in wanted if version not in policy.only]):
        cure, got = f"specific with {', '.join(map(str, wanted))}", f"specific without {', '.join(map(str, missing))}"
    else:
        return
    expected = f"a model_version_policy that serves versions {', '.join(map(str, wanted))}: {cure}"
    raise invalid_input(Violation(where, expected, got))
