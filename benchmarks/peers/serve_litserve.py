"""LitServe: an API with batching, over REST."""

from typing import Any

import bare_model
import litserve
import numpy as np


class SavedModel(litserve.LitAPI):
    """The SavedModel as LitServe's documents show an API; its hooks' parameters must be named as they are."""

    def __init__(self, folder: str, call: str, max_batch_size: int) -> None:
        super().__init__(max_batch_size=max_batch_size, batch_timeout=0.002)
        self._folder, self._call = folder, call

    def setup(self, device: str) -> None:
        """Loads it, in the worker's process."""
        self._model = bare_model.load(self._folder, self._call)

    def decode_request(self, request: dict[str, Any]) -> np.ndarray:
        """Returns one image, [28, 28, 1]."""
        return np.asarray(request["image"], np.float32)

    def predict(self, batch: np.ndarray) -> np.ndarray:
        """Answers a batch of images, which LitServe has stacked."""
        return self._model(batch)

    def encode_response(self, output: np.ndarray) -> dict[str, Any]:
        """Returns one image's scores."""
        return {"scores": output.tolist()}


if __name__ == "__main__":
    flags = bare_model.arguments()
    api = SavedModel(flags.model, flags.call, flags.max_batch_size)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1", port=flags.rest_port, num_api_servers=1, log_level="warning", generate_client_file=False
    )
