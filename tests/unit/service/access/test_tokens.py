"""Tokens that are believed, and all those that are not."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from service.access.control import Outcome, TokenError
from service.access.jwks import parse_jwks
from service.access.key_set import KeySet
from service.access.tokens import TokenVerifier
from service.errors import ErrorKind, GatewayError
from tests.tokens import AUDIENCE, ISSUER, Issuer, jwks

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
RSA = Issuer("RS256")
ONE = Issuer("ES256")


def verifier(folder: Path, data: bytes, *, leeway: float = 30, name_claim: str = "sub") -> TokenVerifier:
    (folder / "jwks.json").write_bytes(data)
    keys = KeySet(str(folder / "jwks.json"), seconds=0, observe=lambda well: None)
    keys.read()
    return TokenVerifier(keys, issuer=ISSUER, audience=AUDIENCE, leeway=leeway, name_claim=name_claim)


async def refused(verifies: TokenVerifier, token: str | bytes) -> tuple[Outcome, str]:
    with pytest.raises(TokenError) as caught:
        await verifies.verify(token.encode() if isinstance(token, str) else token)
    return caught.value.outcome, str(caught.value)


def spliced(token: str, signed: str) -> str:
    """Returns a token with the signature of another one."""
    return f"{token.rpartition('.')[0]}.{signed.rpartition('.')[2]}"


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_token_that_is_signed_by_the_issuer_is_believed(algorithm: str, named: bool, tmp_path: Path) -> None:
    private = RSA.private if algorithm[1:2] == "S" and algorithm[0] in "RP" else None
    issuer = Issuer(algorithm, named=named, private=private)
    verifies = verifier(tmp_path, jwks(issuer, Issuer(kid="two")))
    name, claims = await verifies.verify(issuer.token(groups=["a"]).encode())
    assert (name, claims["groups"]) == ("alice", ["a"])
    stranger = Issuer(algorithm)  # of the same id, with another key
    assert (await refused(verifies, stranger.token()))[0] is Outcome.INVALID


@pytest.mark.parametrize(
    ("token", "outcome", "words"),
    [
        (lambda: ONE.token(seconds=-31), Outcome.EXPIRED, "has expired"),
        (lambda: ONE.token(nbf=4e9), Outcome.INVALID, "not good yet"),
        (lambda: ONE.token(aud="other"), Outcome.INVALID, "another audience"),
        (lambda: ONE.token(aud=["other", AUDIENCE + "x"]), Outcome.INVALID, "another audience"),
        (lambda: ONE.token(iss=ISSUER + "/"), Outcome.INVALID, "another issuer"),
        (lambda: ONE.token(exp=None), Outcome.INVALID, "without one of the claims"),
        (lambda: ONE.token(aud=None), Outcome.INVALID, "without one of the claims"),
        (lambda: ONE.token(iss=None), Outcome.INVALID, "without one of the claims"),
        (lambda: ONE.token(sub=None), Outcome.INVALID, "without a name in the claim sub"),
        (lambda: ONE.token(sub=""), Outcome.INVALID, "without a name in the claim sub"),
        (lambda: ONE.token(sub="a\nb"), Outcome.INVALID, "without a name in the claim sub"),
        (lambda: ONE.token(sub="\ud800"), Outcome.INVALID, "without a name in the claim sub"),
        (lambda: ONE.token(sub="a" * 257), Outcome.INVALID, "without a name in the claim sub"),
        (lambda: ONE.token(exp="soon"), Outcome.INVALID, "a token that is not good"),
        (lambda: ONE.token(header={"kid": "three"}), Outcome.UNKNOWN, "not known here"),
        (lambda: ONE.token(header={"crit": ["x"]}), Outcome.MALFORMED, "no token"),
        (lambda: spliced(ONE.token(), ONE.token(sub="bob")), Outcome.INVALID, "signature"),
        (lambda: ONE.token() + "x", Outcome.MALFORMED, "no token"),
        (lambda: "x" * 20_000, Outcome.MALFORMED, "more than 16384 bytes"),
        (lambda: "a.b.c", Outcome.MALFORMED, "no token"),
        (lambda: "", Outcome.MALFORMED, "no token"),
    ],
)
async def test_what_is_not_to_be_believed_says_why(
    token: Callable[[], str], outcome: Outcome, words: str, tmp_path: Path
) -> None:
    found, said = await refused(verifier(tmp_path, jwks(ONE)), token())
    assert (found, words in said) == (outcome, True), said


async def test_clocks_may_be_apart_as_far_as_is_said(tmp_path: Path) -> None:
    late = ONE.token(seconds=-5).encode()
    assert (await verifier(tmp_path, jwks(ONE)).verify(late))[0] == "alice"
    assert (await refused(verifier(tmp_path, jwks(ONE), leeway=0), late))[0] is Outcome.EXPIRED


async def test_the_name_is_that_of_the_claim_that_is_chosen(tmp_path: Path) -> None:
    verifies = verifier(tmp_path, jwks(ONE), name_claim="email")
    assert (await verifies.verify(ONE.token(email="a@b").encode()))[0] == "a@b"


def forged(header: dict[str, Any], signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), ONE.token().split(".")[1].encode(), signature]
    encoded = [base64.urlsafe_b64encode(part).rstrip(b"=") for part in (parts[0], parts[2])]
    return b".".join([encoded[0], parts[1], encoded[1]]).decode()


@pytest.mark.parametrize("alg", ["none", "None", "HS256", "", None, 1, ["ES256"], {}])
async def test_no_other_algorithm_is_one(alg: Any, tmp_path: Path) -> None:
    verifies = verifier(tmp_path, jwks(ONE, RSA))
    outcome, _ = await refused(verifies, forged({"alg": alg, "kid": "one"}))
    assert outcome in {Outcome.UNKNOWN, Outcome.MALFORMED}


@pytest.mark.parametrize("kid", [1, ["one"], {"a": 1}, "x" * 5000])
async def test_odd_ids_are_none(kid: Any, tmp_path: Path) -> None:
    outcome, _ = await refused(verifier(tmp_path, jwks(ONE)), forged({"alg": "ES256", "kid": kid}))
    assert outcome in {Outcome.UNKNOWN, Outcome.MALFORMED}


async def test_a_public_key_is_no_secret_of_a_symmetric_one(tmp_path: Path) -> None:
    pem = RSA.private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    head, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "kid": "one"}, {"iss": ISSUER, "aud": AUDIENCE, "sub": "eve", "exp": 4e9})
    )
    signed = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    signature = base64.urlsafe_b64encode(signed.sign(head + b"." + body, pem)).rstrip(b"=")
    outcome, _ = await refused(verifier(tmp_path, jwks(RSA)), b".".join([head, body, signature]))
    assert outcome is Outcome.UNKNOWN


async def test_a_token_that_names_no_key_is_good_where_one_alone_fits(tmp_path: Path) -> None:
    issuer = Issuer(kid=None, private=ONE.private)
    assert (await verifier(tmp_path, jwks(ONE, RSA)).verify(issuer.token().encode()))[0] == "alice"
    several = verifier(tmp_path, jwks(ONE, Issuer(kid="two")))
    assert (await refused(several, issuer.token()))[0] is Outcome.UNKNOWN


def test_keys_that_do_not_verify_are_left_aside() -> None:
    short = Issuer("RS256", private=rsa.generate_private_key(65537, 1024))  # noqa: S505  # which is the point
    others: tuple[dict[str, Any], ...] = (
        {"kty": "oct", "k": "c2VjcmV0", "kid": "one", "alg": "HS256"},
        {**RSA.jwk, "use": "enc"},
        {**RSA.jwk, "alg": "RSA-OAEP"},
        {**ONE.jwk, "crv": "secp256k1"},
        {**ONE.jwk, "x": "AAAA"},
        {"kty": "XYZ"},
        {**RSA.jwk, "n": 5},
        {**RSA.jwk, "n": "!", "e": []},
        {**ONE.jwk, "kty": ["EC"]},
        {**ONE.jwk, "crv": {"P-256": 1}},
        {**ONE.jwk, "y": None},
        {},
    )
    assert len(parse_jwks(jwks(ONE, short, more=others))) == 1
    with pytest.raises(GatewayError, match="expected a key for signatures") as caught:
        parse_jwks(jwks(short, more=others))
    assert caught.value.kind is ErrorKind.INVALID_INPUT


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"keys": 1}', b"<html>", b"\xff"])
def test_what_is_no_set_of_keys_says_so(data: bytes) -> None:
    with pytest.raises(GatewayError) as caught:
        parse_jwks(data)
    assert caught.value.kind is ErrorKind.MALFORMED
