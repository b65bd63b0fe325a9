"""Triton by PyTriton: a model in Python behind Triton's dynamic batcher. Needs the distribution's libpython3.11."""

import bare_model
import numpy as np
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig


def main() -> None:
    """Serves until it is told to end."""
    flags = bare_model.arguments()
    model = bare_model.load(flags.model, flags.call)

    @batch
    def infer(keras_tensor: np.ndarray) -> dict[str, np.ndarray]:
        return {"output_0": model(keras_tensor)}

    config = TritonConfig(
        http_address="127.0.0.1",
        http_port=flags.rest_port,
        grpc_address="127.0.0.1",
        grpc_port=flags.grpc_port,
        allow_metrics=False,
        log_verbose=0,
    )
    with Triton(config=config) as triton:
        triton.bind(
            model_name=flags.name,
            infer_func=infer,
            inputs=[Tensor(name="keras_tensor", dtype=np.float32, shape=(28, 28, 1))],
            outputs=[Tensor(name="output_0", dtype=np.float32, shape=(10,))],
            config=ModelConfig(
                max_batch_size=flags.max_batch_size, batcher=DynamicBatcher(max_queue_delay_microseconds=1000)
            ),
        )
        triton.serve()


if __name__ == "__main__":
    main()
