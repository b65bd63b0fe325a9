"""Lists of numbers that are read at once, held against what a parser and then a decoder make of the same text."""

import contextlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.codecs import json_arrays, open_inference
from service.codecs.json_arrays import NumericArray, as_lists, parse_arrays, stacked, with_lists
from service.codecs.json_document import JsonError, parse_json
from service.core.bounds import InputBounds
from service.core.tensors import NUMPY_DTYPES, Signature, TensorSpec
from service.errors import GatewayError
from service.protocols.open_inference import rest_request
from service.protocols.open_inference.rest_request import decode_body
from service.protocols.tfserving.instances import document_of, predict_body, signature_name_of
from tests.json_mutations import mutated

BOUNDS = InputBounds(max_json_depth=5, max_tensor_elements=60, max_request_rows=12)
DTYPES = [*(name for name, dtype in NUMPY_DTYPES.items()), "string"]
Outcome = tuple[Any, ...]

FLOATS = st.floats(allow_nan=False, allow_infinity=False).map(repr)
INTEGERS = (
    st.integers(-300, 300) | st.integers(-(2**63), 2**64 - 1) | st.sampled_from([2**53 + 1, 2**63, 2**64, -(2**70)])
)
DECIMALS = st.from_regex(r"-?(?:0|[1-9][0-9]{0,30})(?:\.[0-9]{1,30})?(?:[eE][-+]?[0-9]{1,3})?", fullmatch=True)
NUMBERS = st.one_of(
    FLOATS,
    INTEGERS.map(str),
    st.integers(0, 255).map(str),
    DECIMALS,
    st.sampled_from(["-0", "-0.0", "1e400", "1e-400"]),
)
STRANGE = st.sampled_from(
    [
        "null",
        "true",
        '"a"',
        "NaN",
        "Infinity",
        "-",
        "01",
        "1.",
        "+1",
        '{"b64": "YQ=="}',
        "{}",
        "[]",
        "",
        "]",
        "[",
        "\\",
        "'",
    ]
)
LEAVES = st.sampled_from([NUMBERS, FLOATS, FLOATS, INTEGERS.map(str), *[st.integers(0, 127).map(str)] * 2])
SPACE = st.sampled_from(["", "", "", " ", "\n\t", "\r\n  "])  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def _short_lists_too() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_arrays, "_MIN_LENGTH", 1)
        yield


@st.composite
def lists(draw: st.DrawFn) -> str:
    """Nested lists of equal lengths; of some, something is changed that makes them uneven or no numbers."""
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    leaf, gap = draw(LEAVES), draw(SPACE)

    def written(sizes: list[int]) -> str:
        if not sizes:
            return draw(leaf)
        return "[" + gap + f"{gap},{gap}".join([written(sizes[1:]) for _ in range(sizes[0])]) + gap + "]"

    text = written(shape)
    if draw(st.integers(0, 9)) == 9:
        position = draw(st.integers(0, len(text)))
        text = text[:position] + draw(STRANGE) + text[position + draw(st.integers(0, 2)) :]
    return text


@st.composite
def members(draw: st.DrawFn, name: str, value: str) -> str:
    return f'{draw(SPACE)}"{name}"{draw(SPACE)}:{draw(SPACE)}{value}{draw(SPACE)}'


@st.composite
def predict_documents(draw: st.DrawFn) -> str:
    rows = draw(st.lists(lists(), min_size=1, max_size=3))
    value = draw(
        st.sampled_from(
            [
                draw(members("instances", rows[0])),
                draw(members("inputs", rows[0])),
                draw(members("inputs", "{" + draw(members("x", rows[0])) + "}")),
                draw(members("instances", "[" + ",".join("{" + draw(members("x", row)) + "}" for row in rows) + "]")),
                draw(members("instances", "[" + ",".join("{" + draw(members("x", rows[0])) + "}" for _ in rows) + "]")),
            ]
        )
    )
    more = draw(
        st.sampled_from(
            [
                *("", "", "", '"signature_name": "s",', '"signature_name": [1, 2],', '"other": [1.5, 2.5],'),
                *('"a": "\\u0000",', '"a\\/b": "\\"[1, 2]\\"",'),
                *('"instances": [1, 2],', '"inputs": [1, 2],'),
            ]
        )
    )
    return "{" + more + value + draw(st.sampled_from(["}", "}", "}", "} x", "", "}}", ', "y": [1]}']))  # fmt: skip


