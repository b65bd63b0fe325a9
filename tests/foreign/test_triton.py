"""tritonclient, all four clients of it, against a running server."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from tests.foreign.cases import ALL_REFUSALS, CASES, COMPLEX, assert_refused
from tests.foreign.process import Address, ForeignClient, RaisedError
from tests.generic_cases import assert_same, floats, numbers_of
from tests.processes import server_process
from tests.questions import Question, texts

NAMES = ("http", "http-aio", "grpc", "grpc-aio")
GZIP = {"request_compression_algorithm": "gzip", "response_compression_algorithm": "gzip"}
DEFLATE = {"request_compression_algorithm": "deflate", "response_compression_algorithm": "deflate"}


@dataclass(frozen=True)
class Way:
    """A client, and how it is to ask."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def json(self) -> bool:
        return self.options.get("binary") is False


WAYS = {
    **{name: Way(name) for name in NAMES},
    "http-json": Way("http", {"binary": False}),
    "http-aio-json": Way("http-aio", {"binary": False}),
    "http-later": Way("http", {"later": True}),
    "http-gzip": Way("http", GZIP),
    "http-deflate": Way("http", DEFLATE),
    "http-aio-gzip": Way("http-aio", GZIP),
    "grpc-later": Way("grpc", {"later": True}),
    "grpc-gzip": Way("grpc", {"compression_algorithm": "gzip"}),
    "grpc-deflate": Way("grpc-aio", {"compression_algorithm": "deflate"}),
}
NOT_IN_JSON = {"strings, and bytes that are none": "Failed to encode", "bfloat16": "must be sent as binary data"}
"""What the client itself refuses to write in JSON, and how it says so."""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES)
def test_answers(triton: ForeignClient, zoo: Address, way: str, case: str) -> None:
    asking, expected = WAYS[way], CASES[case]
    question = expected.question
    if asking.json:  # unless they are named, the client asks for raw outputs
        question = replace(question, outputs=question.outputs or list(expected.outputs))
    if asking.json and case in NOT_IN_JSON:
        with pytest.raises(RaisedError) as caught:
            triton.ask(zoo, asking.name, question, **asking.options)
        assert NOT_IN_JSON[case] in caught.value.message
        assert caught.value.status is None
        return
    said = triton.ask(zoo, asking.name, question, **asking.options)
    assert_same(dict(said.outputs), expected.outputs)
    assert said.version == expected.version


@pytest.mark.parametrize("name", NAMES)
def test_strings_in_json_or_raw(triton: ForeignClient, zoo: Address, name: str) -> None:
    question = Question("words", {"text": texts(["añb", ""])}, outputs=["upper", "raw_bytes"])
    for binary in (True, False):
        said = triton.ask(zoo, name, question, binary=binary)
        assert_same(dict(said.outputs), {"upper": texts(["AñB", ""]), "raw_bytes": texts(["añb", ""])})


@pytest.mark.parametrize("dtype", sorted(COMPLEX))
def test_it_has_no_complex_numbers(triton: ForeignClient, zoo: Address, dtype: str) -> None:
    with pytest.raises(RaisedError) as caught:
        triton.ask(zoo, "http", Question("numbers", {"x": numbers_of(dtype)}, signature=dtype))
    assert caught.value.kind == "UnsupportedError"


@pytest.mark.parametrize("way", [*NAMES, "http-json", "http-later", "grpc-later"])
@pytest.mark.parametrize("refusal", ALL_REFUSALS)
def test_refusals(triton: ForeignClient, zoo: Address, way: str, refusal: str) -> None:
    asking = WAYS[way]
    assert_refused(triton, zoo, asking.name, refusal, {"InferenceServerException"}, **asking.options)


@pytest.mark.parametrize("name", NAMES)
def test_state_and_metadata(triton: ForeignClient, zoo: Address, name: str) -> None:
    def call(method: str, **arguments: Any) -> Any:
        return triton.call(zoo, name, method, **arguments)

    assert call("is_server_live") is True
    assert call("is_server_ready") is True
    assert call("is_model_ready", model_name="versions") is True
    assert call("is_model_ready", model_name="versions", model_version="canary") is True
    assert call("is_model_ready", model_name="versions", model_version="9") is False
    assert call("is_model_ready", model_name="nope") is False
    server = call("get_server_metadata")
    assert server["name"] == "tensorgate"
    assert "model_repository" in server["extensions"]
    model = call("get_model_metadata", model_name="versions", model_version="1")
    assert (model["name"], model["versions"], model["platform"]) == ("versions", ["1", "2"], "tensorflow_savedmodel")
    model = call("get_model_metadata", model_name="pair")
    inputs = {
        tensor["name"]: (tensor["datatype"], [int(size) for size in tensor["shape"]]) for tensor in model["inputs"]
    }
    assert inputs == {"left": ("FP32", [-1, 2]), "right": ("INT64", [-1])}
    model = call("get_model_metadata", model_name="scalar")
    assert model["inputs"][0].get("shape", []) == []
    with pytest.raises(RaisedError) as caught:
        call("get_model_metadata", model_name="nope")
    assert "model: expected one of the models served" in caught.value.message


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", ["get_model_config", "get_log_settings", "get_system_shared_memory_status"])
def test_what_is_not_there_is_said_to_be_so(triton: ForeignClient, zoo: Address, name: str, method: str) -> None:
    with pytest.raises(RaisedError) as caught:
        triton.call(zoo, name, method, **({"model_name": "pair"} if method == "get_model_config" else {}))
    assert str(caught.value.status).removeprefix("StatusCode.") in {"404", "UNIMPLEMENTED"}
    assert "there is no" in caught.value.message


