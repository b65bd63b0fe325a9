"""Inference by the Open Inference Protocol over gRPC, through the whole stack."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import numpy as np
import pytest

from service.codecs.open_inference import DATATYPES, encode_raw
from service.codecs.open_inference_contents import FIELDS, encode_contents
from service.core.tensors import NUMPY_DTYPES, STRING, Tensor
from service.wire import open_inference_pb2 as pb
from tests.conftest import Served, until
from tests.open_inference import ask, infer_request, refused, strings_of, zoo

pytestmark = pytest.mark.usefixtures("with_grpc_server")

FLOATS = np.array([[1, 2], [3, 4]], np.float32)
A = {"name": "a", "datatype": "FP32", "shape": [2, 2]}
B = {"name": "b", "datatype": "FP32", "shape": [2, 2]}
CONTENTS = pb.InferTensorContents(fp32_contents=[1, 2, 3, 4])
X = {"name": "x", "datatype": "FP32", "shape": [4]}
RAW = FLOATS.tobytes()


@pytest.fixture(scope="module")
async def served(grpc_server: str) -> AsyncIterator[Served]:
    async with zoo(grpc_server=grpc_server) as served:
        yield served


def sample(dtype: str) -> Tensor:
    if dtype == STRING:
        values = np.empty(4, object)
        values[:] = [b"a", b"", b"\xff\0", "ä".encode()]
        return values.reshape(2, 2)
    return np.array([[0, 1], [1, 0]]).astype(NUMPY_DTYPES[dtype])


@pytest.mark.parametrize("dtype", DATATYPES)
async def test_every_datatype_goes_through_raw(served: Served, dtype: str) -> None:
    entry = {"name": "x", "datatype": DATATYPES[dtype], "shape": [2, 2]}
    data = encode_raw(sample(dtype))
    answer = await ask(served, "ModelInfer", infer_request(f"echo_{dtype}", entry, raw_input_contents=[data]))
    assert list(answer.raw_output_contents) == [data]
    (output,) = answer.outputs
    assert (output.name, output.datatype, list(output.shape)) == ("y", DATATYPES[dtype], [2, 2])
    assert not output.HasField("contents")


@pytest.mark.parametrize("dtype", FIELDS)
async def test_every_datatype_that_has_a_field_goes_through_typed(served: Served, dtype: str) -> None:
    contents = encode_contents(sample(dtype), dtype)
    entry = {"name": "x", "datatype": DATATYPES[dtype], "shape": [2, 2], "contents": contents}
    answer = await ask(served, "ModelInfer", infer_request(f"echo_{dtype}", entry))
    assert not answer.raw_output_contents
    assert answer.outputs[0].contents == contents


async def test_the_answer_says_what_answered(served: Served) -> None:
    request = infer_request("sum", A | {"contents": CONTENTS}, B | {"contents": CONTENTS}, id="seven")
    answer = await ask(served, "ModelInfer", request)
    assert (answer.model_name, answer.model_version, answer.id) == ("sum", "1", "seven")
    assert [output.name for output in answer.outputs] == ["difference", "sum"]
    assert answer.outputs[1].contents.fp32_contents == [2, 4, 6, 8]
    assert await served.metric("tensorgate_requests_total", model_name="sum", code="ok") > 0


async def test_outputs_are_chosen_in_their_order(served: Served) -> None:
    request = infer_request(
        "sum", A, B, raw_input_contents=[RAW, RAW], outputs=[{"name": "sum"}, {"name": "difference"}]
    )
    answer = await ask(served, "ModelInfer", request)
    assert [output.name for output in answer.outputs] == ["sum", "difference"]
    assert list(answer.raw_output_contents) == [(FLOATS * 2).tobytes(), bytes(16)]
    request = infer_request("sum", A, B, raw_input_contents=[RAW, RAW], outputs=[{"name": "sum"}])
    assert [output.name for output in (await ask(served, "ModelInfer", request)).outputs] == ["sum"]


async def test_a_signature_may_be_chosen(served: Served) -> None:
    x = X | {"contents": CONTENTS}
    for name, expected in (("double", [2, 4, 6, 8]), ("halve", [0.5, 1, 1.5, 2])):
        parameters = {"signature_name": pb.InferParameter(string_param=name)}
        answer = await ask(served, "ModelInfer", infer_request("several", x, parameters=parameters))
        assert answer.outputs[0].contents.fp32_contents == expected
    assert (await refused(served, "ModelInfer", infer_request("several", x)))[1].code == "signature_not_found"
    answer = await ask(served, "ModelInfer", infer_request("only", x))
    assert answer.outputs[0].contents.fp32_contents == [-1, -2, -3, -4]


async def test_inputs_with_a_default_may_be_left_out(served: Served) -> None:
    answer = await ask(served, "ModelInfer", infer_request("scaled", X | {"contents": CONTENTS}))
    assert answer.outputs[0].contents.fp32_contents == [3, 6, 9, 12]


async def test_a_model_without_a_batch_dimension_answers(served: Served) -> None:
    request = infer_request("fixed", A | {"name": "matrix"}, raw_input_contents=[RAW])
    answer = await ask(served, "ModelInfer", request)
    assert (list(answer.outputs[0].shape), answer.raw_output_contents[0]) == ([], np.float32(5).tobytes())


def parameter(value: Any) -> dict[str, pb.InferParameter]:
    kind = {bool: "bool_param", int: "int64_param", str: "string_param", float: "double_param"}[type(value)]
    return {"p": pb.InferParameter(**{kind: value})}


@pytest.mark.parametrize(
    ("inputs", "fields", "where"),
    [
        ([A, B], {"raw_input_contents": [RAW]}, "raw_input_contents"),
        ([], {"raw_input_contents": [RAW]}, "raw_input_contents"),
        ([A, B | {"contents": CONTENTS}], {"raw_input_contents": [RAW, RAW]}, "inputs[1].contents"),
        ([A, B], {"raw_input_contents": [RAW, RAW[:-1]]}, "raw_input_contents[1]"),
        ([A | {"contents": CONTENTS}, B], {}, "inputs[1].contents.fp32_contents"),
        ([A | {"datatype": "INT32", "contents": CONTENTS}], {}, "inputs[0].contents"),
        ([A | {"datatype": "FP16", "contents": CONTENTS}], {}, "inputs[0].contents"),
        ([A | {"datatype": "FLOAT"}], {}, "inputs[0].datatype"),
        ([A | {"shape": [2, -2]}], {}, "inputs[0].shape"),
        ([A | {"shape": [1] * 100}], {}, "inputs[0].shape"),
        ([A | {"contents": CONTENTS}, A | {"contents": CONTENTS}], {}, "inputs[1].name"),
        ([A | {"contents": CONTENTS}], {}, "inputs.b"),
        ([A | {"contents": CONTENTS}, B | {"contents": CONTENTS}], {"outputs": [{"name": "c"}]}, "outputs[0]"),
        ([A, B], {"raw_input_contents": [RAW, RAW], "outputs": [{"name": "sum"}] * 2}, "outputs[1]"),
        ([], {"parameters": {"timeout": parameter("1")["p"]}}, "parameters.timeout"),
        ([], {"parameters": {"timeout": parameter(-1)["p"]}}, "parameters.timeout"),
        ([], {"parameters": {"signature_name": parameter(1)["p"]}}, "parameters.signature_name"),
    ],
)
async def test_what_is_wrong_is_said_with_its_place(
    served: Served, inputs: list[Any], fields: dict[str, Any], where: str
) -> None:
    status, outcome = await refused(served, "ModelInfer", infer_request("sum", *inputs, **fields))
    assert (status, outcome.code) == (grpc.StatusCode.INVALID_ARGUMENT, "invalid_input")
    assert outcome.where[0] == where


@pytest.mark.parametrize("shape", [[2**62, 2**62], [2**40], [2**27]])
@pytest.mark.parametrize("datatype", ["FP32", "BYTES"])
async def test_a_shape_alone_makes_nothing_be_allocated(served: Served, shape: list[int], datatype: str) -> None:
    entry = {"name": "x", "datatype": datatype, "shape": shape}
    for fields in ({}, {"raw_input_contents": [b"1234"]}):
        status, outcome = await refused(served, "ModelInfer", infer_request("double", entry, **fields))
        assert (status, outcome.code) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "too_large")
        assert outcome.where == ("inputs[0].shape",)


async def test_strings_that_are_cut_off_are_refused(served: Served) -> None:
    entry = {"name": "text", "datatype": "BYTES", "shape": [2]}
    data = strings_of(b"one", b"two")
    for cut in range(len(data)):
        _, outcome = await refused(served, "ModelInfer", infer_request("text", entry, raw_input_contents=[data[:cut]]))
        if cut:
            assert outcome.where[0].startswith("raw_input_contents[0]")


@pytest.mark.parametrize(
    "fields",
    [
        {"outputs": [{"name": "sum", "parameters": {"classification": parameter(2)["p"]}}]},
        {"outputs": [{"name": "sum", "parameters": {"shared_memory_region": parameter("r")["p"]}}]},
    ],
)
async def test_what_would_change_the_answer_is_refused_rather_than_ignored(
    served: Served, fields: dict[str, Any]
) -> None:
    request = infer_request("sum", A, B, raw_input_contents=[RAW, RAW], **fields)
    assert (await refused(served, "ModelInfer", request))[0] is grpc.StatusCode.UNIMPLEMENTED
    entry = A | {"parameters": {"shared_memory_region": parameter("r")["p"]}}
    assert (await refused(served, "ModelInfer", infer_request("sum", entry)))[0] is grpc.StatusCode.UNIMPLEMENTED


async def test_other_parameters_are_ignored(served: Served) -> None:
    entries = [entry | {"parameters": parameter(True)} for entry in (A, B)]
    outputs = [{"name": "sum", "parameters": parameter(1.5)}]
    request = infer_request(
        "sum", *entries, raw_input_contents=[RAW, RAW], outputs=outputs, parameters={"p": pb.InferParameter()}
    )
    assert (await ask(served, "ModelInfer", request)).raw_output_contents


async def test_complex_numbers_have_no_datatype(served: Served) -> None:
    entry = X | {"datatype": "COMPLEX64"}
    _, outcome = await refused(served, "ModelInfer", infer_request("echo_complex64", entry))
    assert outcome.where == ("inputs[0].datatype",)


async def test_the_requests_timeout_ends_it() -> None:
    async with zoo() as served:
        served.backend.gate.clear()
        request = infer_request(
            "double", X, raw_input_contents=[RAW], parameters={"timeout": pb.InferParameter(int64_param=50_000)}
        )
        status, outcome = await refused(served, "ModelInfer", request)
        assert (status, outcome.code) == (grpc.StatusCode.DEADLINE_EXCEEDED, "timeout")
        await until(lambda: served.backend.cancelled == 1)
        assert await served.metric("tensorgate_rejected_total", reason="short_deadline") == 1


async def test_a_large_message_is_read_on_a_thread(served: Served) -> None:
    data = np.arange(500_000, dtype=np.float32)
    answer = await ask(
        served, "ModelInfer", infer_request("double", X | {"shape": [500_000]}, raw_input_contents=[data.tobytes()])
    )
    assert answer.raw_output_contents[0] == (data * 2).tobytes()
