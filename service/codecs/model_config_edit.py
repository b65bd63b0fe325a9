"""Changes of where one model's requests go, in the text of a model configuration: all else of it stays."""

from collections.abc import Callable

from google.protobuf import text_format

from service.codecs.model_config import decode_model_configs
from service.codecs.traffic import write_traffic
from service.core.model_config import ModelConfig
from service.errors import ErrorKind, Violation, invalid_input, listed, shown
from service.wire import tensorflow_serving_pb2 as serving_pb

Change = Callable[[ModelConfig], ModelConfig]
"""Returns a model's configuration with other labels and traffic; may raise."""


def with_change(text: str, model: str, change: Change) -> str:
    """Returns the text with the change; the same text where it changes nothing.

    Comments stay where they stand before all else, and nowhere else.

    Args:
        text: A ``ModelServerConfig`` in text format.
        model: Name of the model.
        change: Is given what the text says of it.

    Raises:
        GatewayError: MALFORMED where it makes no sense, or has fields that would be lost; INVALID_INPUT where it makes
            none after the change; MODEL_NOT_FOUND where it has no such model; what `change` raises.
    """
    message = _parsed(text)
    configs = decode_model_configs(message)
    known = [config.name for config in configs]
    if model not in known:
        violation = Violation("model", f"one of the models there: {listed(known) or 'none'}", shown(model))
        raise invalid_input(violation, kind=ErrorKind.MODEL_NOT_FOUND)
    before = configs[known.index(model)]
    after = change(before)
    if after == before:
        return text
    entry = message.model_config_list.config[known.index(model)]
    for field in ("splits", "rollout", "shadow"):
        entry.tensorgate.ClearField(field)
    write_traffic(after.traffic, entry.tensorgate)
    entry.ClearField("version_labels")
    entry.version_labels.update(after.labels)
    decode_model_configs(message)  # what servers would refuse is not written
    return _head(text) + text_format.MessageToString(message, as_utf8=True)


def _parsed(text: str) -> serving_pb.ModelServerConfig:
    try:
        return text_format.Parse(text, serving_pb.ModelServerConfig())
    except (text_format.ParseError, ValueError) as error:
        expected = "a ModelServerConfig in text format, of fields that are known here, as others would be lost"
        raise invalid_input(Violation("body", expected, str(error)), kind=ErrorKind.MALFORMED) from None


def _head(text: str) -> str:
    """Returns the comments before all else."""
    head: list[str] = []
    for line in text.splitlines(keepends=True):
        if line.strip() and not line.lstrip().startswith("#"):
            break
        head.append(line)
    return "".join(head)
