"""TensorFlow Serving's PredictionService, asked with its own stubs: what the recorded answers do not hold."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from tests.real_server import serving_models
from tests.upstream_stubs import Stubs, examples, predict, refusal, serving_zoo, with_examples

pytestmark = pytest.mark.usefixtures("with_grpc_server")

Code = grpc.StatusCode


@pytest.fixture(scope="module")
async def stubs(grpc_server: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stubs]:
    async with serving_zoo(tmp_path_factory.mktemp("zoo"), grpc_server=grpc_server) as stubs:
        yield stubs


async def test_what_examples_everywhere_read_is_there(stubs: Stubs) -> None:
    request = predict("modes", "square", x=np.array([3, 4], np.float32))
    assert request.inputs["x"].tensor_content  # as tf.make_tensor_proto writes numbers
    response = await stubs.predictions.Predict(request)
    assert list(response.outputs["y"].float_val) == [9, 16]
    assert not response.outputs["y"].tensor_content
    assert response.model_spec.version.value == 1


@pytest.mark.parametrize("setting", [True, False])
@pytest.mark.parametrize("asked", ["true", "false", None])
async def test_numbers_are_bytes_where_the_client_or_else_the_setting_says_so(
    stubs: Stubs, setting: bool, asked: str | None
) -> None:
    async with serving_models(stubs.folder, tensor_content=setting) as server:
        stub: Any = prediction_service_pb2_grpc.PredictionServiceStub(server.channel)
        metadata = [] if asked is None else [("x-tensorgate-tensor-content", asked)]
        output = (
            await stub.Predict(predict("modes", "square", x=np.array([3, 4], np.float32)), metadata=metadata)
        ).outputs["y"]
        as_content = setting if asked is None else asked == "true"
        assert (bool(output.tensor_content), bool(output.float_val)) == (as_content, not as_content)
        np.testing.assert_array_equal(tf.make_ndarray(output), [9, 16])


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (predict("modes", "nope", x=[1.0]), Code.FAILED_PRECONDITION, 'Serving signature key "nope" not found.'),
        (
            predict("pair", left=[[1.0, 2.0]]),
            Code.INVALID_ARGUMENT,
            "input size does not match signature: 1!=2 len({left}) != len({left,right}). Sent extra: {}. "
            "Missing but required: {right}.",
        ),
        (
            predict("modes", x=[1.0], y=[1.0]),
            Code.INVALID_ARGUMENT,
            "input size does not match signature: 2!=1 len({x,y}) != len({x}). Sent extra: {y}. "
            "Missing but required: {}.",
        ),
        (
            predict("modes", y=[1.0]),
            Code.INVALID_ARGUMENT,
            "Signature input alias: x(feed name: serving_default_x:0) not found in request and no default value "
            "provided",
        ),
        (predict(""), Code.INVALID_ARGUMENT, "ModelSpec has no name specified."),
        (predict_pb2.PredictRequest(), Code.INVALID_ARGUMENT, "Missing ModelSpec"),
        (predict("modes", x=np.ones(2, np.float64)), Code.INVALID_ARGUMENT, "Expects arg[0] to be float but double is provided"),
    ],
)  # fmt: skip
async def test_predict_refuses_in_upstreams_words(stubs: Stubs, request_: Any, code: Code, text: str) -> None:
    assert await refusal(stubs.predictions.Predict(request_)) == (code, text)


async def test_predict_filters_outputs(stubs: Stubs) -> None:
    request = predict("vector", x=[1.0, 2.0, 3.0])
    request.output_filter.append("total")
    assert list((await stubs.predictions.Predict(request)).outputs) == ["total"]
    request.output_filter.append("total")
    assert await refusal(stubs.predictions.Predict(request)) == (
        Code.INVALID_ARGUMENT,
        "duplicate output tensor alias: total",
    )
    request.output_filter[:] = ["nope"]
    assert await refusal(stubs.predictions.Predict(request)) == (
        Code.INVALID_ARGUMENT,
        "output tensor alias not found in signature: nope Outputs expected to be in the set {total,y}.",
    )


async def test_texts_are_cut_as_upstream_cuts_them(stubs: Stubs) -> None:
    inputs: dict[str, Any] = {"i" * 2000: [1.0]}
    _, text = await refusal(stubs.predictions.Predict(predict("modes", **inputs)))
    assert len(text) <= 1024


async def test_classify(stubs: Stubs) -> None:
    request = examples(classification_pb2.ClassificationRequest(), "half", "classify_x_to_y", 1, 2)
    response = await stubs.predictions.Classify(request)
    assert [[c.score for c in row.classes] for row in response.result.classifications] == [[2.5], [3.0]]
    assert response.model_spec.signature_name == "classify_x_to_y"


async def test_regress_with_a_context(stubs: Stubs) -> None:
    request = examples(regression_pb2.RegressionRequest(), "half", "regress_x_to_y", float("nan"), 1, context=5)
    response = await stubs.predictions.Regress(request)
    assert [regression.value for regression in response.result.regressions] == [4.5, 2.5]


@pytest.mark.parametrize(
    ("signature", "values", "text"),
    [
        ("nope", [1.0], "No signature was found with the name: nope"),
        ("regress_x_to_y", [], "Input is empty."),
        ("serving_default", [1.0], "No regression inputs found in SignatureDef:"),
        ("classify_x_to_y", [1.0], "No regression outputs found in SignatureDef:"),
        ("regress_x2_to_y3", [1.0], "Expects arg[0] to be float but string is provided"),
    ],
)
async def test_regress_refuses_in_upstreams_words(stubs: Stubs, signature: str, values: list[float], text: str) -> None:
    request = examples(regression_pb2.RegressionRequest(), "half", signature, *values)
    code, details = await refusal(stubs.predictions.Regress(request))
    assert (code, details[: len(text)]) == (Code.INVALID_ARGUMENT, text)


def multi(*tasks: tuple[str, str, str]) -> Any:
    request = inference_pb2.MultiInferenceRequest()
    for model, signature, method in tasks:
        task = request.tasks.add(method_name=f"tensorflow/serving/{method}")
        task.model_spec.name, task.model_spec.signature_name = model, signature
    return with_examples(request, 1, 2)


async def test_multi_inference(stubs: Stubs) -> None:
    request = multi(("half", "regress_x_to_y2", "regress"), ("half", "classify_x_to_y", "classify"))
    response = await stubs.predictions.MultiInference(request)
    regressed, classified = response.results
    assert [regression.value for regression in regressed.regression_result.regressions] == [3.5, 4.0]
    assert [row.classes[0].score for row in classified.classification_result.classifications] == [2.5, 3.0]
    assert classified.model_spec.signature_name == "classify_x_to_y"


@pytest.mark.parametrize(
    ("tasks", "code", "text"),
    [
        ([("half", "nope", "regress")], Code.INVALID_ARGUMENT, "Requested signature not found in model graph: nope"),
        ([("half", "regress_x_to_y", "regress")] * 2, Code.INVALID_ARGUMENT, "Duplicate evaluation of signature: regress_x_to_y"),
        ([("half", "regress_x_to_y", "regress"), ("pair", "", "regress")], Code.INVALID_ARGUMENT, "All ModelSpecs in a MultiInferenceRequest must access the same model name."),
        ([], Code.INVALID_ARGUMENT, "ModelSpec has no name specified."),
        ([("", "x", "regress")], Code.INVALID_ARGUMENT, "ModelSpec has no name specified."),
        ([("half", "regress_x_to_y", "regress"), ("", "x", "regress")], Code.INVALID_ARGUMENT, "Found ModelSpec with an empty model name."),
        ([("nope", "x", "regress"), ("half", "x", "regress")], Code.NOT_FOUND, "Servable not found for request: Latest(nope)"),
        ([("half", "serving_default", "predict")], Code.UNIMPLEMENTED, "Unsupported signature method_name: tensorflow/serving/predict"),
        ([("half", "regress_x_to_y", "regress"), ("half", "regress_x2_to_y3", "regress")], Code.INVALID_ARGUMENT, "Input tensor must be the same for all Signatures."),
    ],
)  # fmt: skip
async def test_multi_inference_refuses_in_upstreams_words(stubs: Stubs, tasks: Any, code: Code, text: str) -> None:
    assert await refusal(stubs.predictions.MultiInference(multi(*tasks))) == (code, text)
