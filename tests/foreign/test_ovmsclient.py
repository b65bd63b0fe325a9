"""ovmsclient, which speaks TensorFlow Serving's API, against a running server."""

from typing import Any

import numpy as np
import pytest

from tests.foreign.cases import CASES
from tests.foreign.process import Address, ForeignClient, RaisedError
from tests.generic_cases import F4, assert_same, floats
from tests.questions import texts

VERSIONED = {name: case for name, case in CASES.items() if not isinstance(case.question.version, str)}
SAYABLE = {name: case for name, case in VERSIONED.items() if not case.question.signature and not case.question.outputs}
"""What it can ask: neither signatures nor labels nor single outputs."""
NAMES = ("grpc", "http")


def predict(client: ForeignClient, zoo: Address, name: str, case: str) -> dict[str, Any]:
    expected = CASES[case]
    inputs = {alias: _as_client_takes(array) for alias, array in expected.question.inputs.items()}
    place = {"model_name": expected.question.model, "model_version": expected.version}
    outputs = client.call(zoo, name, "predict", inputs=inputs, **place)
    return outputs if isinstance(outputs, dict) else dict.fromkeys(expected.outputs, outputs)


def _as_client_takes(array: Any) -> Any:
    return array.tolist() if array.dtype == object else array


@pytest.mark.parametrize("case", sorted(SAYABLE.keys() - {"strings, and bytes that are none"}))
def test_predict_over_grpc(ovmsclient: ForeignClient, zoo: Address, case: str) -> None:
    assert_same(predict(ovmsclient, zoo, "grpc", case), SAYABLE[case].outputs)


@pytest.mark.over_rest
@pytest.mark.parametrize("case", sorted(SAYABLE.keys() - {"strings, and bytes that are none", "zero rows"}))
def test_predict_over_rest(ovmsclient: ForeignClient, zoo: Address, case: str) -> None:
    for output, array in predict(ovmsclient, zoo, "http", case).items():
        np.testing.assert_array_equal(array, SAYABLE[case].outputs[output])


@pytest.mark.parametrize("name", NAMES)
def test_strings(ovmsclient: ForeignClient, zoo: Address, name: str) -> None:
    arguments = {"model_name": "words", "model_version": 1, "inputs": {"text": ["añb", "cd"]}}
    outputs = ovmsclient.call(zoo, name, "predict", **arguments)
    assert outputs["length"].tolist() == [4, 2]
    np.testing.assert_array_equal(outputs["upper"], texts(["AñB", "CD"]))


@pytest.mark.parametrize("name", NAMES)
def test_status(ovmsclient: ForeignClient, zoo: Address, name: str) -> None:
    for version in (1, 2):
        status = ovmsclient.call(zoo, name, "get_model_status", model_name="versions", model_version=version)
        assert status == {str(version): {"state": "AVAILABLE", "error_code": 0, "error_message": ""}}


def test_metadata(ovmsclient: ForeignClient, zoo: Address) -> None:
    arguments = {"model_name": "pair", "model_version": 1}
    assert ovmsclient.call(zoo, "grpc", "get_model_metadata", **arguments) == {
        "model_version": 1,
        "inputs": {"left": {"shape": [-1, 2], "dtype": "DT_FLOAT"}, "right": {"shape": [-1], "dtype": "DT_INT64"}},
        "outputs": {"sum": {"shape": [-1, 2], "dtype": "DT_FLOAT"}, "scaled": {"shape": [-1], "dtype": "DT_DOUBLE"}},
    }
    # Over REST it looks for another server's spelling, and hands TensorFlow Serving's on as it is.
    answer = ovmsclient.call(zoo, "http", "get_model_metadata", **arguments)
    assert answer["model_spec"] == {"name": "pair", "version": "1", "signature_name": ""}


@pytest.mark.parametrize("name", NAMES)
def test_refusals(ovmsclient: ForeignClient, zoo: Address, name: str) -> None:
    def refused(method: str = "predict", *, model: str = "modes", version: int = 1, **inputs: Any) -> tuple[str, str]:
        arguments = {"inputs": inputs} if inputs else {}
        with pytest.raises(RaisedError) as caught:
            ovmsclient.call(zoo, name, method, model_name=model, model_version=version, **arguments)
        return caught.value.kind, caught.value.message.removeprefix("Error occurred during handling the request: ")

    specific = "Servable not found for request: Specific"
    assert refused(model="nope", x=floats(1)) == ("ModelNotFoundError", f"{specific}(nope, 1)")
    assert refused(version=9, x=floats(1)) == ("ModelNotFoundError", f"{specific}(modes, 9)")
    assert refused("get_model_metadata", model="nope") == ("ModelNotFoundError", f"{specific}(nope, 1)")
    assert refused("get_model_status", version=9) == ("ModelNotFoundError", "Could not find version 9 of model modes")
    for inputs in ({"z": floats(1)}, {"x": np.ones((1, 1), F4)}, {"x": ["a"]}):
        kind, said = refused(**inputs)
        assert kind == "InvalidInputError"
        assert said
    kind, said = refused(model="strict", x=floats(-1))
    assert kind == "InvalidInputError"
    assert "x must not be below zero." in said


@pytest.mark.parametrize("name", NAMES)
def test_a_version_that_is_left_out_is_version_0_to_it_as_to_tensorflow_serving(
    ovmsclient: ForeignClient, zoo: Address, name: str
) -> None:
    with pytest.raises(RaisedError) as caught:
        ovmsclient.call(zoo, name, "predict", inputs={"x": floats(1)}, model_name="modes")
    assert caught.value.kind == "ModelNotFoundError"
    assert "Specific(modes, 0)" in caught.value.message
