"""TensorFlow Serving's model configuration: the file that its operators write, and the message of a reload."""

from pathlib import Path

from google.protobuf import text_format

from service.core.model_config import ModelConfig
from service.core.versions import VersionPolicy
from service.errors import ErrorKind, Violation, invalid_input, shown
from service.wire import tensorflow_serving_pb2 as serving_pb

_PLATFORM = "tensorflow"


def parse_model_configs(text: str, *, folder: Path) -> list[ModelConfig]:
    """Reads a ``ModelServerConfig`` in protobuf's text format, fields that are not known here passed over.

    Args:
        text: Of the file.
        folder: What relative base paths are relative to.

    Raises:
        GatewayError: MALFORMED when it cannot be parsed, INVALID_INPUT when it makes no sense.
    """
    try:
        message = text_format.Parse(text, serving_pb.ModelServerConfig(), allow_unknown_field=True)
    except text_format.ParseError as error:
        raise invalid_input(
            Violation("body", "a ModelServerConfig in text format", str(error)), kind=ErrorKind.MALFORMED
        ) from None
    return [
        ModelConfig(config.name, folder / config.base_path, config.policy, config.labels)
        for config in decode_model_configs(message)
    ]


def decode_model_configs(message: serving_pb.ModelServerConfig) -> list[ModelConfig]:
    """Returns the configurations of the message.

    Raises:
        GatewayError: INVALID_INPUT.
    """
    if message.WhichOneof("config") != "model_config_list":
        got = message.WhichOneof("config") or "nothing"
        raise invalid_input(Violation("config", "model_config_list", got))
    configs = message.model_config_list.config
    names = [config.name for config in configs]
    for index, name in enumerate(names):
        if not name or "/" in name:
            raise invalid_input(Violation(f"config[{index}].name", "a name without slashes", shown(name)))
        if name in names[:index]:
            raise invalid_input(Violation(f"config[{index}].name", "each model once", f"{shown(name)} again"))
    return [_decoded(config, f"config[{index}]") for index, config in enumerate(configs)]


def _decoded(config: serving_pb.ModelConfig, where: str) -> ModelConfig:
    if config.model_platform not in ("", _PLATFORM):
        raise invalid_input(Violation(f"{where}.model_platform", repr(_PLATFORM), shown(config.model_platform)))
    if not config.base_path:
        raise invalid_input(Violation(f"{where}.base_path", "a folder", "nothing"))
    for label in config.version_labels:
        if not label:
            raise invalid_input(Violation(f"{where}.version_labels", "labels of one character or more", "an empty one"))
    return ModelConfig(config.name, Path(config.base_path), _policy(config, where), dict(config.version_labels.items()))


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
