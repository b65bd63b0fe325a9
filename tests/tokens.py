"""Issuers of tokens, and what they publish."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ISSUER, AUDIENCE = "https://issuer.test", "tensorgate"
_JWK: Any = {"RS": RSAAlgorithm.to_jwk, "PS": RSAAlgorithm.to_jwk, "ES": ECAlgorithm.to_jwk, "Ed": OKPAlgorithm.to_jwk}


def _private(algorithm: str) -> Any:
    match algorithm[:2]:
        case "ES":
            curves = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
            return ec.generate_private_key(curves[algorithm])
        case "Ed":
            return ed25519.Ed25519PrivateKey.generate()
        case _:
            return rsa.generate_private_key(65537, 2048)


@dataclass
class Issuer:
    """Signs tokens with a key of its own."""

    algorithm: str = "ES256"
    kid: str | None = "one"
    private: Any = None
    named: bool = False
    claims: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.private = self.private or _private(self.algorithm)

    @property
    def jwk(self) -> dict[str, Any]:
        """The public key; with the algorithm where that is to be named."""
        made: dict[str, Any] = json.loads(_JWK[self.algorithm[:2]](self.private.public_key()))
        made.pop("key_ops", None)
        return made | ({"kid": self.kid} if self.kid else {}) | ({"alg": self.algorithm} if self.named else {})

    def token(self, *, seconds: float = 60, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """Returns a token; claims that are ``None`` are left out."""
        usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": time.time() + seconds}
        said = {name: value for name, value in (usual | self.claims | claims).items() if value is not None}
        headers = ({"kid": self.kid} if self.kid else {}) | (header or {})
        return jwt.encode(said, self.private, self.algorithm, headers)


def jwks(*issuers: Issuer, more: tuple[dict[str, Any], ...] = ()) -> bytes:
    """Returns what issuers publish."""
    return json.dumps({"keys": [*(issuer.jwk for issuer in issuers), *more]}).encode()


class Publisher(ThreadingHTTPServer):
    """Publishes keys on this machine.

    Attributes:
        status: Of its answers.
        data: Of their bodies.
        asked: How often it was.
        waits: Set while answers are not held back.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status, self.data, self.asked = 200, data, 0
        self.waits = threading.Event()
        self.waits.set()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/jwks.json"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server: Any = self.server
        server.asked += 1
        server.waits.wait(10)
        self.send_response(server.status)
        self.send_header("location", "/elsewhere")
        self.send_header("content-length", str(len(server.data)))
        self.end_headers()
        self.wfile.write(server.data)

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def publishing(data: bytes) -> Iterator[Publisher]:
    """Publishes keys while the body runs."""
    with Publisher(data) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.waits.set()
            server.shutdown()
            thread.join()
