"""Inference as both transports do it: from a decoded message to the tensors of its answer."""

from collections.abc import Mapping

from service.core.call import Call
from service.core.engine import Engine
from service.core.model_version import ModelVersion
from service.core.tensors import Tensor
from service.errors import GatewayError
from service.protocols.open_inference.errors import with_datatypes
from service.protocols.open_inference.messages import InferMessage, apply_timeout, wanted_signature
from service.protocols.open_inference.models import ServedModels


class Inference:
    """Runs messages.

    Args:
        engine: Checks and runs them.
        models: Knows which signature a message means.
    """

    def __init__(self, *, engine: Engine, models: ServedModels) -> None:
        self._engine = engine
        self._models = models

    async def run(self, version: ModelVersion, message: InferMessage, call: Call) -> Mapping[str, Tensor]:
        """Runs a message on a version of a model.

        Returns:
            Tensors by output name: those that are wanted in their order, or all, sorted by name.

        Raises:
            GatewayError: What `Engine.infer` raises; INVALID_INPUT for parameters that make no sense.
        """
        has_timeout = apply_timeout(message.parameters, call)
        signature = self._models.signature(version, wanted_signature(message.parameters))
        wanted = tuple(output.name for output in message.outputs)
        try:
            request = self._engine.request(version, signature, message.inputs, wanted, call=call)
        except GatewayError as error:
            raise with_datatypes(error) from None
        if has_timeout:
            with call.deadline.enforced():
                outputs = await self._engine.infer(request, call)
        else:
            outputs = await self._engine.infer(request, call)
        return outputs if wanted or len(outputs) == 1 else dict(sorted(outputs.items()))
