"""The generic protocols mean the same: the same questions, the same tensors back, and the same meanings of errors."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import zoo_models
from tests.generic_cases import ANSWERS, LIMITS, REFUSALS, SELECTIONS, assert_same, floats, numbers_of
from tests.questions import Question
from tests.real_server import BACKENDS, RealServer, serving_config
from tests.speakers import SPEAKERS


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a configuration file of all models."""
    config = tmp_path_factory.mktemp("config") / "models.config"
    config.write_text(zoo_models.save_zoo(tmp_path_factory.mktemp("zoo")))
    return config


@pytest.fixture(scope="module", params=BACKENDS)
async def server(request: pytest.FixtureRequest, grpc_server: str, zoo: Path) -> AsyncIterator[RealServer]:
    async with serving_config(request.param, zoo, grpc_server=grpc_server, **LIMITS) as server:
        yield server


@pytest.mark.parametrize("speaker", SPEAKERS)
@pytest.mark.parametrize("case", ANSWERS)
async def test_answers(server: RealServer, speaker: str, case: str) -> None:
    question, expected, version = ANSWERS[case]
    if (speaker, case) == ("tfserving-rest", "zero rows"):
        pytest.skip("a list without rows does not show how long they would be")
    said = await SPEAKERS[speaker].ask(server, question)
    assert (said.code, said.message) == ("ok", "")
    if speaker == "tfserving-rest":  # lists without elements do not show their shape, nor do answers their version
        assert said.outputs.keys() == expected.keys()
        for name, array in expected.items():
            np.testing.assert_array_equal(said.outputs[name], array, err_msg=name)
    else:
        assert_same(dict(said.outputs), expected)
        assert said.version == version


@pytest.mark.parametrize("speaker", [name for name in SPEAKERS if name != "tfserving-rest"])
@pytest.mark.parametrize("case", SELECTIONS)
async def test_selected_outputs(server: RealServer, speaker: str, case: str) -> None:
    question, expected = SELECTIONS[case]
    for _ in range(3):  # the first is the only one of its kind that is looked at closely
        said = await SPEAKERS[speaker].ask(server, question)
        assert_same(dict(said.outputs), expected)


@pytest.mark.parametrize("speaker", SPEAKERS)
@pytest.mark.parametrize("case", REFUSALS)
async def test_refusals(server: RealServer, speaker: str, case: str) -> None:
    question, code, where = REFUSALS[case]
    said = await SPEAKERS[speaker].ask(server, question)
    assert said.code == code, said
    # Only the server behind this one knows that the input has no default, and it says so in words of its own.
    if where and not (server.behind and case == "a missing input"):
        assert where in said.where, said
    if code == "too_large":
        assert "max_" in said.message, said


@pytest.mark.parametrize("speaker", SPEAKERS)
@pytest.mark.parametrize("dtype", zoo_models.NUMBERS)
async def test_every_dtype(server: RealServer, speaker: str, dtype: str) -> None:
    array = numbers_of(dtype)
    said = await SPEAKERS[speaker].ask(server, Question("numbers", {"x": array}, signature=dtype))
    if array.dtype.kind == "c" and not speaker.startswith("tfserving-grpc"):
        assert said.code in {"not_supported", "invalid_input"}  # a dtype that only TensorFlow's own protocol has
    elif speaker == "open-inference-grpc-typed" and dtype in {"float16", "bfloat16"}:
        assert said.code == "invalid_input"  # typed contents have no field for these
    else:
        assert_same(dict(said.outputs), {"y": array})


@pytest.mark.parametrize("speaker", SPEAKERS)
async def test_an_input_with_a_default_may_be_left_out(server: RealServer, speaker: str) -> None:
    said = await SPEAKERS[speaker].ask(server, Question("optional", {"x": floats(2)}))
    assert_same(dict(said.outputs), {"y": floats(20)})


@pytest.mark.parametrize("speaker", SPEAKERS)
async def test_all_inputs_may_be_left_out_that_have_defaults(server: RealServer, speaker: str) -> None:
    said = await SPEAKERS[speaker].ask(server, Question("all_optional", {}))
    assert_same(dict(said.outputs), {"y": floats(7)})
    said = await SPEAKERS[speaker].ask(server, Question("all_optional", {"x": floats(1, 2)}))
    assert_same(dict(said.outputs), {"y": floats(1, 2)})


