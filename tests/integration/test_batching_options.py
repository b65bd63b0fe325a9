"""What an operator says of batching and shapes in the model configuration, and where the findings are told."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from prometheus_client.parser import text_string_to_metric_families

from service.commands.models import _batched
from service.core.model_version import ModelRef
from tensorgate.v1 import tensorgate_pb2 as tg
from tensorgate.v1.tensorgate_pb2_grpc import TensorgateServiceStub
from tests.real_server import BACKENDS, RealServer, serving_config

FLOATS = tf.TensorSpec([None, 2], tf.float32, name="x")


class Both(tf.Module):  # type: ignore[misc]
    """One signature that works row by row, and one that does not."""

    @tf.function(input_signature=[FLOATS])  # type: ignore[untyped-decorator]
    def doubled(self, x: Any) -> Any:
        """Works row by row."""
        return {"y": x * 2}

    @tf.function(input_signature=[FLOATS])  # type: ignore[untyped-decorator]
    def centred(self, x: Any) -> Any:
        """Does not."""
        return {"y": x - tf.reduce_mean(x, 0)}


OPTIONS = {
    "plain": "",
    "off": "batching: OFF",
    "sized": "allowed_batch_sizes: [4, 16]",
    "graph": "shapes: GRAPH",
    "trusted": 'signatures { key: "centred" value { batching: ON max_batch_size: 2 } }',
}


@pytest.fixture(scope="module", params=BACKENDS)
async def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RealServer]:
    folder = tmp_path_factory.mktemp("models")
    module = Both()
    signatures = {"doubled": module.doubled, "centred": module.centred}
    tf.saved_model.save(module, str(folder / "both" / "1"), signatures=signatures)
    config = folder / "models.config"
    place = f'base_path: "{folder / "both"}" model_platform: "tensorflow"'
    entries = [f'config {{ name: "{name}" {place} tensorgate {{ {said} }} }}' for name, said in OPTIONS.items()]
    config.write_text(f"model_config_list {{ {' '.join(entries)} }}")
    async with serving_config(request.param, config) as server:
        yield server


async def found(server: RealServer, model: str) -> dict[str, str]:
    """Returns why signatures are not batched, as REST and gRPC say it alike."""
    body = (await server.rest.get(f"/api/v1/models/{model}")).json()
    told = {each["name"]: each["unbatched_reason"] for each in body["versions"][0]["signatures"]}
    stub: Any = TensorgateServiceStub(server.channel)  # type: ignore[no-untyped-call]
    answer = await stub.GetModel(tg.GetModelRequest(model=model))
    for signature in answer.model.versions[0].signatures:
        assert signature.batched is not bool(told[signature.name])
        assert signature.unbatched_reason == told[signature.name]
    return told


async def test_the_finding_is_in_the_metadata(server: RealServer) -> None:
    plain = await found(server, "plain")
    assert plain["doubled"] == ""
    assert "rows together differs" in plain["centred"]
    assert await found(server, "off") == {"doubled": "batching is off", "centred": "batching is off"}
    assert await found(server, "trusted") == {"doubled": "", "centred": ""}


async def test_the_finding_is_a_metric(server: RealServer) -> None:
    text = (await server.rest.get("/metrics")).text
    values = {
        (sample.labels["model_name"], sample.labels["signature_name"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "tensorgate_signature_batched"
    }
    assert values["plain", "doubled"] == 1
    assert values["plain", "centred"] == 0
    assert values["off", "doubled"] == 0
    assert values["trusted", "centred"] == 1


async def test_the_finding_is_in_the_list_of_models(server: RealServer) -> None:
    stub: Any = TensorgateServiceStub(server.channel)  # type: ignore[no-untyped-call]
    models = {model.name: model for model in (await stub.ListModels(tg.ListModelsRequest())).models}
    told = {name: _batched(model.versions[0].signatures) for name, model in models.items()}
    assert told["off"] == "no: batching is off"
    assert told["trusted"] == "yes"
    assert told["plain"].startswith("not centred: ")


async def predict(server: RealServer, model: str, signature: str, x: Any) -> Any:
    body = {"signature_name": signature, "inputs": np.asarray(x).tolist()}
    response = await server.rest.post(f"/v1/models/{model}:predict", content=json.dumps(body))
    answer = response.json()
    return np.array(answer["outputs"]) if response.status_code == 200 else answer["error"]


async def test_what_an_operator_trusts_is_split_although_it_mixes_rows(server: RealServer) -> None:
    x = np.arange(8.0).reshape(4, 2)
    parts = [part - part.mean(0) for part in (x[:2], x[2:])]
    np.testing.assert_allclose(await predict(server, "trusted", "centred", x), np.concatenate(parts))
    np.testing.assert_allclose(await predict(server, "plain", "centred", x), x - x.mean(0))


async def test_filled_runs_answer_the_rows_that_came(server: RealServer) -> None:
    asked = [np.arange(2.0 * rows).reshape(rows, 2) for rows in (1, 2, 3, 5, 16, 17, 1, 1)]
    answers = await asyncio.gather(*(predict(server, "sized", "doubled", x) for x in asked))
    for x, answer in zip(asked, answers, strict=True):
        np.testing.assert_allclose(answer, x * 2)


@pytest.mark.parametrize("shape", [(2,), (3, 2, 2), (1, 3, 2)])
async def test_shapes_are_left_to_the_graph_where_the_operator_says_so(
    server: RealServer, shape: tuple[int, ...]
) -> None:
    x = np.ones(shape)
    np.testing.assert_allclose(await predict(server, "graph", "doubled", x), x * 2)
    assert "expected shape [?, 2]" in await predict(server, "plain", "doubled", x)
    assert "Expects arg[0] to be float" not in await predict(server, "plain", "doubled", x)


async def test_options_are_followed_while_it_runs(server: RealServer) -> None:
    control, catalog, file = server.runtime._parts.control, server.runtime.catalog, server.runtime._parts.config_file
    assert file is not None
    configs = file.read()
    off = next(config.options for config in configs if config.name == "off")
    version = catalog.resolve(ModelRef("plain"))
    try:
        await control.follow([replace(config, options=off) if config.name == "plain" else config for config in configs])
        assert await found(server, "plain") == {"doubled": "batching is off", "centred": "batching is off"}
        assert server.behind or catalog.resolve(ModelRef("plain")).handle is version.handle  # not loaded again
    finally:
        await control.follow(configs)
    assert (await found(server, "plain"))["doubled"] == ""
