"""TensorFlow Serving's model configuration: the file that its operators write, and the message of a reload."""

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from google.protobuf import text_format

from service.codecs.serving_options import decode_options
from service.codecs.traffic import decode_traffic
from service.core.model_config import MAX_LABELS, ModelConfig
from service.core.versions import VersionPolicy
from service.errors import ErrorKind, Violation, invalid_input, shown
from service.wire import tensorflow_serving_pb2 as serving_pb

logger = logging.getLogger(__name__)

_PLATFORM = "tensorflow"
_NAME = re.compile(r"(?!\.{1,2}$)[^/:\x00-\x1f\x7f-\x9f]+")
"""No separators of paths and addresses, nothing that a path leaves out, nothing that begins a line of its own."""
NOT_A_NAME = "the name of a model has no slash, colon or control character in it, and is UTF-8"
"""What is said of one that `is_model_name` refuses."""
_MAX_PATH = 4096
"""Bytes; the system follows no longer one."""
_MAX_MODELS = 1000
_MAX_VERSIONS = 1000


def parse_model_configs(text: str, *, folder: Path) -> list[ModelConfig]:
    """Reads a ``ModelServerConfig`` in text format; fields that are not known here are passed over, and logged.

    Args:
        text: Of the file.
        folder: What relative base paths are relative to.

    Raises:
        GatewayError: MALFORMED when it cannot be parsed, else what `decode_model_configs` raises.
    """
    return [replace(config, base_path=folder / config.base_path) for config in decode_model_configs(_parsed(text))]


def _parsed(text: str) -> serving_pb.ModelServerConfig:
    try:
        message = text_format.Parse(text, serving_pb.ModelServerConfig(), allow_unknown_field=True)
    except (text_format.ParseError, ValueError) as error:  # the latter for a number that no enumeration can have
        raise invalid_input(
            Violation("body", "a ModelServerConfig in text format", str(error)), kind=ErrorKind.MALFORMED
        ) from None
    try:
        text_format.Parse(text, serving_pb.ModelServerConfig())
    except text_format.ParseError as error:
        # Upstream has fields that mean nothing here; but it may as well be a misspelt one.
        logger.warning("the model configuration has a field that is passed over: %s", error)
    return message


def decode_reload(message: serving_pb.ModelServerConfig) -> list[ModelConfig]:
    """Returns the configurations of a client's message.

    Raises:
        GatewayError: INVALID_INPUT; TOO_LARGE where there are more of anything than one reload may have.
    """
    configs = message.model_config_list.config
    _check_count(len(configs), _MAX_MODELS, "models", where="config")
    for index, config in enumerate(configs):
        where = f"config[{index}]"
        _check_count(len(config.version_labels), MAX_LABELS, "labels", where=f"{where}.version_labels")
        versions = config.model_version_policy.specific.versions
        _check_count(len(versions), _MAX_VERSIONS, "versions", where=f"{where}.model_version_policy.specific")
    return decode_model_configs(message)


def is_model_name(name: str) -> bool:
    """Returns whether a model can have this name."""
    try:
        name.encode()
    except UnicodeEncodeError:  # of a folder whose name is not UTF-8
        return False
    return _NAME.fullmatch(name) is not None


def encode_reload(configs: Sequence[ModelConfig]) -> serving_pb.ModelServerConfig:
    """Returns the message that has TensorFlow Serving serve these models; it has no place for their options."""
    message = serving_pb.ModelServerConfig()
    message.model_config_list.SetInParent()
    for config in configs:
        made = message.model_config_list.config.add(
            name=config.name,
            base_path=str(config.base_path),
            model_platform=_PLATFORM,
            version_labels=dict(config.labels),
        )
        policy = made.model_version_policy
        if config.policy.only is not None:
            policy.specific.versions.extend(sorted(config.policy.only))
        elif config.policy.newest is None:
            policy.all.SetInParent()
        else:
            policy.latest.num_versions = config.policy.newest
    return message


def _check_count(count: int, limit: int, what: str, *, where: str) -> None:
    if count > limit:
        raise invalid_input(Violation(where, f"at most {limit} {what}", str(count)), kind=ErrorKind.TOO_LARGE)


def decode_model_configs(message: serving_pb.ModelServerConfig) -> list[ModelConfig]:
    """Returns the configurations of the message.

    Raises:
        GatewayError: INVALID_INPUT; TOO_LARGE for a path that is too long.
    """
    if message.WhichOneof("config") != "model_config_list":
        got = message.WhichOneof("config") or "nothing"
        raise invalid_input(Violation("config", "model_config_list", got))
    configs = message.model_config_list.config
    seen: set[str] = set()
    for index, config in enumerate(configs):
        where = f"config[{index}].name"
        if not _NAME.fullmatch(config.name):
            expected = "a name without slashes, colons and control characters, and neither . nor .."
            raise invalid_input(Violation(where, expected, shown(config.name)))
        if config.name in seen:
            raise invalid_input(Violation(where, "each model once", f"{shown(config.name)} again"))
        seen.add(config.name)
    return [_decoded(config, f"config[{index}]") for index, config in enumerate(configs)]


def _decoded(config: serving_pb.ModelConfig, where: str) -> ModelConfig:
    if config.model_platform not in ("", _PLATFORM):
        raise invalid_input(Violation(f"{where}.model_platform", repr(_PLATFORM), shown(config.model_platform)))
    if not config.base_path:
        raise invalid_input(Violation(f"{where}.base_path", "a folder", "nothing"))
    if (length := len(config.base_path.encode())) > _MAX_PATH:
        expected = f"a path of at most {_MAX_PATH} bytes"
        raise invalid_input(Violation(f"{where}.base_path", expected, f"{length} bytes"), kind=ErrorKind.TOO_LARGE)
    for label in config.version_labels:
        if not label:
            raise invalid_input(Violation(f"{where}.version_labels", "labels of one character or more", "an empty one"))
    policy, labels = _policy(config, where), dict(config.version_labels.items())
    return ModelConfig(
        config.name,
        Path(config.base_path),
        policy,
        labels,
        decode_options(config.tensorgate, where=f"{where}.tensorgate"),
        decode_traffic(config.tensorgate, policy, labels, where=f"{where}.tensorgate"),
    )


def _policy(config: serving_pb.ModelConfig, where: str) -> VersionPolicy:
    policy = config.model_version_policy
    match policy.WhichOneof("policy_choice"):
        case "all":
            return VersionPolicy(newest=None)
        case "specific":
            if not policy.specific.versions:
                raise invalid_input(Violation(f"{where}.model_version_policy.specific", "versions", "none"))
            return VersionPolicy(newest=None, only=frozenset(policy.specific.versions))
        case _:
            return VersionPolicy(newest=policy.latest.num_versions or 1)
