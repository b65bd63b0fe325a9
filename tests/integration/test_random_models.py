"""Models made at random, whose rows depend on each other or not, asked by many at a time: no answer is another's.

``TENSORGATE_TEST_SECONDS`` makes it more models, and ``TENSORGATE_TEST_SEED`` others.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from service.core.model_version import ModelRef
from tests.real_server import BACKENDS, RealServer, serving_config

Array = np.ndarray[Any, Any]
Operation = Callable[[Any], Any]
SEED = int(os.environ.get("TENSORGATE_TEST_SEED", "14"))
MODELS = 8 + int(float(os.environ.get("TENSORGATE_TEST_SECONDS", "0")) / 10)
WIDTH = 3
WEIGHTS = np.linspace(-1, 1, WIDTH * WIDTH, dtype=np.float32).reshape(WIDTH, WIDTH)

ROW_WISE: dict[str, Operation] = {
    "halved": lambda x: x / 2 + 1,
    "dense": lambda x: tf.matmul(x, WEIGHTS) if x.shape[-1] == WIDTH else x * 0.7,
    "softmax": lambda x: tf.nn.softmax(x, axis=-1),
    "cumulated_within": lambda x: tf.cumsum(x, axis=-1),
    "clipped": lambda x: tf.clip_by_value(x, -1, 1),
    "normed": lambda x: x / (1 + tf.norm(x, axis=-1, keepdims=True)),
    "looped": lambda x: tf.map_fn(lambda row: row - tf.reduce_min(row), x),
}
ROW_MIXING: dict[str, Operation] = {
    "centred": lambda x: x - tf.reduce_mean(x, 0),
    "cumulated": lambda x: tf.cumsum(x, axis=0) / 10,
    "reversed": lambda x: tf.reverse(x, [0]),
    "scaled": lambda x: x / (1e-3 + tf.reduce_max(tf.abs(x))),
    "shifted": lambda x: tf.roll(x, 1, axis=0),
    "sorted": lambda x: tf.sort(x, axis=0),
    "first": lambda x: x + x[:1],
    "counted": lambda x: x + tf.cast(tf.shape(x)[0], tf.float32),
    "products": lambda x: tf.matmul(tf.matmul(x, x, transpose_b=True), x) / 100,
    "kept": lambda x: tf.boolean_mask(x, x[:, 0] > 0),
    "padded": lambda x: tf.pad(x, [[0, 1], [0, 0]]),
}


class Drawn:
    """A model that was drawn: a few operations one after the other."""

    def __init__(self, random: Random, width: int) -> None:
        names = random.choices(sorted(ROW_WISE), k=random.randint(1, 3))
        self.mixes = random.random() < 0.5
        if self.mixes:
            names.insert(random.randrange(len(names) + 1), random.choice(sorted(ROW_MIXING)))
        self.width = width
        self.name = "-".join([*names, str(width)])
        operations = [{**ROW_WISE, **ROW_MIXING}[name] for name in names]

        def all_of_them(x: Any) -> dict[str, Any]:
            for operation in operations:
                x = operation(x)
            return {"y": x}

        spec = tf.TensorSpec([None, width], tf.float32, name="x")
        self.function = tf.function(all_of_them).get_concrete_function(spec)

    def save(self, folder: Path) -> None:
        module = tf.Module()
        module.f = self.function
        tf.saved_model.save(module, str(folder / "1"), signatures=self.function)

    def alone(self, x: Array) -> Array:
        return np.asarray(self.function(tf.constant(x))["y"])


def drawn(random: Random) -> dict[str, Drawn]:
    models = [Drawn(random, width) for width in (WIDTH, 1) for _ in range(MODELS)]
    return {model.name: model for model in models}


Served = tuple[RealServer, Mapping[str, Drawn]]


@pytest.fixture(scope="module", params=BACKENDS)
async def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    folder = tmp_path_factory.mktemp("models")
    models = drawn(Random(SEED))
    entries = []
    for name, model in models.items():
        model.save(folder / name)
        entries.append(f'config {{ name: "{name}" base_path: "{folder / name}" model_platform: "tensorflow" }}')
    config = folder / "models.config"
    config.write_text(f"model_config_list {{ {' '.join(entries)} }}")
    async with serving_config(request.param, config) as server:
        yield server, models


async def ask(server: RealServer, model: str, x: Array) -> Array:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(x))
    stub: Any = prediction_service_pb2_grpc.PredictionServiceStub(server.channel)
    response = await stub.Predict(request, timeout=60)
    return np.asarray(tf.make_ndarray(response.outputs["y"]))


def is_same(one: Array, other: Array) -> bool:
    """Returns whether they are equal within what the trial takes for equal."""
    return one.shape == other.shape and np.allclose(one, other, rtol=0, atol=2e-3 * np.abs(other).max(initial=1e-6))


async def test_what_does_not_mix_rows_is_batched_and_the_others_are_not(served: Served) -> None:
    server, models = served
    found = {name: server.runtime.catalog.resolve(ModelRef(name)).unbatched for name in models}
    batched = {name for name, unbatched in found.items() if not unbatched}
    # A model that mixes rows may do so without a trace: softmax and clipping can take all that was mixed away.
    assert batched >= {name for name, model in models.items() if not model.mixes}
    assert any(model.mixes and name not in batched for name, model in models.items())


async def test_each_answer_is_that_of_the_model_called_alone(served: Served) -> None:
    server, models = served
    random, numbers = Random(SEED + 1), np.random.default_rng(SEED)
    asked = []
    for model in models.values():
        for _ in range(20):
            rows = random.choice([1, 1, 1, 2, 3, 17, 128, 129, 200])
            asked.append((model, numbers.standard_normal((rows, model.width)).astype(np.float32)))
    random.shuffle(asked)
    answers = await asyncio.gather(*(ask(server, model.name, x) for model, x in asked))
    wrong = [
        f"{model.name} of {len(x)} rows"
        for (model, x), answer in zip(asked, answers, strict=True)
        if not is_same(answer, model.alone(x))
    ]
    assert not wrong, wrong


async def test_numbers_in_another_shape_are_answered_right_or_refused(served: Served) -> None:
    server, models = served
    numbers = np.random.default_rng(SEED)
    answered = 0
    for model in models.values():
        for shape in ((), (4,), (2, 3), (2, 2, 2)) if model.width == 1 else ((WIDTH,), (2, 2, WIDTH)):
            x = numbers.standard_normal(shape).astype(np.float32)
            try:
                answer = await ask(server, model.name, x)
            except grpc.aio.AioRpcError as error:
                assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
                assert "expected shape" in str(error.details())
                assert model.mixes or model.width > 1
                continue
            answered += 1
            assert is_same(answer, model.alone(x.reshape(-1, 1)).reshape(shape)), (model.name, shape)
    assert answered
