"""MLServer: a runtime of one's own, with adaptive batching, in one process."""

import asyncio

import bare_model
from mlserver import MLModel, MLServer
from mlserver.codecs import NumpyCodec
from mlserver.settings import ModelSettings, Settings
from mlserver.types import InferenceRequest, InferenceResponse


class SavedModel(MLModel):
    """The SavedModel as MLServer's documents show a runtime."""

    async def load(self) -> bool:
        """Loads it; the flags come by the settings' ``extra``."""
        extra = self.settings.parameters.extra
        self._model = bare_model.load(extra["folder"], extra["call"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answers one request, which may be several merged ones."""
        scores = self._model(NumpyCodec.decode_input(payload.inputs[0]))
        return InferenceResponse(
            model_name=self.name, outputs=[NumpyCodec.encode_output(name="output_0", payload=scores)]
        )


async def _serve() -> None:
    flags = bare_model.arguments()
    settings = Settings(
        debug=False,
        host="127.0.0.1",
        http_port=flags.rest_port,
        grpc_port=flags.grpc_port,
        metrics_endpoint=None,
        parallel_workers=0,
        load_models_at_startup=False,
    )
    model = ModelSettings(
        name=flags.name,
        implementation=SavedModel,
        max_batch_size=flags.max_batch_size,
        max_batch_time=0.002,
        parameters={"extra": {"folder": flags.model, "call": flags.call}},
    )
    await MLServer(settings).start([model])


if __name__ == "__main__":
    asyncio.run(_serve())
