"""KServe's clients against a running server: version 2 of the protocol over REST and gRPC, and version 1 over REST."""

import pytest

from tests.foreign.cases import ALL_REFUSALS, CASES, assert_refused
from tests.foreign.process import Address, ForeignClient, RaisedError
from tests.generic_cases import assert_same
from tests.questions import Question, texts

WAYS = {"v2": ("v2", True), "v2-json": ("v2", False), "grpc": ("grpc", True), "grpc-typed": ("grpc", False)}
BINARY = "strings, and bytes that are none"
CANNOT = {
    "v2": {BINARY, "a version", "a label", "bfloat16"},
    "v2-json": {BINARY, "a version", "a label", "bfloat16", "float16", "not finite"},
    "grpc": {"bfloat16"},
    "grpc-typed": {"bfloat16", "float16"},
}
"""What the client cannot send, or cannot read."""
KINDS = {"HTTPStatusError", "AioRpcError"}


@pytest.mark.parametrize(("way", "case"), [(way, case) for way in WAYS for case in CASES if case not in CANNOT[way]])
def test_answers(kserve: ForeignClient, zoo: Address, way: str, case: str) -> None:
    name, binary = WAYS[way]
    expected = CASES[case]
    said = kserve.ask(zoo, name, expected.question, binary=binary)
    assert_same(dict(said.outputs), expected.outputs)
    if name == "grpc":
        assert said.version == expected.version


@pytest.mark.parametrize(("way", "case"), [(way, case) for way, cases in CANNOT.items() for case in sorted(cases)])
def test_what_it_cannot_say_is_no_fault_of_the_server(kserve: ForeignClient, zoo: Address, way: str, case: str) -> None:
    name, binary = WAYS[way]
    with pytest.raises(RaisedError) as caught:
        kserve.ask(zoo, name, CASES[case].question, binary=binary)
    if case == "not finite":  # the client writes null
        assert "inputs[0].data[0]: expected a number, got null" in caught.value.message
    else:
        assert caught.value.status is None


@pytest.mark.over_rest
def test_strings_over_rest(kserve: ForeignClient, zoo: Address) -> None:
    said = kserve.ask(zoo, "v2", Question("words", {"text": texts(["añb", ""])}, outputs=["upper", "raw_bytes"]))
    assert_same(dict(said.outputs), {"upper": texts(["AñB", ""]), "raw_bytes": texts(["añb", ""])})


@pytest.mark.parametrize(
    ("way", "refusal"),
    [
        (way, refusal)
        for way, (name, _) in WAYS.items()
        for refusal, (question, _, _) in ALL_REFUSALS.items()
        if name == "grpc" or question.version is None  # over REST it cannot name versions
    ],
)
def test_refusals(kserve: ForeignClient, zoo: Address, way: str, refusal: str) -> None:
    name, binary = WAYS[way]
    assert_refused(kserve, zoo, name, refusal, KINDS, binary=binary)


@pytest.mark.parametrize("name", ["v2", "grpc"])
def test_state(kserve: ForeignClient, zoo: Address, name: str) -> None:
    assert kserve.call(zoo, name, "is_server_live") is True
    assert kserve.call(zoo, name, "is_server_ready") is True
    assert kserve.call(zoo, name, "is_model_ready", model_name="words") is True
    assert kserve.call(zoo, name, "is_model_ready", model_name="nope") is False


@pytest.mark.over_rest
def test_version_1_predicts(kserve: ForeignClient, zoo: Address) -> None:
    def predict(model: str, *instances: object) -> object:
        return kserve.call(zoo, "v1", "infer", model_name=model, data={"instances": list(instances)})

    assert predict("modes", 1.0, 2.0) == {"predictions": [1, 2]}
    assert predict("pair", {"left": [1, 2], "right": 10}) == {"predictions": [{"sum": [11, 12], "scaled": 5}]}
    for model, instance, status, message in (
        ("nope", 1.0, 404, "Servable not found"),
        ("modes", "a", 400, "is not of expected type"),
    ):
        with pytest.raises(RaisedError) as caught:
            predict(model, instance)
        assert (caught.value.kind, caught.value.status) == ("HTTPStatusError", status)
        assert message in caught.value.message
