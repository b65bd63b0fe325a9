"""Requests that would cost far more than their bytes are refused before they do, over every transport."""

import base64
import io
from typing import Any

import grpc
import httpx
import pytest
from PIL import Image

from service.wire import open_inference_pb2 as oip
from tensorgate.v1 import tensorgate_pb2 as pb
from tests.clients import classify_request, error_outcome, problem_outcome
from tests.conftest import Served, serving

CLASSIFY = "/api/v1/models/shades/classify"
FORECAST = "/api/v1/models/steps/forecast"
RAMP = [1, 2, 3, 4, 5, 6]


async def test_many_levels_are_refused_on_both_transports_before_they_are_looked_at(served: Served) -> None:
    levels = [0.5] * 2000
    response = await served.rest.post(FORECAST, json={"series": [RAMP], "quantiles": levels})
    assert (problem_outcome(response).code, problem_outcome(response).where) == ("too_large", ("quantiles",))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await served.stub.Forecast(pb.ForecastRequest(model="steps", series=[pb.Series(values=RAMP)], quantiles=levels))
    assert (error_outcome(caught.value).code, error_outcome(caught.value).where) == ("too_large", ("quantiles",))


def jpeg_of_many_scans(scans: int) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((64, 64), 100).save(file, "JPEG", progressive=True)
    data = file.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * scans + data[-2:]


async def test_scans_of_a_picture_count_as_pixels_over_both_transports() -> None:
    data = jpeg_of_many_scans(1000)
    async with serving(max_image_pixels=64 * 64 * 20) as served:
        response = await served.rest.post(CLASSIFY, content=data, headers={"content-type": "image/jpeg"})
        assert (response.status_code, problem_outcome(response).where) == (413, ("images[0].encoded",))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await served.stub.Classify(classify_request("shades", images=[{"encoded": data}]))
        assert error_outcome(caught.value).code == "too_large"
        few = jpeg_of_many_scans(10)
        response = await served.rest.post(CLASSIFY, content=few, headers={"content-type": "image/jpeg"})
        assert response.status_code == 200


async def test_the_pixels_of_files_are_bounded_in_generic_requests_too() -> None:
    file = io.BytesIO()
    Image.new("L", (200, 200)).save(file, "PNG")
    text = base64.b64encode(file.getvalue()).decode()
    async with serving(max_image_pixels=50_000) as served:

        async def ask(count: int) -> list[httpx.Response]:
            rows = {"signature_name": "classify_bytes", "instances": [{"b64": text}] * count}
            data = {
                "name": "image_bytes",
                "datatype": "BYTES",
                "shape": [count],
                "data": [text] * count,
                "parameters": {"content_type": "base64"},
            }
            infer = {"parameters": {"signature_name": "classify_bytes"}, "inputs": [data]}
            predict = await served.rest.post("/v1/models/shades:predict", json=rows)
            return [predict, await served.rest.post("/v2/models/shades/infer", json=infer)]

        assert [answer.status_code for answer in await ask(1)] == [200, 200]
        for answer in await ask(2):
            assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
            assert "max_image_pixels" in answer.json()["error"]
        strings = oip.InferTensorContents(bytes_contents=[file.getvalue()] * 2)
        tensor = oip.ModelInferRequest.InferInputTensor(
            name="image_bytes", datatype="BYTES", shape=[2], contents=strings
        )
        parameters = {"signature_name": oip.InferParameter(string_param="classify_bytes")}
        message = oip.ModelInferRequest(model_name="shades", inputs=[tensor], parameters=parameters)
        infer: Any = served.channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        with pytest.raises(grpc.aio.AioRpcError, match="max_image_pixels"):
            await infer(message.SerializeToString())
