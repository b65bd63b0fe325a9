"""Requests made to hurt: each is answered with what is wrong, and nobody else waits for it."""

import asyncio
import io
import struct
import threading
import zlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from PIL import Image

from service.codecs.images import Checked, as_seen, check_encoded
from tensorgate.v1 import tensorgate_pb2 as pb
from tests.clients import classify_request, error_outcome, forecast_request, problem_outcome
from tests.conftest import Served, serving, too_late, until

CLASSIFY = "/api/v1/models/shades/classify"
FORECAST = "/api/v1/models/steps/forecast"
BLACK = {"images": [{"pixels": [[0] * 4] * 4}]}
RAMP = [1, 2, 3, 4, 5, 6]
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        (CLASSIFY, b'{"images":[' + b"0," * 500_000 + b"0]}", "too_large"),
        (FORECAST, b'{"series":[' + b"[1]," * 500_000 + b"[1]]}", "too_large"),
        (CLASSIFY, b"{" + b",".join(b'"k%d":1' % key for key in range(100_000)) + b"}", "invalid_input"),
        (CLASSIFY, b'{"images":[{' + b",".join(b'"k%d":1' % key for key in range(100_000)) + b"}]}", "invalid_input"),
    ],
)
async def test_many_of_anything_are_refused_before_they_are_looked_at(
    served: Served, path: str, body: bytes, code: str
) -> None:
    response = await served.rest.post(path, content=body, headers=JSON)
    outcome = problem_outcome(response)
    assert outcome.code == code
    assert len(response.content) < 10_000


async def test_many_of_anything_are_refused_over_grpc_too(served: Served) -> None:
    images = pb.ClassifyRequest(model="shades", images=[pb.Image()] * 300_000)
    series = pb.ForecastRequest(model="steps", series=[pb.Series()] * 300_000)
    for method, request in ((served.stub.Classify, images), (served.stub.Forecast, series)):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await method(request)
        assert error_outcome(caught.value).code == "too_large"


def png_of_many_chunks(count: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 4, 4, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(20))
    many = chunk(b"prVt", b"") * count
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + many + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


