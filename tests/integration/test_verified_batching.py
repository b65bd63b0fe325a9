"""Whatever a model does with its rows, each answer is that of the model called alone."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from service.app.lifecycle import Server
from service.app.settings import load
from service.core.call import Call
from service.core.deadline import Deadline
from service.core.model_version import ModelRef

FLOATS = tf.TensorSpec([None, 3], tf.float32, name="x")
COLUMN = tf.TensorSpec([None], tf.float32, name="x")
TEXTS = tf.TensorSpec([None], tf.string, name="x")


ROW_WISE: dict[str, tuple[Callable[..., Any], tf.TensorSpec]] = {
    "doubled": (lambda x: x * 2, FLOATS),
    "normed": (lambda x: x / (1 + tf.norm(x, axis=1, keepdims=True)), FLOATS),
    "cumulated_within": (lambda x: tf.cumsum(x, axis=1), FLOATS),
    "lengths": (tf.strings.length, TEXTS),
    "ranks": (lambda x: tf.argsort(x, axis=1), FLOATS),
    "looped": (lambda x: tf.map_fn(tf.reduce_sum, x), FLOATS),
}
ROW_MIXING: dict[str, tuple[Callable[..., Any], tf.TensorSpec]] = {
    "products": (lambda x: tf.matmul(x, x, transpose_b=True), FLOATS),
    "cumulated": (tf.cumsum, COLUMN),
    "centred": (lambda x: x - tf.reduce_mean(x, 0), FLOATS),
    "scaled": (lambda x: x / tf.reduce_max(tf.abs(x)), FLOATS),
    "reversed": (lambda x: tf.reverse(x, [0]), FLOATS),
    "sorted": (tf.sort, COLUMN),
    "unique": (lambda x: tf.unique(tf.round(x))[0], COLUMN),
    "positive": (lambda x: tf.boolean_mask(x, x > 0), COLUMN),
    "positions": (lambda x: tf.range(tf.shape(x)[0]), COLUMN),
    "batch_norm": (lambda x: tf.nn.batch_normalization(x, *tf.nn.moments(x, [0]), None, None, 1e-3), FLOATS),
    "words": (lambda x: tf.strings.split(x).to_tensor(), TEXTS),
    "examples": (lambda x: tf.io.parse_example(x, {"a": tf.io.FixedLenFeature([], tf.float32)})["a"], TEXTS),
}
SHUFFLED = {"shuffled": (tf.random.shuffle, COLUMN)}


def _save(folder: Path, of: Callable[..., Any], spec: tf.TensorSpec) -> Callable[[np.ndarray], np.ndarray]:
    module = tf.Module()
    function = tf.function(lambda x: {"y": of(x)}).get_concrete_function(spec)
    module.f = function
    tf.saved_model.save(module, str(folder / "1"), signatures=function)
    return lambda x: np.asarray(function(tf.constant(x))["y"])


class Counter(tf.Module):  # type: ignore[misc]
    """Answers how often it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.count = tf.Variable(0, dtype=tf.int32)

    @tf.function(input_signature=[COLUMN])  # type: ignore[untyped-decorator]
    def called(self, x: Any) -> Any:
        """Counts; the answer has as many rows as came."""
        return {"y": tf.fill(tf.shape(x), self.count.assign_add(1))}


Alone = Mapping[str, Callable[[np.ndarray], np.ndarray]]


@pytest.fixture(scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Server, Alone]]:
    """All models, in this process."""
    folder = tmp_path_factory.mktemp("models")
    models = ROW_WISE | ROW_MIXING | SHUFFLED
    alone = {name: _save(folder / name, of, spec) for name, (of, spec) in models.items()}
    counter = Counter()
    tf.saved_model.save(counter, str(folder / "counter" / "1"), signatures=counter.called)
    async with Server(load({"models": folder, "rest_port": 0, "grpc_port": 0})) as server:
        await asyncio.wait_for(server.ready(), 120)
        yield server, alone


async def ask(server: Server, model: str, x: np.ndarray) -> np.ndarray:
    engine = server._parts.engine
    call = Call("test", "test", "id", Deadline.after(60))
    version = engine.resolve(ModelRef(model), call)
    outputs = await engine.run(version, "serving_default", {"x": x}, call)
    return outputs["y"]


def rows_of(spec: tf.TensorSpec, rows: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    if spec.dtype == tf.string:
        return random.choice(np.array([b"a", b"a b", b"a b c"], object), rows)
    return random.standard_normal((rows, *spec.shape[1:])).astype(np.float32)


@pytest.mark.parametrize("model", ROW_WISE)
async def test_what_works_row_by_row_is_batched(served: tuple[Server, Alone], model: str) -> None:
    server, _ = served
    assert server.catalog.resolve(ModelRef(model)).unbatched == {}


@pytest.mark.parametrize("model", [*ROW_MIXING, *SHUFFLED, "counter"])
async def test_what_does_not_is_not_and_says_why(served: tuple[Server, Alone], model: str) -> None:
    server, _ = served
    reason = server.catalog.resolve(ModelRef(model)).unbatched["serving_default"]
    expected = {
        "shuffled": "RandomShuffle",
        "counter": "AssignAddVariableOp",
        "examples": "no input was found",
        "unique": "no row for each",
        "positive": "no row for each",
    }
    assert expected.get(model, "") in reason


@pytest.mark.parametrize("model", ROW_WISE | {name: of for name, of in ROW_MIXING.items() if name != "examples"})
async def test_each_answer_is_the_models_own_whoever_asks_beside(served: tuple[Server, Alone], model: str) -> None:
    server, alone = served
    _, spec = (ROW_WISE | ROW_MIXING)[model]
    sizes = [1] * 16 + [2, 3, 7, 128, 129, 200]
    asked = [rows_of(spec, rows, seed) for seed, rows in enumerate(sizes)]
    answers = await asyncio.gather(*(ask(server, model, x) for x in asked))
    for x, answer in zip(asked, answers, strict=True):
        expected = alone[model](x)
        assert answer.shape == expected.shape
        if expected.dtype.kind == "f":
            np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-5)
        else:
            np.testing.assert_array_equal(answer, expected)


async def test_a_counter_gives_each_of_its_callers_a_count_of_their_own(served: tuple[Server, Alone]) -> None:
    server, _ = served
    answers = await asyncio.gather(*(ask(server, "counter", np.zeros(1, np.float32)) for _ in range(200)))
    counts = sorted(int(answer[0]) for answer in answers)
    assert counts == list(range(counts[0], counts[0] + 200))


async def test_what_is_shuffled_has_the_rows_that_came(served: tuple[Server, Alone]) -> None:
    server, _ = served
    asked = [rows_of(COLUMN, rows, seed) for seed, rows in enumerate([1, 2, 5, 200] * 5)]
    answers = await asyncio.gather(*(ask(server, "shuffled", x) for x in asked))
    for x, answer in zip(asked, answers, strict=True):
        np.testing.assert_array_equal(np.sort(answer), np.sort(x))
