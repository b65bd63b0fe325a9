"""TensorFlow Serving's own stubs and messages, for tests that ask a server as its clients would. Imports tensorflow."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis import (
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)
from tensorflow_serving.config import model_server_config_pb2

from tests import upstream_models, zoo_models
from tests.real_server import RealServer, serving_models


class Stubs:
    """A server, and upstream's stubs for it."""

    def __init__(self, server: RealServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.predictions: Any = prediction_service_pb2_grpc.PredictionServiceStub(server.channel)
        self.models: Any = model_service_pb2_grpc.ModelServiceStub(server.channel)


@asynccontextmanager
async def serving_zoo(folder: Path, **settings: Any) -> AsyncIterator[Stubs]:
    """Writes the models of every form, and upstream's first, and serves them while the body runs."""
    models = folder / "models"
    zoo_models.save_zoo(models)
    upstream_models.save_half_plus_two(models / "half" / "1")
    config = folder / "models.config"
    config.write_text(zoo_models.config_of(models))
    async with serving_models(models, model_config_file=config, **settings) as server:
        yield Stubs(server, models)


def predict(model: str, signature: str = "", **inputs: Any) -> Any:
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


def examples(message: Any, model: str, signature: str, *values: float, context: float | None = None) -> Any:
    """Fills a classification or regression request with examples of a feature x."""
    message.model_spec.name, message.model_spec.signature_name = model, signature
    return with_examples(message, *values, context=context)


def with_examples(message: Any, *values: float, context: float | None = None) -> Any:
    holder = message.input.example_list
    if context is not None:
        holder = message.input.example_list_with_context
        holder.context.features.feature["x"].float_list.value.append(context)
    for value in values:
        example = holder.examples.add()
        if not np.isnan(value):
            example.features.feature["x"].float_list.value.append(value)
    return message


async def refusal(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), str(caught.value.details())


def reload_request(text: str) -> Any:
    """Returns the request to serve what the text says, as it stands in a model configuration file."""
    request = model_management_pb2.ReloadConfigRequest()
    request.config.CopyFrom(text_format.Parse(text, model_server_config_pb2.ModelServerConfig()))
    return request
