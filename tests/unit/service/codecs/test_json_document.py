import json
import math
import tracemalloc
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.codecs.json_document import JsonError, parse_json
from service.core.bounds import InputBounds
from service.errors import ErrorKind, GatewayError

BOUNDS = InputBounds()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=20,
)


def parsed(text: str | bytes, **options: Any) -> Any:
    return parse_json(text if isinstance(text, bytes) else text.encode(), bounds=BOUNDS, **options)


@given(VALUES)
def test_what_json_can_say_is_read(value: Any) -> None:
    try:
        expected = json.loads(json.dumps(value))
        text = json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return
    assert parsed(text) == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[Infinity, -Infinity, Inf, -Inf]", [math.inf, -math.inf, math.inf, -math.inf]),
        ('\ufeff{"a": 1}', {"a": 1}),
        ('["NaN", "Inf \\" Inf", Infinity]', ["NaN", 'Inf " Inf', math.inf]),
        ("[NaN, 123456789012345678901234567890]", [pytest.approx(math.nan, nan_ok=True), 123456789012345678901234567890]),
        ("[NaN, 18446744073709551615, -9223372036854775808]", [pytest.approx(math.nan, nan_ok=True), 2**64 - 1, -(2**63)]),
        (r'["\ud83d\ude00", Inf]', ["😀", math.inf]),
    ],
)  # fmt: skip
def test_what_upstream_reads_beyond_json_is_read(text: str, value: Any) -> None:
    assert parsed(text) == value


def test_nan_in_every_spelling() -> None:
    assert all(math.isnan(value) for value in parsed("[NaN, -NaN]"))


def test_anything_may_come_after_the_document_where_it_may() -> None:
    assert parsed("[1] x", rubbish_after=True) == [1]
    assert parsed("[1, Inf]  \n") == [1, math.inf]
    with pytest.raises(JsonError, match=r"must not be followed by other values\. at offset: 3"):
        parsed("[1] x")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "The document is empty"),
        ("  ", "The document is empty. at offset: 2"),
        ("[1,2", "Missing a comma or ']' after an array element. at offset: 4"),
        ('{"a":[1],"b" 2}', "Missing a colon after a name of object member. at offset: 13"),
        ('{"a":[1] "b"}', "Missing a comma or '}' after an object member. at offset: 9"),
        ('{"a]":["]" 1]}', "Missing a comma or ']' after an array element. at offset: 11"),
        ("{1:2}", "Missing a name for object member. at offset: 1"),
        ("[1,]", "Invalid value. at offset: 3"),
        ('["é" 1]', "Missing a comma or ']' after an array element. at offset: 6"),
        ('"abc', "Missing a closing quotation mark in string. at offset: 4"),
        (r'["\q"]', "Invalid escape character in string. at offset: 2"),
        (r'["\u12"]', "Incorrect hex digit after \\u escape in string. at offset: 3"),
        ('["\x01"]', "Invalid encoding in string. at offset: 2"),
        ("[1e400]", "Number too big to be stored in double. at offset: 1"),
        (r'["\ud800"]', "The surrogate pair in string is invalid. at offset: 8"),
        (r'["\udc00"]', "The surrogate pair in string is invalid. at offset: 2"),
        (r'["\ud800","\n"]', "The surrogate pair in string is invalid. at offset: 8"),
        (r'["\ud800\n\udc00"]', "The surrogate pair in string is invalid. at offset: 8"),
        (r'["\n","\ud800"]', "The surrogate pair in string is invalid. at offset: 13"),
        (r'["\ud800\ud800\udc00"]', "The surrogate pair in string is invalid. at offset: 8"),
    ],
)
def test_what_is_wrong_is_said_in_rapidjsons_words(text: str, reason: str) -> None:
    with pytest.raises(JsonError) as caught:
        parsed(text)
    assert str(caught.value) == reason


@pytest.mark.parametrize("text", ['{"a": "' + '\\"' * 500_000, '["' + "\\\\" * 500_000 + "\\", '"' * 1_000_001])
def test_strings_that_do_not_end_are_looked_at_once(text: str) -> None:
    with pytest.raises(JsonError):
        parsed(text)


def test_values_are_counted_before_they_are_made() -> None:
    with pytest.raises(GatewayError, match="max_json_values"):
        parse_json(b"[" + b"0," * 101 + b"NaN]", bounds=InputBounds(max_json_values=100))


@pytest.mark.parametrize(
    "text", ['"' + "a" * 1_000_000 + '"', '"' + "\\u0041" * 200_000 + '"', ("1" * 299 + ",") * 2000 + "1"]
)
@pytest.mark.parametrize("odd", ["-NaN", r'"\ud800"'])
def test_what_is_beyond_json_takes_no_more_memory_than_a_multiple_of_its_bytes(text: str, odd: str) -> None:
    data = f"[{text}, {odd}]".encode()
    tracemalloc.start()
    try:
        with suppress(JsonError):
            parsed(data)
        assert tracemalloc.get_traced_memory()[1] < 16 * len(data)  # the fast parser alone asks for 12
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("data", [b"[NaN%b]", b'["\\ud800"%b]', b"[1%b] x", b"[1%b"])
def test_what_is_beyond_json_is_bounded(data: bytes) -> None:
    bounds = InputBounds(max_extended_json_bytes=2000)
    assert parse_json(b"[1" + b" " * 3000 + b"]", bounds=bounds) == [1]
    with pytest.raises(GatewayError, match="max_extended_json_bytes") as caught:
        parse_json(data % (b" " * 3000), bounds=bounds)
    assert caught.value.kind is ErrorKind.TOO_LARGE


def test_bytes_that_are_no_utf8_are_refused() -> None:
    with pytest.raises(JsonError, match=r"Invalid encoding in string\. at offset: 1"):
        parsed(b'"\xff"')


@pytest.mark.parametrize("text", ["[" * 5000, '{"a":' * 5000, "[" * 900 + "NaN" + "]" * 900 + "x"])
def test_depth_is_bounded_whatever_comes(text: str) -> None:
    with pytest.raises((GatewayError, JsonError)) as caught:
        parsed(text)
    if isinstance(caught.value, GatewayError):
        assert caught.value.kind is ErrorKind.TOO_LARGE
        assert "max_json_depth" in caught.value.message


@given(st.binary(max_size=100) | st.text(alphabet='[]{}",:\\u0dD8tNaIinf-+e.1 ', max_size=60).map(str.encode))
def test_no_bytes_whatever_crash_it(data: bytes) -> None:
    try:
        parsed(data)
    except (JsonError, GatewayError):
        return
