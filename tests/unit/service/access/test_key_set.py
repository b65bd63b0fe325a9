"""Where the keys of tokens are: at a URL that may be away, slow, or somebody else's."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.access import key_set
from service.access.key_set import KeySet
from service.errors import ErrorKind, GatewayError
from tests.conftest import until
from tests.tokens import Issuer, Publisher, jwks, publishing

ONE, TWO = Issuer(kid="one"), Issuer(kid="two")


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    with publishing(jwks(ONE)) as server:
        yield server


def looked(source: str, seconds: float = 300) -> tuple[KeySet, list[bool]]:
    looks: list[bool] = []
    return KeySet(source, seconds=seconds, observe=looks.append), looks


async def test_a_new_key_is_looked_for_once_in_a_while(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    keys, looks = looked(publisher.url)
    assert await keys.find("one", "ES256")
    publisher.data = jwks(ONE, TWO)
    for _ in range(5):
        assert await keys.find("two", "ES256") is None
    assert publisher.asked == 1
    monkeypatch.setattr(key_set, "_UNKNOWN_SECONDS", 0)
    assert await keys.find("two", "ES256")
    publisher.data = jwks(TWO)
    await keys.look()
    assert await keys.find("one", "ES256") is None  # taken back
    assert all(looks)


async def test_many_who_wait_for_a_key_are_one_look(publisher: Publisher) -> None:
    keys, _ = looked(publisher.url)
    publisher.waits.clear()
    waiting = [asyncio.create_task(keys.find("one", "ES256")) for _ in range(10)]
    await until(lambda: publisher.asked == 1)
    waiting += [asyncio.create_task(keys.find("one", "ES256")) for _ in range(10)]
    await asyncio.sleep(0.05)
    waiting[0].cancel()  # which takes it from nobody
    publisher.waits.set()
    assert all(await asyncio.gather(*waiting[1:]))
    assert publisher.asked == 1


@pytest.mark.parametrize(
    ("status", "data", "words"),
    [
        (500, b"", "HTTP Error 500"),
        (302, b"", "HTTP Error 302"),
        (200, b"<html>", "expected a JSON Web Key Set"),
        (200, b'{"keys": []}', "expected a key for signatures"),
        (200, b" " * (1 << 20) + b" ", "expected at most 1048576 bytes"),
    ],
)
async def test_the_last_good_keys_are_used_while_it_is_away(
    status: int, data: bytes, words: str, publisher: Publisher, caplog: pytest.LogCaptureFixture
) -> None:
    keys, looks = looked(publisher.url)
    await keys.look()
    publisher.status, publisher.data = status, data
    for _ in range(3):
        await keys.look()
    assert await keys.find("one", "ES256")
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]  # said once
    assert words in record.getMessage()
    assert record.getMessage().endswith("; the last good keys are used")
    assert looks == [True, False, False, False]


async def test_until_there_are_any_it_is_not_known_what_to_believe(publisher: Publisher) -> None:
    publisher.status = 503
    keys, _ = looked(publisher.url)
    with pytest.raises(GatewayError) as caught:
        await keys.find("one", "ES256")
    assert caught.value.kind is ErrorKind.NOT_READY


async def test_one_that_dawdles_is_not_waited_for(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_set, "_TIMEOUT_SECONDS", 0.2)
    publisher.waits.clear()
    keys, looks = looked(publisher.url)
    await keys.look()
    assert looks == [False]


async def test_it_is_followed(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_set, "_RETRY_SECONDS", 0.01)
    publisher.status = 503
    keys, looks = looked(publisher.url, seconds=0.01)
    following = asyncio.create_task(keys.follow())
    await until(lambda: len(looks) > 1)
    publisher.status = 200
    await until(lambda: looks[-1])
    following.cancel()
    assert await keys.find("one", "ES256")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("http://issuer.test/jwks", "expected https://, or a file"),
        ("https://me:secret@issuer.test/jwks", "without user and password"),
    ],
)
def test_where_keys_are_not_to_be_had_from(source: str, words: str) -> None:
    with pytest.raises(GatewayError, match=words) as caught:
        looked(source)
    assert "secret" not in caught.value.message


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    keys, _ = looked(str(tmp_path / "none.json"))
    with pytest.raises(GatewayError, match=r"jwt_jwks .*none.json: No such file"):
        keys.read()
