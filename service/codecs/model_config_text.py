"""Writes TensorFlow Serving's model configuration in the text format that its operators read."""

from collections.abc import Iterable

from google.protobuf import text_format

from service.codecs.serving_options import encode_options
from service.codecs.traffic import write_traffic
from service.core.batch_policy import AS_THE_SERVER
from service.core.model_config import ModelConfig
from service.core.rollout import PLAIN
from service.core.versions import VersionPolicy
from service.wire import tensorflow_serving_pb2 as serving_pb

_PLATFORM = "tensorflow"


def format_model_configs(configs: Iterable[ModelConfig]) -> str:
    """Returns a ``ModelServerConfig`` with these models, in their order.

    A policy that keeps the newest version alone is left out: it is upstream's default.
    """
    message = serving_pb.ModelServerConfig(model_config_list=serving_pb.ModelConfigList())
    for config in configs:
        entry = message.model_config_list.config.add(
            name=config.name, base_path=str(config.base_path), model_platform=_PLATFORM
        )
        _set_policy(entry, config.policy)
        for label, version in config.labels.items():
            entry.version_labels[label] = version
        if config.options is not AS_THE_SERVER or config.traffic != PLAIN:
            entry.tensorgate.CopyFrom(encode_options(config.options))
        write_traffic(config.traffic, entry.tensorgate)
    return text_format.MessageToString(message, as_utf8=True)


def _set_policy(entry: serving_pb.ModelConfig, policy: VersionPolicy) -> None:
    chosen = entry.model_version_policy
    if policy.only is not None:
        chosen.specific.versions.extend(sorted(policy.only))
    elif policy.newest is None:
        chosen.all.SetInParent()
    elif policy.newest != 1:
        chosen.latest.num_versions = policy.newest
