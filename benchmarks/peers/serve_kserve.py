"""KServe's SDK: a model of one's own; the SDK has no batching."""

import logging

import bare_model
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer


class SavedModel(Model):
    """The SavedModel as KServe's documents show a custom model."""

    def __init__(self, name: str, folder: str, call: str) -> None:
        super().__init__(name)
        self._folder, self._call = folder, call
        self.ready = self.load()

    def load(self) -> bool:
        """Loads it at once."""
        self._model = bare_model.load(self._folder, self._call)
        return True

    async def predict(self, payload: InferRequest, headers: dict[str, str] | None = None, *_: object) -> InferResponse:
        """Answers one request."""
        scores = self._model(payload.inputs[0].as_numpy())
        output = InferOutput(name="output_0", shape=list(scores.shape), datatype="FP32")
        output.set_data_from_numpy(scores, binary_data=payload.from_grpc)
        return InferResponse(response_id=payload.id or "", model_name=self.name, infer_outputs=[output])


if __name__ == "__main__":
    for logger in ("kserve.trace", "uvicorn.access"):
        logging.getLogger(logger).setLevel(logging.WARNING)
    flags = bare_model.arguments()
    server = ModelServer(http_port=flags.rest_port, grpc_port=flags.grpc_port, enable_latency_logging=False)
    server.start([SavedModel(flags.name, flags.model, flags.call)])
