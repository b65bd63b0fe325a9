"""JSON that something happened to: what a parser may refuse, or read in another way than it was meant."""

from hypothesis import strategies as st

_NUMBERS = ["0", "1", "-", ".", "e", "E5", "+", "NaN", "-Inf", "1e400", "-0", "1.0", "18446744073709551616"]
_MARKS = ["[", "]", "{", "}", ",", ":", '"', " ", "\n", "[[1]]", '"a"', '":[1,2]', "true", "null", "/* */", "[" * 1100]
_ESCAPES = [
    "\\",
    "\\\\",
    "\\u0000",
    '"\\u00000"',
    "\\ud800",
    "\\udc00",
    '\\"',
    "\\/",
    "\\u005b",
    "\0",
    "\x01",
    "é",
    "\ufeff",
]
_MEMBERS = [', "data": [1, 2]', ', "instances": [3.5, 4]', ', "images": [1, 2]', ', "series": [[1]]']
_NO_UTF8 = [b"\xff", b"\xc3", b"\xed\xa0\x80"]
_PIECES = [*(text.encode() for text in (*_NUMBERS, *_MARKS, *_ESCAPES, *_MEMBERS)), *_NO_UTF8]


@st.composite
def mutated(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> bytes:
    """Returns texts of which many are as they were; in the others a piece is put in, left out or written twice."""
    data = draw(texts).encode()
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 6)))
        data = data[:start] + draw(st.sampled_from([*_PIECES, b"", data[start:end] * 2])) + data[end:]
    return data
