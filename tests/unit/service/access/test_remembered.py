"""Tokens that were good once: known again while they must be, and not a moment longer."""

import time
from pathlib import Path

import pytest

from service.access import remembered
from service.access.control import Outcome, TokenError
from service.access.key_set import KeySet
from service.access.policy import Claims
from service.access.remembered import RememberedTokens
from service.access.tokens import TokenVerifier
from tests.tokens import AUDIENCE, ISSUER, Issuer, jwks

ONE, TWO = Issuer(kid="one"), Issuer(kid="two")


class Counted(TokenVerifier):
    """Counts what it verifies."""

    count = 0

    async def verify(self, token: bytes) -> tuple[str, Claims]:
        self.count += 1
        return await super().verify(token)


@pytest.fixture
def keys(tmp_path: Path) -> KeySet:
    (tmp_path / "jwks.json").write_bytes(jwks(ONE))
    made = KeySet(str(tmp_path / "jwks.json"), seconds=0, observe=lambda well: None)
    made.read()
    return made


def tokens(keys: KeySet, leeway: float = 0) -> tuple[RememberedTokens, Counted]:
    counted = Counted(keys, issuer=ISSUER, audience=AUDIENCE, leeway=leeway, name_claim="sub")
    return RememberedTokens(counted, keys, leeway=leeway), counted


async def test_a_good_token_is_verified_once(keys: KeySet) -> None:
    made, counted = tokens(keys)
    token, other = ONE.token().encode(), ONE.token(sub="bob").encode()
    for _ in range(3):
        assert (await made.verify(token))[0] == "alice"
        assert (await made.verify(other))[0] == "bob"
    assert counted.count == 2


async def test_a_bad_one_each_time(keys: KeySet) -> None:
    made, counted = tokens(keys)
    good = ONE.token()
    await made.verify(good.encode())
    for bad in (TWO.token(), good[:-2] + ("AA" if good[-2:] != "AA" else "BB")):
        for _ in range(2):
            with pytest.raises(TokenError):
                await made.verify(bad.encode())
    assert counted.count == 5


@pytest.mark.parametrize("leeway", [0, 30])
async def test_until_it_ends(leeway: float, keys: KeySet, monkeypatch: pytest.MonkeyPatch) -> None:
    made, counted = tokens(keys, leeway)
    token, now = ONE.token(seconds=100).encode(), time.time()
    await made.verify(token)
    monkeypatch.setattr("service.access.remembered.time.time", lambda: now + 98 + leeway)
    await made.verify(token)
    assert counted.count == 1
    monkeypatch.setattr("service.access.remembered.time.time", lambda: now + 101 + leeway)
    await made.verify(token)  # by the clock of the library, which goes on as before
    assert counted.count == 2


async def test_not_after_its_key_was_taken_back(keys: KeySet, tmp_path: Path) -> None:
    made, counted = tokens(keys)
    token = ONE.token().encode()
    await made.verify(token)
    await keys.look()
    await made.verify(token)  # the keys are what they were
    assert counted.count == 1
    (tmp_path / "jwks.json").write_bytes(jwks(TWO))
    await keys.look()
    with pytest.raises(TokenError) as caught:
        await made.verify(token)
    assert caught.value.outcome is Outcome.UNKNOWN


async def test_no_more_than_there_may_be(keys: KeySet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "_MOST", 2)
    made, counted = tokens(keys)
    some = [ONE.token(sub=name).encode() for name in "abc"]
    for token in some:
        await made.verify(token)
    await made.verify(some[2])
    assert counted.count == 3
    await made.verify(some[0])
    assert counted.count == 4
    long = ONE.token(much="x" * 4096).encode()
    await made.verify(long)
    await made.verify(long)
    assert counted.count == 6


async def test_a_token_for_all_time_is_one(keys: KeySet) -> None:
    made, _ = tokens(keys, leeway=0.5)
    token = ONE.token(exp=10**400).encode()
    assert (await made.verify(token))[0] == "alice"
    assert (await made.verify(token))[0] == "alice"