@pytest.mark.parametrize("name", NAMES)
def test_the_repository(triton: ForeignClient, zoo: Address, borrowed: str, name: str) -> None:
    def call(method: str, **arguments: Any) -> Any:
        return triton.call(zoo, name, method, **arguments)

    def state() -> str:
        index = call("get_model_repository_index")
        models = index["models"] if isinstance(index, dict) else index
        [entry] = [model for model in models if model["name"] == borrowed]
        assert entry["version"] == "1"
        return str(entry["state"])

    question = Question(borrowed, {"x": floats(1, 2, 3)}, outputs=["total"])
    assert state() == "READY"
    call("unload_model", model_name=borrowed)
    assert state() == "UNAVAILABLE"
    assert call("is_model_ready", model_name=borrowed) is False
    with pytest.raises(RaisedError, match="expected a model that is loaded"):
        triton.ask(zoo, name, question)
    call("load_model", model_name=borrowed)
    assert state() == "READY"
    assert triton.ask(zoo, name, question).outputs["total"] == 6
    for wrong, said in (({"model_name": "nope"}, "model: expected"), ({"config": "{}"}, "served as they are on disk")):
        with pytest.raises(RaisedError) as caught:
            call("load_model", **{"model_name": borrowed, **wrong})
        assert said in caught.value.message


@pytest.fixture(scope="module")
def held(grpc_server: str) -> Iterator[Address]:
    """Serves models that give no answer while anybody waits for one."""
    backend = ("--backend", "tests.fakes:SlowBackend")
    with server_process(*backend, "--grpc-server", grpc_server, TENSORGATE_TEST_SLOW_SECONDS="600") as server:
        server.announcement()
        yield Address.of(server)


@pytest.mark.parametrize("name", NAMES)
def test_time_limits(triton: ForeignClient, held: Address, zoo: Address, name: str) -> None:
    question = Question("double", {"x": floats(1.5)})
    with pytest.raises(RaisedError, match=r"504|DEADLINE_EXCEEDED"):
        triton.ask(held, name, question, timeout=1)  # microseconds, which the server keeps
    if name.startswith("grpc"):
        with pytest.raises(RaisedError, match="DEADLINE_EXCEEDED"):
            triton.ask(held, name, question, client_timeout=1e-6)
        question = Question("scalar", {"x": np.array(1.5, np.float32)})
        assert triton.ask(zoo, name, question, client_timeout=20).outputs["y"] == 3


@pytest.mark.parametrize("name", NAMES)
def test_parameters_that_mean_nothing_here_are_ignored(triton: ForeignClient, zoo: Address, name: str) -> None:
    question = Question("scalar", {"x": np.array(1.5, np.float32)})
    said = triton.ask(zoo, name, question, priority=3, sequence_id=5, sequence_start=True)
    assert said.outputs["y"] == 3


STREAMING = ("grpc", "grpc-aio")
NOT_THERE = Question("nope", {"x": np.array(1.5, np.float32)})


def on_a_stream(triton: ForeignClient, zoo: Address, name: str, questions: list[Question], **options: Any) -> Any:
    place = {"name": name, "address": zoo.for_client(name)}
    return triton.do(do="stream", **place, questions=[asdict(question) for question in questions], **options)


@pytest.mark.parametrize("name", STREAMING)
def test_a_stream_answers_each_request_in_its_place(triton: ForeignClient, zoo: Address, name: str) -> None:
    cases = [CASES[case] for case in sorted(CASES)] * 3
    answers = on_a_stream(triton, zoo, name, [case.question for case in cases])
    for place, (case, answer) in enumerate(zip(cases, answers, strict=True)):
        assert_same(answer["outputs"], case.outputs)
        assert (answer["id"], int(answer["version"]), answer["last"]) == (str(place), case.version, True)


@pytest.mark.parametrize("name", STREAMING)
def test_a_stream_goes_on_after_an_error(triton: ForeignClient, zoo: Address, name: str) -> None:
    good = Question("scalar", {"x": np.array(1.5, np.float32)})
    first, error, last = on_a_stream(triton, zoo, name, [good, NOT_THERE, good])
    assert error.startswith("model: expected one of the models served")
    assert [answer["outputs"]["y"] for answer in (first, last)] == [3, 3]
    [late] = on_a_stream(triton, zoo, name, [good], timeout=1)
    assert late.startswith("no answer within")


def test_a_stream_marks_the_last_answer_on_request(triton: ForeignClient, zoo: Address) -> None:
    good = Question("scalar", {"x": np.array(1.5, np.float32)})
    [answer] = on_a_stream(triton, zoo, "grpc", [good], enable_empty_final_response=True)
    assert (answer["outputs"]["y"], answer["last"]) == (3, True)