@st.composite
def infer_documents(draw: st.DrawFn) -> str:
    inputs = []
    for index in range(draw(st.integers(1, 2))):
        data, shape = draw(lists()), draw(st.lists(st.integers(0, 4), max_size=4))
        if draw(st.sampled_from([True, True, False])):
            with contextlib.suppress(ValueError):
                shape = list(np.array(json.loads(data)).shape)
        datatype = draw(st.sampled_from([*["FP32"] * 6, *["INT64"] * 3, *open_inference.DTYPES]))
        parameters = draw(
            st.sampled_from(["", "", "", '"parameters": {"content_type": "base64"},', '"parameters": [1, 2],'])
        )
        head = f'"name": "x{index}", {parameters} "shape": {shape}, "datatype": "{datatype}"'
        inputs.append(f"{{{head}, {draw(members('data', data))}}}")
    more = draw(
        st.sampled_from(["", "", "", '"parameters": {"timeout": [1, 2]},', '"parameters": [1],', '"outputs": [1, 2],'])
    )
    return f'{{{more} "inputs": [{",".join(inputs)}]}}'


def outcome(decode: Callable[[], dict[str, Any]]) -> Outcome:
    """What came of it, bit for bit."""
    try:
        tensors = decode()
    except GatewayError as error:
        return error.kind, error.message, error.violations
    except JsonError as error:
        return str(error), error.offset
    return tuple(
        (name, tensor.dtype, tensor.shape, tensor.tolist() if tensor.dtype == object else tensor.tobytes())
        for name, tensor in tensors.items()
    )


@given(
    body=mutated(predict_documents()),
    dtype=st.sampled_from([*DTYPES, *["float32"] * 8, *["int64"] * 4]),
    inputs=st.sampled_from([1, 1, 1, 2]),
)
def test_predict_bodies_come_to_the_same(body: bytes, dtype: str, inputs: int) -> None:
    names = ["x", "y"][:inputs]
    signature = Signature("", "", {name: TensorSpec(dtype, None) for name in names}, {})

    def decoded(arrays: bool) -> dict[str, Any]:
        document = parse_json(body, bounds=BOUNDS, rubbish_after=True, arrays=arrays)
        signature_name_of(document_of(document))
        return predict_body(document, signature, bounds=BOUNDS).inputs

    assert outcome(lambda: decoded(True)) == outcome(lambda: decoded(False))


@given(mutated(infer_documents()))
def test_infer_bodies_come_to_the_same(body: bytes) -> None:
    def decoded(arrays: bool) -> dict[str, Any]:
        with pytest.MonkeyPatch.context() as patch:
            if not arrays:
                patch.setattr(rest_request, "parse_json", lambda data, *, bounds, **_: parse_json(data, bounds=bounds))
            message = decode_body(body, len(body), bounds=BOUNDS)
            return {**message.inputs, "parameters": np.array(repr(message.parameters).encode(), object)}

    assert outcome(lambda: decoded(True)) == outcome(lambda: decoded(False))


@given(mutated(predict_documents() | infer_documents()))
def test_with_lists_in_place_of_its_arrays_a_document_is_what_a_parser_makes_of_it(data: bytes) -> None:
    document = parse_arrays(data)
    if document is not None:
        assert repr(with_lists(document)) == repr(parse_json(data, bounds=InputBounds()))