REST_BODIES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "rows": ("optional", {"instances": [{"x": 1}, {"x": 2}]}, {"predictions": [10.0, 20.0]}),
    "columns": ("optional", {"inputs": {"x": [1, 2]}}, {"outputs": [10.0, 20.0]}),
    "a row of nothing": ("all_optional", {"instances": [{}]}, {"predictions": [7.0]}),
}


@pytest.mark.over_rest
@pytest.mark.parametrize("case", REST_BODIES)
async def test_inputs_are_left_out_of_bodies_in_either_format(server: RealServer, case: str) -> None:
    model, body, expected = REST_BODIES[case]
    assert (await server.rest.post(f"/v1/models/{model}:predict", json=body)).json() == expected


_KEYS = "Failed to process element: 0 of 'instances' list. JSON object: %s keys must be equal to: %s"
REFUSED_BODIES: dict[str, tuple[str, dict[str, Any], str]] = {
    "a row without what is needed": (
        "pair",
        {"instances": [{"right": 3}]},
        _KEYS % ('{\n    "right": 3\n}', "left,right"),
    ),
    "columns without what is needed": (
        "pair",
        {"inputs": {"right": [3]}},
        "Missing named input: left in 'inputs' object.",
    ),
    "rows that are not alike": ("all_optional", {"instances": [{}, {"x": 1}]}, _KEYS % ("{}", "x")),
}


@pytest.mark.over_rest
@pytest.mark.parametrize("case", REFUSED_BODIES)
async def test_bodies_without_what_is_needed_are_refused_in_upstreams_words(server: RealServer, case: str) -> None:
    model, body, text = REFUSED_BODIES[case]
    response = await server.rest.post(f"/v1/models/{model}:predict", json=body)
    assert (response.status_code, response.json()["code"], response.json()["error"]) == (400, "invalid_input", text)


@pytest.mark.over_rest
@pytest.mark.parametrize("body", [{"instances": [{}]}, {"inputs": {}}])
async def test_which_of_several_is_needed_is_said(server: RealServer, body: dict[str, Any]) -> None:
    text = (await server.rest.post("/v1/models/optional:predict", json=body)).json()["error"]
    assert text.endswith(
        ("keys must be equal to: x", "Missing named input: x in 'inputs' object.", "Missing but required: {x}.")
    ), text


@pytest.mark.parametrize("speaker", [name for name in SPEAKERS if name != "tfserving-rest"])
async def test_wrong_dtypes_and_outputs_are_refused(server: RealServer, speaker: str) -> None:
    said = await SPEAKERS[speaker].ask(server, Question("modes", {"x": np.ones(1, np.int32)}))
    assert (said.code, said.where) == ("invalid_input", ("inputs.x",))
    for outputs in (["nope"], ["y", "y"]):
        said = await SPEAKERS[speaker].ask(server, Question("modes", {"x": floats(1)}, outputs=outputs))
        assert said.code == "invalid_input"
        assert said.where[0].startswith("outputs[")


@pytest.mark.parametrize("speaker", SPEAKERS)
async def test_requests_that_recur_have_answers_of_their_own(server: RealServer, speaker: str) -> None:
    """The second of its kind is known by how it begins: no message of another length or kind may be taken for one."""
    speak = SPEAKERS[speaker]
    for round_number in range(3):
        for dtype in zoo_models.NUMBERS:
            array = numbers_of(dtype)[::-1] if round_number else numbers_of(dtype)
            said = await speak.ask(server, Question("numbers", {"x": array}, signature=dtype))
            if said.code == "ok":
                assert_same(dict(said.outputs), {"y": array})
        for rows in (1, 2, 1, 3):
            array = floats(*range(round_number, round_number + rows))
            said = await speak.ask(server, Question("modes", {"x": array}))
            assert said.code == "ok", said
            np.testing.assert_array_equal(said.outputs["y"], array)
        said = await speak.ask(server, Question("modes", {"x": np.ones(2, np.int32)}))
        assert speaker == "tfserving-rest" or said.code == "invalid_input"  # whose JSON has no dtypes
