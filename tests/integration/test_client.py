"""The client library against a server: both clients, the same questions, the same answers."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tensorgate.client as tg
from service.core.tensors import NUMPY_DTYPES
from service.errors import ErrorKind, GatewayError
from tensorgate.client import aio
from tensorgate.v1 import tensorgate_pb2 as pb
from tests.access import HIDDEN, SEEN, add, serving_with_access
from tests.certificates import Authority
from tests.conftest import Served, serving, until
from tests.fakes import SIZE, WINDOW

DARK, BRIGHT = np.zeros((SIZE, SIZE), np.uint8), np.full((SIZE, SIZE), 255, np.uint8)
NOT_CARRIED = {"complex64", "complex128"}


class Asker:
    """Either client, asked alike: what is not awaitable runs on a thread, as the server has the event loop."""

    def __init__(self, client: Any) -> None:
        self.client = client

    async def ask(self, method: Callable[..., Any], *args: Any, **options: Any) -> Any:
        if inspect.iscoroutinefunction(method):
            return await method(*args, **options)
        return await asyncio.to_thread(method, *args, **options)

    async def stream(self, model: Any, inputs: Any, **options: Any) -> list[Any]:
        found = model.stream(inputs, **options)
        if inspect.isasyncgen(found):
            return [answer async for answer in found]
        return await asyncio.to_thread(list, found)


@pytest.fixture(scope="module")
async def zoo(grpc_server: str) -> AsyncIterator[Served]:
    async with serving(backend="tests.zoo:ZooBackend", grpc_server=grpc_server, max_request_rows=64) as served:
        yield served


def client_of(kind: str, served: Served, **options: Any) -> Any:
    module = tg if kind == "sync" else aio
    return module.Client(f"127.0.0.1:{served.runtime.grpc_port}", timeout=20, **options)


async def closed(client: Any) -> None:
    if inspect.isawaitable(done := client.close()):
        await done


@pytest.fixture(params=["sync", "asyncio"])
async def asker(request: pytest.FixtureRequest, zoo: Served) -> AsyncIterator[Asker]:
    client = client_of(request.param, zoo, limits=tg.Limits(rows=64, size=1 << 20))
    yield Asker(client)
    await closed(client)


async def test_models_are_listed_and_described(asker: Asker) -> None:
    models = {model.name: model for model in await asker.ask(asker.client.models)}
    assert [version.state for version in models["shades"].versions] == ["END", "AVAILABLE", "AVAILABLE"]
    shades = await asker.ask(asker.client.model("shades").metadata)
    assert (shades.version, shades.kind, shades.image_shape) == (2, "image_classifier", (SIZE, SIZE, 1))
    assert shades.classes == ("dark", "grey", "bright")
    assert str(shades.signatures["serving_default"].inputs["images"]) == "float32 [?, 4, 4, 1]"
    steps = await asker.ask(asker.client.model("steps").metadata)
    assert (steps.window, steps.horizon, steps.quantile_levels) == (WINDOW, 3, (0.1, 0.5, 0.9))
    assert (await asker.ask(asker.client.model("shades", version=1).metadata)).version == 1


async def test_images_are_classified(asker: Asker, tmp_path: Path) -> None:
    shades = asker.client.model("shades")
    one = await asker.ask(shades.classify, BRIGHT, top_k=2)
    assert (one.label, one.score, one.model, one.version, one.ood_score) == ("bright", 1.0, "shades", 2, None)
    assert [scored.score for scored in one.classes] == [1.0, 0.0]
    assert one.to_pandas()["label"].tolist()[0] == "bright"
    assert (await asker.ask(asker.client.model("shades", version=1).classify, DARK.astype(float))).version == 1


async def test_a_batch_is_split_and_its_answers_are_in_order(asker: Asker, zoo: Served) -> None:
    before = zoo.backend.runs
    shades = [np.full((SIZE, SIZE), value % 256, np.uint8) for value in range(150)]
    answers = await asker.ask(asker.client.model("shades").classify, shades, top_k=3)
    for value, answer in enumerate(answers):
        bright = dict(answer.classes)["bright"]
        assert bright == pytest.approx(max(0, 2 * (value % 256) / 255 - 1), abs=1e-6)
    assert zoo.backend.runs - before >= 3  # 64 images a call
    x = np.arange(400, dtype=np.float32).reshape(200, 2)
    outputs = await asker.ask(asker.client.model("sum").predict, a=x, b=np.ones_like(x))
    np.testing.assert_array_equal(outputs["sum"], x + 1)
    assert outputs.version == 1
    with pytest.raises(tg.TooLarge, match="max_request_rows"):  # that it is split is what made it go
        await asker.ask(asker.client.call, "Classify", pb.ClassifyRequest(model="shades", images=[pb.Image()] * 65))


async def test_rows_that_may_depend_on_each_other_stay_together(asker: Asker) -> None:
    with pytest.raises(tg.TooLarge, match="max_request_rows"):
        await asker.ask(asker.client.model("scaled").predict, x=np.zeros(100, np.float32))


async def test_series_are_forecast_and_their_index_goes_on(asker: Asker) -> None:
    steps = asker.client.model("steps")
    one = await asker.ask(steps.forecast, [1, 2, 3, 4, 5, 6], horizon=2, quantiles=[0.1])
    assert one.values.tolist() == [7, 8]
    assert {level: values.tolist() for level, values in one.quantiles.items()} == {0.1: [-3, -2]}
    days = pd.Series(np.arange(8.0), pd.date_range("2024-02-26", periods=8))
    table = (await asker.ask(steps.forecast, days)).to_pandas()
    assert table.index[0] == pd.Timestamp("2024-03-05")
    assert table["forecast"].tolist() == [8, 9, 10]
    several = await asker.ask(steps.forecast, [[last] * WINDOW for last in range(70)])
    assert [forecast.values[0] for forecast in several] == list(range(1, 71))


@pytest.mark.parametrize("dtype", [name for name in NUMPY_DTYPES if name not in NOT_CARRIED])
async def test_arrays_of_every_dtype_come_back(asker: Asker, dtype: str) -> None:
    sent = np.array([["a", "b\0"]], object) if dtype == "string" else np.array([[0, 1, 1]], NUMPY_DTYPES[dtype])
    back = (await asker.ask(asker.client.model(f"echo_{dtype}").predict, x=sent))["y"]
    expected = np.array([[b"a", b"b\0"]], object) if dtype == "string" else sent.astype(np.float32)
    assert back.shape == sent.shape
    assert back.tolist() == expected.tolist()
    assert back.dtype.name == {"string": "object", "bfloat16": "float32"}.get(dtype, dtype)


@pytest.mark.parametrize("dtype", sorted(NOT_CARRIED))
async def test_complex_numbers_are_refused_here(asker: Asker, dtype: str) -> None:
    with pytest.raises(tg.InvalidInput, match="Open Inference Protocol"):
        await asker.ask(asker.client.model(f"echo_{dtype}").predict, x=np.array([1j], dtype))


async def test_any_signature_is_asked(asker: Asker) -> None:
    client = asker.client
    assert (await asker.ask(client.model("only").predict, x=[1, 2]))["y"].tolist() == [-1, -2]
    assert (await asker.ask(client.model("several").predict, x=[1, 2], signature="halve"))["y"].tolist() == [0.5, 1]
    assert (await asker.ask(client.model("scaled").predict, {"x": [1.0]}))["y"].tolist() == [3]
    assert (await asker.ask(client.model("fixed").predict, matrix=[[1, 2], [3, 4]]))["trace"].tolist() == 5
    text = await asker.ask(client.model("text", version=1).predict, text=["abc", "é"], outputs=["reversed"])
    assert {name: array.tolist() for name, array in text.items()} == {"reversed": [b"cba", "é".encode()[::-1]]}
    with pytest.raises(tg.NotFound, match="signature"):
        await asker.ask(client.model("several").predict, x=[1, 2])
    empty = await asker.ask(client.model("grid").predict, x=np.zeros((0, 3, 2)))
    assert empty["y"].shape == (0, 3, 2)


async def test_errors_say_where_what_was_expected_and_what_came(asker: Asker) -> None:
    with pytest.raises(tg.InvalidInput) as refused:
        await asker.ask(asker.client.model("shades").classify, [DARK, np.zeros((3, 3), np.uint8)])
    [violation] = refused.value.violations
    assert (violation.where, violation.got) == ("images[1].pixels", "shape [3, 3, 1]")
    assert refused.value.request_id
    client = asker.client
    with pytest.raises(tg.NotFound):
        await asker.ask(client.model("nope").metadata)
    with pytest.raises(tg.InvalidInput, match="expected an image classifier"):
        await asker.ask(client.model("steps").classify, DARK)
    with pytest.raises(tg.FailedPrecondition):
        await asker.ask(client.call, "SetLabel", pb.SetLabelRequest(model="shades", label="x", version=3))
    with pytest.raises(tg.Timeout):
        await asker.ask(client.models, timeout=0.0)
    with pytest.raises(tg.InvalidInput, match=r"method: expected one of Classify, .*, got 'Nope'"):
        await asker.ask(client.call, "Nope", pb.ListModelsRequest())
    with pytest.raises(tg.InvalidInput, match="outputs: expected a list of names, got 'scores'"):
        await asker.ask(client.model("shades").predict, images=[DARK[..., None]], outputs="scores")
    with pytest.raises(tg.InvalidInput, match=r"inputs: expected arrays by name, such as .*, got ndarray"):
        await asker.ask(client.model("shades").predict, DARK)
    with pytest.raises(tg.InvalidInput, match="a version or a label, got both"):
        asker.client.model("shades", version=1, label="x")


async def test_what_is_known_of_a_model_is_asked_again_when_it_is_another(asker: Asker, zoo: Served) -> None:
    model = asker.client.model("counts")
    assert (await asker.ask(model.predict, counts=[[1, 2, 3]]))["total"].tolist() == [6]
    known = model._ask._known
    stale = {
        name: tg.Signature(name, {"counts": tg.TensorSpec("counts", "string", None)}, {}, False)
        for name in known.signatures
    }
    model._ask._known = tg.ModelVersion("counts", 9, "AVAILABLE", "", "generic", (), stale)
    assert (await asker.ask(model.predict, counts=[[1, 2, 3]]))["total"].tolist() == [6]
    assert model._ask._known == known


async def test_a_stream_answers_in_order_and_tells_what_failed(asker: Asker) -> None:
    shades, steps, double = (asker.client.model(name) for name in ("shades", "steps", "double"))
    answers = await asker.stream(shades, [DARK, BRIGHT] * 20, top_k=1, in_flight=5)
    assert [answer.label for answer in answers] == ["dark", "bright"] * 20
    answers = await asker.stream(steps, ([last] * WINDOW for last in range(5)), horizon=1)
    assert [answer.values.tolist() for answer in answers] == [[1], [2], [3], [4], [5]]
    answers = await asker.stream(double, ({"x": [float(index)]} for index in range(5)))
    assert [answer["y"].tolist() for answer in answers] == [[0], [2], [4], [6], [8]]
    answers = await asker.stream(shades, [DARK, np.zeros((3, 3)), BRIGHT], return_errors=True)
    assert [type(answer) for answer in answers] == [tg.Classification, tg.InvalidInput, tg.Classification]
    with pytest.raises(tg.InvalidInput):
        await asker.stream(shades, [DARK, np.zeros((3, 3)), BRIGHT])
    with pytest.raises(TypeError, match="topk"):
        await asker.stream(shades, [DARK], topk=1)
    with pytest.raises(tg.InvalidInput, match="mappings of arrays by name, as double is generic"):
        await asker.stream(double, [[1.0]])


@pytest.mark.parametrize("kind", ["sync", "asyncio"])
async def test_a_deadline_reaches_the_server_and_ends_the_call(kind: str) -> None:
    async with serving() as served:
        served.backend.gate.clear()
        asker = Asker(client_of(kind, served))
        with pytest.raises(tg.Timeout) as late:
            await asker.ask(asker.client.model("shades").classify, DARK, timeout=0.5)
        assert late.value.code in {"timeout", "deadline_exceeded"}
        await until(lambda: served.backend.cancelled == served.backend.runs)
        served.backend.gate.set()
        await closed(asker.client)


@pytest.mark.parametrize("kind", ["sync", "asyncio"])
async def test_tls_with_a_certificate_of_ones_own(kind: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server, client = authority.issue("server"), authority.issue("client")
    settings = {"tls_certificate": server.certificate, "tls_key": server.key, "tls_client_ca": authority.certificate}
    async with serving(**settings) as served:
        shown = tg.Tls(authority.certificate, client.certificate, client.key.read_bytes())
        asker = Asker(client_of(kind, served, tls=shown, key="shown"))
        assert (await asker.ask(asker.client.model("shades").classify, DARK)).label == "dark"
        await closed(asker.client)
        stranger = Asker(client_of(kind, served, tls=tg.Tls(authority.certificate), retries=tg.Retries(attempts=1)))
        with pytest.raises(tg.Unavailable, match="no server answers at"):
            await stranger.ask(stranger.client.models)
        await closed(stranger.client)


@pytest.mark.parametrize("kind", ["sync", "asyncio"])
async def test_a_backend_that_fails_is_told_and_not_asked_again(kind: str) -> None:
    async with serving() as served:
        served.backend.failure = GatewayError(ErrorKind.BACKEND_FAILED, "out of order")
        asker = Asker(client_of(kind, served))
        with pytest.raises(tg.ServerError, match="out of order"):
            await asker.ask(asker.client.model("shades").classify, DARK)
        await closed(asker.client)


@pytest.mark.parametrize("kind", ["sync", "asyncio"])
async def test_who_may_not_is_told_so(kind: str, tmp_path: Path) -> None:
    async with serving_with_access(tmp_path) as served:
        reader = add(tmp_path / "access.toml", [SEEN], ["read"])
        user = add(tmp_path / "access.toml", [SEEN])
        nobody, seer, asker = (Asker(client_of(kind, served, key=key)) for key in (None, reader, user))
        await until_it_is_read(asker)
        assert (await asker.ask(asker.client.model(SEEN).classify, DARK)).label == "dark"
        with pytest.raises(tg.Unauthenticated) as unknown:
            await nobody.ask(nobody.client.models)
        assert unknown.value.code == "unauthenticated"
        with pytest.raises(tg.Forbidden):
            await seer.ask(seer.client.model(SEEN).classify, DARK)
        with pytest.raises(tg.NotFound):
            await asker.ask(asker.client.model(HIDDEN).metadata)
        for one in (nobody, seer, asker):
            await closed(one.client)


async def until_it_is_read(asker: Asker) -> None:
    """Waits until the server has taken up the file of keys."""
    async with asyncio.timeout(20):
        while True:
            try:
                await asker.ask(asker.client.models)
                return
            except tg.Unauthenticated:
                await asyncio.sleep(0.05)
