"""What an operator says of how a model is served, in the model configuration: between its message and our terms."""

from service.core.batch_policy import (
    AS_THE_SERVER,
    BatchMode,
    BatchOverrides,
    ServingOptions,
    ShapeMode,
    checked_batch_sizes,
)
from service.errors import Violation, invalid_input
from service.wire import serving_options_pb2 as options_pb

_MODES = {options_pb.AUTO: BatchMode.AUTO, options_pb.ON: BatchMode.ON, options_pb.OFF: BatchMode.OFF}
_SHAPES = {options_pb.DECLARED: ShapeMode.DECLARED, options_pb.GRAPH: ShapeMode.GRAPH}


_MODE_NUMBERS = {mode: number for number, mode in _MODES.items()}
_SHAPE_NUMBERS = {shapes: number for number, shapes in _SHAPES.items()}

_Batching = options_pb.ServingOptions | options_pb.SignatureOptions
"""What they say of batching is in fields of the same names."""


def decode_options(message: options_pb.ServingOptions, *, where: str) -> ServingOptions:
    """Returns the options of a model.

    Raises:
        GatewayError: INVALID_INPUT.
    """
    if message.shapes not in _SHAPES:
        raise invalid_input(Violation(f"{where}.shapes", "DECLARED or GRAPH", str(message.shapes)))
    options = ServingOptions(
        _SHAPES[message.shapes],
        _overrides(message, where),
        {name: _overrides(own, f"{where}.signatures[{name}]") for name, own in message.signatures.items()},
    )
    return AS_THE_SERVER if options == AS_THE_SERVER else options  # which is looked up at less cost


def encode_options(options: ServingOptions) -> options_pb.ServingOptions:
    """Returns the message; the way back from `decode_options`."""
    message = options_pb.ServingOptions(shapes=_SHAPE_NUMBERS[options.shapes])
    _write(options.batching, message)
    for name, own in options.signatures.items():
        _write(own, message.signatures[name])
    return message


def _overrides(message: _Batching, where: str) -> BatchOverrides:
    if message.batching not in {options_pb.DEFAULT, *_MODES}:
        raise invalid_input(Violation(f"{where}.batching", "AUTO, ON or OFF", str(message.batching)))
    for name in ("max_batch_size", "max_queue_size"):
        if (number := getattr(message, name)) < 0:
            raise invalid_input(Violation(f"{where}.{name}", "a number from 1 on", str(number)))
    try:
        sizes = checked_batch_sizes(message.allowed_batch_sizes)
    except ValueError as error:
        got = str(list(message.allowed_batch_sizes))
        raise invalid_input(Violation(f"{where}.allowed_batch_sizes", str(error), got)) from None
    return BatchOverrides(
        _MODES.get(message.batching), message.max_batch_size or None, sizes or None, message.max_queue_size or None
    )


def _write(overrides: BatchOverrides, message: _Batching) -> None:
    if overrides.mode is not None:
        message.batching = _MODE_NUMBERS[overrides.mode]
    message.max_batch_size = overrides.max_batch_size or 0
    message.max_queue_size = overrides.max_queue_size or 0
    message.allowed_batch_sizes.extend(overrides.allowed_batch_sizes or ())
