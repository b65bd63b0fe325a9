"""``python -m benchmarks.access``: what it costs a request to be asked who sends it, in this process and nothing else.

That is to find out who it is, and to resolve a model as that identity may see it. A request as a whole takes this
server's process some 160 microseconds at the least (docs/benchmarks.md: streams of one image a message): the last
column is the cost as a part of that.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from service.access.control import AccessControl
from service.access.key_set import KeySet
from service.access.keys import Key, new_key
from service.access.policy import Document, Policy
from service.access.remembered import RememberedTokens
from service.access.tokens import TokenVerifier
from service.core.admission import Admission
from service.core.call import Call
from service.core.catalog import Catalog
from service.core.deadline import Deadline
from service.core.model_version import ModelRef, ModelVersion, State
from service.core.rights import Access
from service.core.visibility import Models
from service.telemetry.access import AccessMetrics
from service.telemetry.metrics import Metrics

_REQUESTS = 2_000
_REPEATS = 9
_REQUEST_MICROSECONDS = 160.0
_MODELS = 10
_ISSUER, _AUDIENCE = "https://issuer.example", "tensorgate"


def main() -> int:
    """Prints the table."""
    key, signers = new_key(), _signers()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "jwks.json")
        file.write_text(json.dumps({"keys": [jwk for _, _, jwk in signers.values()]}))
        fresh, again = (_control(key, file, remembered=remembered) for remembered in (False, True))
        ways: dict[str, Mapping[bytes, bytes]] = {"key": {b"x-api-key": key.text.encode()}}
        claims = {"iss": _ISSUER, "aud": _AUDIENCE, "sub": "alice", "groups": ["data"], "exp": time.time() + 3600}
        for name, (algorithm, private, _) in signers.items():
            token = jwt.encode(claims, private, algorithm, {"kid": name})
            ways[name] = {b"authorization": f"Bearer {token}".encode()}
        sys.stdout.write(f"{'shown':>12} {'microseconds':>13} {'of 160':>7}\n")
        without = asyncio.run(_cost(None, fresh))
        for name, headers in ways.items():
            for control, which in ((fresh, ""), (again, "again")):
                if control is fresh or name in signers:
                    cost = asyncio.run(_cost(headers, control)) - without
                    row = f"{name} {which}"
                    sys.stdout.write(f"{row:>12} {cost:>13.1f} {cost / _REQUEST_MICROSECONDS:>7.1%}\n")
    sys.stdout.write("a request more than where access is not controlled; the best of several runs each\n")
    return 0


def _signers() -> dict[str, tuple[str, Any, dict[str, Any]]]:
    """Returns algorithm, private key, and public key as it is published, by the names of these."""
    made: dict[str, tuple[str, Any, Any]] = {
        "RS256": ("RS256", rsa.generate_private_key(65537, 2048), RSAAlgorithm),
        "ES256": ("ES256", ec.generate_private_key(ec.SECP256R1()), ECAlgorithm),
        "EdDSA": ("EdDSA", ed25519.Ed25519PrivateKey.generate(), OKPAlgorithm),
    }
    return {
        name: (algorithm, private, {**json.loads(kind.to_jwk(private.public_key())), "kid": name})
        for name, (algorithm, private, kind) in made.items()
    }


def _control(key: Key, jwks: Path, *, remembered: bool) -> AccessControl:
    metrics = AccessMetrics(
        Metrics(admission=Admission(requests=1, streams=1, request_bytes=1), backend="none").registry
    )
    keys = KeySet(str(jwks), seconds=0, observe=metrics.looked)
    keys.read()
    tokens = TokenVerifier(keys, issuer=_ISSUER, audience=_AUDIENCE, leeway=0, name_claim="sub")
    control = AccessControl(RememberedTokens(tokens, keys, leeway=0) if remembered else tokens, metrics.observe)
    rights = {"models": ["model-*"], "actions": ["infer", "read"]}
    entry = {"id": key.id, "name": "shop", "sha256": key.digest.hex(), "created": datetime.now(UTC), **rights}
    document = {"keys": [entry], "tokens": [{"claims": {"groups": "data"}, **rights}]}
    control.policy = Policy(Document.model_validate(document))
    return control


async def _cost(headers: Mapping[bytes, bytes] | None, control: AccessControl) -> float:
    """Returns microseconds a request; ``None`` for headers where access is not controlled."""
    catalog = Catalog()
    catalog.announce(ModelVersion(f"model-{number}", 1, State.AVAILABLE) for number in range(_MODELS))
    models, wanted = Models(catalog, controlled=headers is not None), ModelRef("model-3")
    best = float("inf")
    for _ in range(_REPEATS):  # the machine may be busy with other things
        begun = time.thread_time()
        for _ in range(_REQUESTS):
            call = Call("rest", "m", "id", Deadline.after(5), access=Access.INFER)
            if headers is not None:
                call.identity = await control.identify(headers, None)
                assert call.identity.rights.allow_some(call.access)  # noqa: S101  # as every request is asked
            models.of(call).resolve(wanted)
        best = min(best, time.thread_time() - begun)
    return best / _REQUESTS * 1e6


if __name__ == "__main__":
    sys.exit(main())
