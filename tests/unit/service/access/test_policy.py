from typing import Any

import pytest

from service.access.policy import Policy, parse_document, values_of
from service.core.identity import PeerCertificate
from service.core.rights import Access
from service.errors import ErrorKind, GatewayError

KEY = """[[keys]]
id = "0123456789ab"
name = "shop"
sha256 = "{digest}"
models = ["digits*"]
actions = ["infer"]
created = 2026-01-01T00:00:00Z
""".format(digest="00" * 32)


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("[[keys", ErrorKind.MALFORMED, "it is not TOML"),
        ("a = " + "[" * 100_000, ErrorKind.MALFORMED, "it is not TOML"),
        ("[[key]]", ErrorKind.INVALID_INPUT, "key: expected no such field"),
        (KEY.replace('"infer"', '"fly"'), ErrorKind.INVALID_INPUT, r"keys\[0\].actions\[0\]: expected 'infer', 'read'"),
        (KEY.replace('["infer"]', "[]"), ErrorKind.INVALID_INPUT, r"keys\[0\].actions: expected at least 1"),
        (KEY.replace("sha256", "secret"), ErrorKind.INVALID_INPUT, r"keys\[0\].sha256: expected a value, got nothing"),
        (KEY.replace("0Z\n", "0\n"), ErrorKind.INVALID_INPUT, r"keys\[0\].created: expected .*timezone"),
        (KEY + KEY, ErrorKind.INVALID_INPUT, r"keys\[1\].id: expected another one than those above"),
        ("[[tokens]]\nmodels = ['*']\nactions = ['read']", ErrorKind.INVALID_INPUT, r"tokens\[0\].claims: expected"),
        ("[[certificates]]\nname = 1\nmodels = ['*']\nactions = ['read']", ErrorKind.INVALID_INPUT, r"name: expected"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_was_expected(text: str, kind: ErrorKind, words: str) -> None:
    with pytest.raises(GatewayError, match=words) as caught:
        parse_document(text)
    assert caught.value.kind is kind


def test_a_digest_stands_in_no_message() -> None:
    with pytest.raises(GatewayError) as caught:
        parse_document(KEY.replace("00" * 32, "5ec2e7" * 10))
    assert "sha256" in caught.value.message
    parsed = parse_document(KEY)
    assert "00" * 32 not in repr(parsed)


def test_the_holder_of_a_key_has_its_name_and_rights() -> None:
    holder = Policy(parse_document(KEY)).holders["0123456789ab"]
    assert (holder.identity.name, holder.identity.shown, holder.expires) == ("shop", "0123456789ab", None)
    assert holder.identity.rights.allow(Access.INFER, "digits-2")
    assert not holder.identity.rights.allow(Access.INFER, "sunspots")


@pytest.mark.parametrize(
    ("claims", "claim", "values"),
    [
        ({"groups": ["a", 1, "b"]}, "groups", ["a", "b"]),
        ({"sub": "a b"}, "sub", ["a b"]),
        ({"scope": "a b"}, "scope", ["a", "b"]),
        ({"realm_access": {"roles": ["x"]}}, "realm_access.roles", ["x"]),
        ({"a.b": "c", "a": {"b": "d"}}, "a.b", ["c"]),
        ({"a": "b"}, "a.b", []),
        ({"n": 1}, "n", []),
        ({}, "groups", []),
    ],
)
def test_claims_have_one_text_or_several(claims: dict[str, Any], claim: str, values: list[str]) -> None:
    assert list(values_of(claims, claim)) == values


def test_a_token_has_the_rights_of_each_entry_all_of_whose_claims_it_has() -> None:
    policy = Policy(
        parse_document("""
            [[tokens]]
            claims = {groups = "data-*"}
            models = ["*"]
            actions = ["read"]
            [[tokens]]
            claims = {groups = "data-*", sub = "alice"}
            models = ["digits"]
            actions = ["infer"]
        """)
    )
    both = policy.rights_of_token({"groups": ["x", "data-science"], "sub": "alice"})
    assert both.allow(Access.READ, "any")
    assert both.allow(Access.INFER, "digits")
    assert not policy.rights_of_token({"groups": ["data-science"], "sub": "bob"}).allow(Access.INFER, "digits")
    assert not policy.rights_of_token({"groups": "DATA-x"}).allow_some(Access.READ)


def test_a_certificate_is_known_by_its_subject_or_by_any_of_its_names() -> None:
    policy = Policy(
        parse_document("""
            [[certificates]]
            name = "*.shop.internal"
            models = ["digits"]
            actions = ["infer"]
            [[certificates]]
            name = "CN=ops,*"
            models = ["*"]
            actions = ["control"]
        """)
    )
    shop = policy.rights_of_certificate(PeerCertificate("CN=x", ("a.other", "till.shop.internal")))
    assert shop.allow(Access.INFER, "digits")
    assert not shop.allow_some(Access.CONTROL)
    assert policy.rights_of_certificate(PeerCertificate("CN=ops,O=us", ())).allow_all(Access.CONTROL)
    assert not policy.rights_of_certificate(PeerCertificate("CN=no", ("shop.internal",))).allow_some(Access.INFER)


@pytest.mark.parametrize("field", ["sha256", "id", "key"])
def test_a_key_that_stands_where_none_belongs_is_in_no_message(field: str) -> None:
    key = "tg_dd3d98f97359_" + "C0yE" * 10
    fields = {"id": "dd3d98f97359", "name": "shop", "sha256": "0" * 64, "models": ["*"], "actions": ["infer"]}
    lines = [f"{name} = {value!r}" for name, value in (fields | {field: key}).items()]
    with pytest.raises(GatewayError) as refused:
        parse_document("\n".join(["[[keys]]", *lines]).replace("'", '"'))
    assert refused.value.kind is ErrorKind.INVALID_INPUT
    assert field in refused.value.message
    assert "C0yE" not in str(refused.value) + str(refused.value.details())


def test_a_number_of_any_length_is_no_crash() -> None:
    with pytest.raises(GatewayError) as refused:
        parse_document("version = " + "9" * 5000)
    assert refused.value.kind is ErrorKind.MALFORMED
