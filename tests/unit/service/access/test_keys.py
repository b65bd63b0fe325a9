import hashlib

import pytest

from service.access.keys import is_same, new_key, parse_key


def test_a_key_is_what_it_was_when_it_was_made() -> None:
    key = new_key()
    assert parse_key(key.text.encode()) == key
    assert key.text.startswith("tg_")
    assert key.digest == hashlib.sha256(key.secret).digest()
    assert new_key() != key


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"tg_",
        b"tg_0123456789ab",
        b"tg_0123456789ab_" + b"a" * 42,
        b"tg_0123456789ab_" + b"a" * 44,
        b"tg_0123456789AB_" + b"a" * 43,
        b"tg_0123456789ab_" + b"a" * 42 + b"\xff",
        b"tg_0123456789ab_" + b"a" * 42 + b"\n",
    ],
)
def test_what_is_no_key_is_none(text: bytes) -> None:
    assert parse_key(text) is None


def test_only_its_own_digest_is_that_of_a_key() -> None:
    key, other = new_key(), new_key()
    assert is_same(key, key.digest)
    assert not is_same(key, other.digest)
    assert not is_same(key, None)
    assert not is_same(key, bytes(32))
