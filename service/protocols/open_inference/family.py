"""The handlers of both transports, made of the same parts."""

from collections.abc import Callable
from dataclasses import dataclass

from service.core.control import ModelControl
from service.core.engine import Engine
from service.core.streams import OrderedStream
from service.protocols.open_inference.inference import Inference
from service.protocols.open_inference.models import ServedModels
from service.protocols.open_inference.rest import OpenInferenceRest
from service.protocols.open_inference.rpc import OpenInferenceRpc
from service.protocols.open_inference.rpc_shortcut import InferShortcut


@dataclass(frozen=True, slots=True)
class OpenInference:
    """The protocol's handlers."""

    rest: OpenInferenceRest
    rpc: OpenInferenceRpc


def open_inference(
    *,
    engine: Engine,
    control: ModelControl,
    accepting: Callable[[], bool],
    stream: OrderedStream,
    max_request_bytes: int,
) -> OpenInference:
    """Makes the handlers.

    Args:
        engine: Has the models, and runs them.
        control: Loads and unloads them.
        accepting: Tells whether the server means to go on taking requests.
        stream: Answers streams of requests.
        max_request_bytes: How many bytes a compressed body may unpack to.
    """
    models = ServedModels(engine=engine, control=control, accepting=accepting)
    inference = Inference(engine=engine, models=models)
    bounds = engine.bounds
    return OpenInference(
        rest=OpenInferenceRest(models=models, inference=inference, bounds=bounds, max_request_bytes=max_request_bytes),
        rpc=OpenInferenceRpc(
            models=models,
            inference=inference,
            stream=stream,
            bounds=bounds,
            shortcut=InferShortcut(engine=engine, models=models),
        ),
    )
