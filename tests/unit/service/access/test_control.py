from datetime import UTC, datetime, timedelta

import pytest

from service.access.control import AccessControl, Method, Outcome, TokenError
from service.access.keys import Key, new_key
from service.access.policy import Claims, Document, KeyEntry, Policy
from service.core.identity import PeerCertificate, UnauthenticatedError
from service.core.rights import Access

TOKEN = b"eyJhbGciOiJub25lIn0.e30."
CERTIFICATE = PeerCertificate("CN=till", ("till.shop",))


class Tokens:
    """Believes one token."""

    async def verify(self, token: bytes) -> tuple[str, Claims]:
        if token != TOKEN:
            raise TokenError(Outcome.EXPIRED, "a token that has expired")
        return "alice", {"groups": ["x"]}


def entry(key: Key, *, seconds: float | None = None) -> KeyEntry:
    now = datetime.now(UTC)
    fields = {"id": key.id, "name": "shop", "sha256": key.digest.hex(), "created": now}
    expires = None if seconds is None else now + timedelta(seconds=seconds)
    return KeyEntry.model_validate({**fields, "models": ["digits"], "actions": ["infer"], "expires": expires})


class Doing:
    """Access control, and what it has counted."""

    def __init__(self, *entries: KeyEntry, tokens: Tokens | None = None) -> None:
        self.seen: list[tuple[Method, Outcome]] = []
        self.control = AccessControl(tokens, lambda *what: self.seen.append(what))
        certificates = [{"name": "till*", "models": ["*"], "actions": ["read"]}]
        document = Document.model_validate({"keys": list(entries), "certificates": certificates})
        self.control.policy = Policy(document)


async def test_a_key_is_taken_from_either_header() -> None:
    key = new_key()
    doing = Doing(entry(key), entry(new_key(), seconds=60))
    for headers in (
        {b"x-api-key": key.text.encode()},
        {b"authorization": b"Bearer " + key.text.encode()},
        {b"authorization": b"bearer   " + key.text.encode() + b" "},
        {b"x-api-key": key.text.encode(), b"authorization": b"Basic abc"},
    ):
        identity = await doing.control.identify(headers, None)
        assert (identity.name, identity.shown) == ("shop", key.id)
        assert identity.rights.allow(Access.INFER, "digits")
    assert doing.seen == [(Method.KEY, Outcome.OK)] * 4


@pytest.mark.parametrize(
    ("shown", "outcome", "got"),
    [
        (b"tg_abc", Outcome.MALFORMED, "what is no key"),
        (b"secret", Outcome.MALFORMED, "what is no key"),
        (new_key().text.encode(), Outcome.UNKNOWN, "a key that is not known here"),
        (None, Outcome.UNKNOWN, "a key that is not known here"),
    ],
    ids=["another form", "no form", "another server's", "one that was taken back"],  # keys are made anew each time
)
async def test_what_is_no_key_of_this_server_is_refused(shown: bytes | None, outcome: Outcome, got: str) -> None:
    key = new_key()
    forged = Key(key.id, new_key().secret).text.encode()
    doing = Doing(entry(key))
    with pytest.raises(UnauthenticatedError) as caught:
        await doing.control.identify({b"x-api-key": shown or forged}, CERTIFICATE)
    [violation] = caught.value.violations
    assert (violation.where, violation.got) == ("X-API-Key", got)
    assert caught.value.challenge == f'Bearer realm="tensorgate", error="invalid_token", error_description="{got}"'
    assert (shown or forged).decode() not in str(caught.value) + caught.value.challenge
    assert doing.seen == [(Method.KEY, outcome)]


async def test_a_key_ends_when_it_was_to() -> None:
    key = new_key()
    assert (await Doing(entry(key, seconds=60)).control.identify({b"x-api-key": key.text.encode()}, None)).name
    doing = Doing(entry(key, seconds=-1))
    with pytest.raises(UnauthenticatedError, match="one that has expired"):
        await doing.control.identify({b"x-api-key": key.text.encode()}, None)
    assert doing.seen == [(Method.KEY, Outcome.EXPIRED)]


async def test_who_shows_nothing_is_told_what_to_show() -> None:
    with pytest.raises(UnauthenticatedError) as caught:
        await Doing(tokens=Tokens()).control.identify({}, None)
    assert caught.value.challenge == 'Bearer realm="tensorgate"'
    assert caught.value.message == (
        "Authorization: expected Bearer and a key (tg_...) of this server, or a token (JWT), "
        "got nothing, and no X-API-Key"
    )


@pytest.mark.parametrize("header", [b"Basic YTpi", b"Bearer", b"", b"Digest opaque", b"Bearer " + TOKEN])
async def test_another_scheme_is_refused_and_shown_nowhere(header: bytes) -> None:
    with pytest.raises(UnauthenticatedError) as caught:
        await Doing().control.identify({b"authorization": header}, CERTIFICATE)
    assert not header.split()[1:] or header.split()[1].decode() not in str(caught.value) + caught.value.challenge


async def test_a_token_is_asked_of_who_knows() -> None:
    doing = Doing(tokens=Tokens())
    identity = await doing.control.identify({b"authorization": b"Bearer " + TOKEN}, None)
    assert (identity.name, identity.shown) == ("alice", "token")
    assert not identity.rights.allow_some(Access.READ)
    with pytest.raises(UnauthenticatedError, match="a token that has expired"):
        await doing.control.identify({b"authorization": b"Bearer other"}, None)
    assert doing.seen == [(Method.TOKEN, Outcome.OK), (Method.TOKEN, Outcome.EXPIRED)]


async def test_a_certificate_counts_where_nothing_else_is_shown() -> None:
    identity = await Doing().control.identify({}, CERTIFICATE)
    assert (identity.name, identity.shown) == ("till.shop", "certificate")
    assert identity.rights.allow(Access.READ, "any")
    assert (await Doing().control.identify({}, PeerCertificate("CN=other", ()))).name == "CN=other"
