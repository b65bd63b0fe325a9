"""What is tried, and what is made of it; with real models: tests/integration/test_verified_batching.py."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from service.core.batch_policy import BatchMode, BatchPolicy
from service.core.tasks import Run
from service.core.tensors import Signature, Tensor, TensorSpec
from service.core.verified_batching import find_unbatched
from service.errors import ErrorKind, GatewayError

Rows = Callable[[Tensor], Tensor]


def signature(dtype: str = "float32", *inner: int | None) -> Signature:
    return Signature("s", "", {"x": TensorSpec(dtype, (None, *inner))}, {"y": TensorSpec("float32", (None, None))})


def running(answer: Rows, runs: list[Tensor] | None = None) -> Run:
    async def run(_: Signature, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        if runs is not None:
            runs.append(inputs["x"])
        return {"y": answer(inputs["x"])}

    return run


def refusing(kind: ErrorKind) -> Rows:
    def refuse(_: Tensor) -> Tensor:
        raise GatewayError(kind, "no")

    return refuse


async def reason(answer: Rows, tried: Signature | None = None, **more: Mapping[str, object]) -> str:
    tried = tried or signature("float32", 3)
    found = await find_unbatched({"s": tried}, running(answer), policy=lambda _: BatchPolicy(max_batch_size=64), **more)  # type: ignore[arg-type]
    return found.get("s", "")


async def test_rows_that_are_their_own_are_batched() -> None:
    assert await reason(lambda x: x * 2) == ""


@pytest.mark.parametrize("size", [1e-4, 1e-2])
async def test_numbers_may_differ_by_a_thousandth_of_the_largest(size: float) -> None:
    assert (await reason(lambda x: np.full(x.shape, 1 + size * len(x) / 100, np.float32)) == "") == (size < 1e-3)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (lambda x: x - x.mean(0), "y of 2 rows together differs"),
        (lambda x: x[:1], "y has no row for each of 2 rows"),
        (lambda x: np.ones((), np.float32), "y has no row for each of 2 rows"),
        (lambda x: x @ x.T, "y has no row for each of 2 rows"),
        (lambda x: x if len(x) < 64 else x[::-1], "y of 64 rows together differs"),
    ],
)
async def test_rows_that_are_not_are_not(answer: Rows, expected: str) -> None:
    assert expected in await reason(answer)


async def test_what_answers_the_same_with_something_else_is_not() -> None:
    random = np.random.default_rng(0)
    assert await reason(lambda x: np.asarray(random.standard_normal(x.shape))) == "y is another each time"


async def test_integers_are_tried_as_indices_of_few() -> None:
    table = np.arange(4, dtype=np.float32)

    def looked_up(x: Tensor) -> Tensor:
        if x.max() >= len(table):
            raise GatewayError(ErrorKind.INVALID_INPUT, "out of range")
        return table[x]

    assert await reason(looked_up, signature("int64")) == ""


async def test_free_dimensions_are_tried_in_several_sizes() -> None:
    def of_sixteen(x: Tensor) -> Tensor:
        if x.shape[1] != 16:
            raise GatewayError(ErrorKind.INVALID_INPUT, "16 expected")
        return x

    assert await reason(of_sixteen, signature("float32", None)) == ""


@pytest.mark.parametrize("kind", [ErrorKind.INVALID_INPUT, ErrorKind.BACKEND_FAILED, ErrorKind.TIMEOUT])
async def test_what_cannot_be_tried_is_not_batched(kind: ErrorKind) -> None:
    assert await reason(refusing(kind)) == "no input was found that the model takes"


@pytest.mark.parametrize("kind", [ErrorKind.BACKEND_UNAVAILABLE, ErrorKind.NOT_READY])
async def test_a_backend_that_is_away_says_nothing_of_the_model(kind: ErrorKind) -> None:
    with pytest.raises(GatewayError) as raised:
        await reason(refusing(kind))
    assert raised.value.kind is kind


async def test_recorded_requests_are_tried_first_where_they_differ() -> None:
    runs: list[Tensor] = []
    texts = [np.array([text], object) for text in (b"real", b"records")]
    for recorded, first in ((texts, b"real"), (texts[:1] * 2, None)):
        runs.clear()
        await find_unbatched(
            {"s": signature("string")},
            running(lambda x: np.array([[len(text)] for text in x], np.float32), runs),
            policy=lambda _: BatchPolicy(max_batch_size=4),
            recorded={"s": [{"x": text} for text in recorded]},
        )
        assert (runs[0][0] == first) == (first is not None)
        assert max(map(len, runs)) == 4


async def test_what_is_known_to_keep_state_is_not_run() -> None:
    assert await reason(refusing(ErrorKind.NOT_READY), stateful={"s": "it counts"}) == "it counts"


async def test_rows_are_tried_also_where_nothing_is_merged() -> None:
    tried = {"s": signature("float32", 3)}
    found = await find_unbatched(
        tried, running(lambda x: x - x.mean(0)), policy=lambda _: BatchPolicy(max_batch_size=1)
    )
    assert "differs" in found["s"]


async def test_nothing_is_tried_where_batching_is_off() -> None:
    tried = {"s": signature("float32", 3)}
    policy = BatchPolicy(mode=BatchMode.OFF)
    found = await find_unbatched(tried, running(refusing(ErrorKind.NOT_READY)), policy=lambda _: policy)
    assert found == {"s": "batching was off when it was loaded"}