def array_of(value: str) -> Any:
    document = parse_arrays(b'{"x": %b}' % value.encode())
    return None if document is None else document["x"]


@pytest.mark.parametrize(
    ("value", "dtype", "shape"),
    [
        ("[1, 2, 3]", np.int64, (3,)),
        ("[18446744073709551615]", np.uint64, (1,)),
        ("[1, 2.5]", np.float64, (2,)),
        ("[[1e1], [2], [3]]", np.float64, (3, 1)),
        ("[[[1], [2], [3]], [[4], [5], [6]]]", np.int64, (2, 3, 1)),
        ("[ [[[ 7\t]\n]]]", np.int64, (1, 1, 1, 1)),
    ],
)
def test_lists_of_numbers_become_an_array(value: str, dtype: Any, shape: tuple[int, ...]) -> None:
    array = array_of(value)
    assert (array.values.dtype, array.values.shape) == (dtype, shape)
    assert array.values.tolist() == json.loads(value) == as_lists(array)


@pytest.mark.parametrize(
    "value",
    [
        "[]", "[[], []]", "[[1], []]", "[[1, 2], [3]]", "[[1], 2]", "[1, [2]]", "[[[1], [2]], [[3]]]",
        "[[[1, 2]], [[3], [4]]]", "[1, null]", "[true]", '["a"]', "[{}]", "[-1, 18446744073709551615]",
        "[18446744073709551616]", "[1e400]", "[NaN]", "5",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    ],
)  # fmt: skip
def test_what_is_anything_else_is_left_to_the_parser(value: str) -> None:
    assert array_of(value) is None


@pytest.mark.parametrize(
    "text", ['{"a\\/b": "\\"c\\"", "x": [1, 2]}', '{"a": ":[3]", "x": [1, 2]}', '{"x": [1, 2], "": "\\\\"}']
)
def test_what_the_strings_of_a_document_hold_is_no_matter(text: str) -> None:
    document = parse_arrays(text.encode())
    assert document["x"].values.tolist() == [1, 2]
    assert with_lists(document) == json.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": {"b": {"c": [1, 2]}}}',
        '{"a": [[{"b": [1, 2]}]]}',
        '{"a": [1, 2], "a": [3, 4]}',
        '{"a": [1, 2], "b": "\\u0000"}',
        '{"a": [1, 2], "a": 1, "b": "\\u00000"}',
        '{"a\\":[1, 2]}',
        '{"a": "\\":[1, 2], "}',
        '[1, 2]',
        '{"a": [1, 2]',
        '{"a": [1, 2]]}',
        '{"a": [1, 2]} {}',
        '\ufeff{"a": [1, 2]}',
    ],
)  # fmt: skip
def test_what_is_elsewhere_or_no_plain_json_is_left_to_the_parser(text: str) -> None:
    assert parse_arrays(text.encode()) is None


def test_rows_of_one_shape_are_stacked() -> None:
    rows = stacked([array_of("[1, 2]"), array_of("[3.5, 4]")])
    assert rows.values.tolist() == [[1, 2], [3.5, 4]] == as_lists(rows)
    assert repr(as_lists(rows)) == "[[1, 2], [3.5, 4]]"
    assert stacked([array_of("[1, 2]"), array_of("[3]")]) == [[1, 2], [3]]
    assert stacked([array_of("[1, 2]"), [3, 4]]) == [[1, 2], [3, 4]]
    assert stacked([None, array_of("[1, 2]"), {}]) == [None, [1, 2], {}]


def test_several_threads_read_at_the_same_time() -> None:
    texts = [json.dumps({"x": np.random.default_rng(seed).random((50, 40)).tolist()}).encode() for seed in range(20)]
    with ThreadPoolExecutor(4) as pool:
        documents = list(pool.map(parse_arrays, texts * 5))
    for text, document in zip(texts * 5, documents, strict=True):
        assert isinstance(document["x"], NumericArray)
        assert document["x"].values.tolist() == json.loads(text)["x"]
