"""What TensorFlow raises, and what clients are told of it."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from service.backends.savedmodel.loaded import LoadedModel
from service.errors import ErrorKind, GatewayError
from tests.real_server import BACKENDS, RealServer, serving_config
from tests.upstream_stubs import refusal

ERRORS = sorted(
    {cls for cls in vars(tf.errors).values() if isinstance(cls, type) and issubclass(cls, tf.errors.OpError)},
    key=lambda cls: str(cls.__name__),
)
TRACE = "odd\n\t [[{{node f/Odd}}]]"


def save_quotient(folder: Path) -> None:
    module = tf.Module()
    spec = tf.TensorSpec([None], tf.int32, name="x")
    module.f = tf.function(lambda x: {"y": 12 // x}).get_concrete_function(spec)
    tf.saved_model.save(module, str(folder), signatures=module.f)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder = tmp_path_factory.mktemp("quotient")
    save_quotient(folder)
    return LoadedModel(folder)


@pytest.mark.parametrize("cls", ERRORS, ids=lambda cls: cls.__name__)
def test_each_of_its_errors_has_a_kind_and_its_own_words(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch, cls: Any
) -> None:
    error = cls(None, None, TRACE, 2) if cls is tf.errors.OpError else cls(None, None, TRACE)

    def raising(*_: Any) -> Any:
        raise error

    monkeypatch.setitem(model.calls, "serving_default", raising)
    with pytest.raises(GatewayError) as raised:
        model.run(model.signatures["serving_default"], {"x": np.ones(1, np.int32)})
    assert raised.value.kind in {ErrorKind.INVALID_INPUT, ErrorKind.OVERLOADED, ErrorKind.BACKEND_FAILED}
    assert (raised.value.message, raised.value.upstream) == ("odd", TRACE)


@pytest.fixture(scope="module", params=BACKENDS)
async def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RealServer]:
    folder = tmp_path_factory.mktemp("models")
    save_quotient(folder / "quotient" / "1")
    config = folder / "models.config"
    config.write_text(f'model_config_list {{ config {{ name: "quotient" base_path: "{folder / "quotient"}" }} }}')
    async with serving_config(request.param, config) as server:
        yield server


async def test_upstreams_clients_are_told_the_node_and_others_the_reason(server: RealServer) -> None:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "quotient"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([0], tf.int32))
    stub: Any = prediction_service_pb2_grpc.PredictionServiceStub(server.channel)
    _, text = await refusal(stub.Predict(request))
    body = json.dumps({"instances": [0]})
    over_rest = (await server.rest.post("/v1/models/quotient:predict", content=body)).json()["error"]
    for told in (text, over_rest):
        assert told.startswith("Integer division by zero\n\t [[{{")
        assert told.endswith("node floordiv}}]]")
    tensor = {"name": "x", "datatype": "INT32", "shape": [1], "data": [0]}
    response = await server.rest.post("/v2/models/quotient/infer", json={"inputs": [tensor]})
    assert response.json()["error"] == "Integer division by zero"