async def test_a_file_that_takes_long_to_walk_through_is_looked_at_on_a_thread(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def noted(data: bytes, **options: Any) -> Checked:
        threads.append(threading.current_thread())
        return check_encoded(data, **options)

    monkeypatch.setattr("service.protocols.native.classify.check_encoded", noted)
    for chunks in (0, 50_000):
        data = png_of_many_chunks(chunks)
        response = await served.rest.post(CLASSIFY, content=data, headers={"content-type": "image/png"})
        assert response.status_code == 200
    assert threads[0] is threading.main_thread()
    assert threads[1] is not threading.main_thread()


async def test_a_small_file_that_unpacks_to_much_is_unpacked_on_a_thread(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def noted(data: bytes, **options: Any) -> bytes:
        threads.append(threading.current_thread())
        return as_seen(data, **options)

    monkeypatch.setattr("service.protocols.native.classify.as_seen", noted)
    for side in (8, 1000):
        file = io.BytesIO()
        Image.new("RGBA", (side, side)).save(file, "PNG")
        response = await served.rest.post(CLASSIFY, content=file.getvalue(), headers={"content-type": "image/png"})
        assert response.status_code == 200
    assert threads[0] is threading.main_thread()
    assert threads[1] is not threading.main_thread()


async def test_many_small_files_are_unpacked_on_a_thread(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = set()

    def noted(data: bytes, **options: Any) -> bytes:
        threads.add(threading.current_thread())
        return as_seen(data, **options)

    monkeypatch.setattr("service.protocols.native.classify.as_seen", noted)
    file = io.BytesIO()
    Image.new("RGBA", (1, 1)).save(file, "PNG")
    images = [{"encoded": file.getvalue()}] * 300
    answer = await served.stub.Classify(classify_request("shades", images=images))
    assert len(answer.results) == 300
    assert threading.main_thread() not in threads


async def test_what_a_file_becomes_larger_by_counts_among_the_bytes_in_flight() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.effect_noise((200, 200), 100).save(file, "JPEG", quality=10, exif=exif)
    async with serving(max_bytes_in_flight=30_000) as served:
        refused = await served.rest.post(CLASSIFY, content=file.getvalue(), headers={"content-type": "image/jpeg"})
        assert (refused.status_code, problem_outcome(refused).code) == (413, "too_large")  # and never will fit


async def test_the_pixels_of_all_files_count_together() -> None:
    file = io.BytesIO()
    Image.new("L", (100, 100)).save(file, "PNG")
    async with serving(max_image_pixels=25_000) as served:
        images = [{"encoded": file.getvalue()}] * 3
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await served.stub.Classify(classify_request("shades", images=images))
        outcome = error_outcome(caught.value)
        assert (outcome.code, outcome.where) == ("too_large", ("images[2].encoded",))


async def test_files_that_unpack_to_much_are_run_a_few_at_a_time(served: Served) -> None:
    file = io.BytesIO()
    Image.new("L", (1500, 1500)).save(file, "PNG")
    images = [{"encoded": file.getvalue()}] * 4
    answer = await served.stub.Classify(classify_request("shades", images=images, top_k=1))
    assert len(answer.results) == 4
    assert served.backend.runs == 4
    served.backend.gate.clear()

    async def ask(seconds: float) -> None:
        with pytest.raises(grpc.aio.AioRpcError):
            await served.stub.Classify(classify_request("shades", images=images), timeout=seconds)

    await too_late(served, ask)
    served.backend.gate.set()
    await until(lambda: served.backend.cancelled == 1)
    assert served.backend.runs == 5


async def test_bytes_in_flight_are_bounded() -> None:
    async with serving(max_bytes_in_flight=60_000) as served:
        served.backend.gate.clear()
        series = [*RAMP] * 2000
        holding = asyncio.create_task(served.rest.post(FORECAST, json={"series": [series] * 2}))
        await until(lambda: served.backend.runs == 1)
        refused = await served.rest.post(FORECAST, json={"series": [series] * 2})
        assert (refused.status_code, problem_outcome(refused).code) == (429, "overloaded")
        assert "max_bytes_in_flight" in refused.json()["detail"]
        served.backend.gate.set()
        assert (await holding).status_code == 200
        assert (await served.rest.post(FORECAST, json={"series": [series] * 2})).status_code == 200


async def test_open_streams_take_no_place_from_requests() -> None:
    async with serving(max_streams_in_flight=2, max_requests_in_flight=1) as served:
        open_streams = [served.stub.ForecastStream() for _ in range(2)]
        for stream in open_streams:
            await stream.write(forecast_request("steps", series=[RAMP]))
            await stream.read()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await served.stub.ForecastStream().read()
        assert error_outcome(caught.value).code == "overloaded"
        assert (await served.rest.post(CLASSIFY, json=BLACK)).status_code == 200
        for stream in open_streams:
            stream.cancel()


async def test_an_idle_stream_ends() -> None:
    async with serving(stream_idle_timeout=0.5) as served:
        stream = served.stub.ForecastStream()
        await stream.write(forecast_request("steps", series=[RAMP]))
        assert (await stream.read()).response.model == "steps"
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stream.read()
        assert error_outcome(caught.value).code == "timeout"


async def test_bytes_that_are_no_message_end_the_stream_with_a_meaning(served: Served) -> None:
    async def messages() -> AsyncIterator[bytes]:
        yield forecast_request("steps", series=[RAMP]).SerializeToString()
        yield b"\xff\xff"

    method: Any = served.channel.stream_stream("/tensorgate.v1.TensorgateService/ForecastStream")
    call = method(messages())
    assert pb.ForecastStreamResponse.FromString(await call.read()).response.model == "steps"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert error_outcome(caught.value).code == "malformed"


@pytest.mark.parametrize("charset", ["undefined", "punycode", "nope"])
async def test_a_form_cannot_choose_any_codec(served: Served, charset: str) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="a\xff"\r\n\r\n1\r\n--x--\r\n'
    headers = {"content-type": f"multipart/form-data; boundary=x; charset={charset}"}
    outcome = problem_outcome(await served.rest.post(CLASSIFY, content=body, headers=headers))
    assert outcome.code in {"malformed", "invalid_input"}


async def test_a_form_that_is_cut_off_is_not_half_answered(served: Served) -> None:
    png = png_of_many_chunks(0)
    parts = [b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n' + png + b"\r\n"] * 2
    whole = b"".join(parts) + b"--x--\r\n"
    headers = {"content-type": "multipart/form-data; boundary=x"}
    assert len((await served.rest.post(CLASSIFY, content=whole, headers=headers)).json()["results"]) == 2
    cut = await served.rest.post(CLASSIFY, content=whole[:-40], headers=headers)
    assert problem_outcome(cut).code == "malformed"


async def test_a_form_with_too_many_files_says_so() -> None:
    async with serving(max_request_rows=3) as served:
        files = [("f", ("f", b"x"))] * 5
        outcome = problem_outcome(await served.rest.post(CLASSIFY, files=files))
        assert (outcome.code, outcome.where) == ("too_large", ("images",))
    async with serving(default_timeout=300) as served:
        files = [("f", ("f", b"x"))] * 10_001
        outcome = problem_outcome(await served.rest.post(CLASSIFY, files=files, timeout=300))
        assert outcome.code == "too_large"


@pytest.mark.parametrize("pixels", [[[[1], [2]], [[1, 2], [3, 4]]], [[[[1]], [1]]], [[0] * 3, [0] * 4]])
async def test_ragged_pixels_are_refused(served: Served, pixels: Any) -> None:
    outcome = problem_outcome(await served.rest.post(CLASSIFY, json={"images": [{"pixels": pixels}]}))
    assert outcome.code == "invalid_input"


@pytest.mark.parametrize("shade", [-1, 256, -1e37])
async def test_pixels_beyond_their_range_are_refused(served: Served, shade: float) -> None:
    outcome = problem_outcome(await served.rest.post(CLASSIFY, json={"images": [{"pixels": [[shade] * 4] * 4}]}))
    assert (outcome.code, outcome.where) == ("invalid_input", ("images[0].pixels",))
    assert "values from 0 to 255" in outcome.message


async def test_an_answer_of_the_model_that_is_no_number_is_the_models_failure(served: Served) -> None:
    # The fake's quantiles lie above the last value: here beyond what float32 holds.
    almost = [0, 0, 0, 0, 0, 3.4028234e38]
    served.backend.spread = 1e38
    outcome = problem_outcome(await served.rest.post(FORECAST, json={"series": [almost]}))
    assert outcome.code == "backend_failed"


async def test_long_names_are_shown_short(served: Served) -> None:
    response = await served.rest.post(CLASSIFY, json=BLACK | {"k" * 100_000: 1})
    assert problem_outcome(response).code == "invalid_input"
    assert len(response.content) < 2000


async def test_operators_paths_have_request_ids_and_meanings_too(served: Served) -> None:
    refused = await served.rest.post("/metrics", headers={"x-request-id": "mine"})
    assert problem_outcome(refused).request_id == "mine"
    odd = await served.rest.get("/metrics", headers={"accept": "application/openmetrics-text; version=abc"})
    assert odd.status_code == 200


async def test_an_unknown_method_has_a_meaning_over_grpc(served: Served) -> None:
    for path in ("/tensorgate.v1.TensorgateService/Nope", "/a/b"):
        call: Any = served.channel.unary_unary(path)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(b"")
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert error_outcome(caught.value).code == "not_found"
    assert await served.metric("tensorgate_requests_total", method="_other", protocol="grpc") == 2


async def test_rows_of_a_stream_are_counted_once(served: Served) -> None:
    requests = [forecast_request("steps", series=[RAMP])] * 10
    assert len([answer async for answer in served.stub.ForecastStream(iter(requests))]) == 10
    assert await served.metric("tensorgate_request_rows_sum") == 10


async def test_a_stream_that_its_client_cancels_late_was_cancelled() -> None:
    async with serving(default_timeout=1) as served:
        stream = served.stub.ForecastStream()
        await stream.write(forecast_request("steps", series=[RAMP]))
        await stream.read()
        await asyncio.sleep(1.1)
        stream.cancel()
        async with asyncio.timeout(10):
            while await served.metric("tensorgate_requests_total", code="cancelled") != 1:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert await served.metric("tensorgate_requests_total", code="timeout") == 0
