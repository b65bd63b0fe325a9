"""What is attacked: a decoder that is given bytes, and either refuses them or makes something of them."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from service.errors import ErrorKind, GatewayError
from tests.mutations import mutated_bytes

_MOST_CHARACTERS = 2000
"""Of an error's message: clients of gRPC take 8 KiB of trailers, in which it stands twice and percent-encoded."""
_OUR_FAULT = {ErrorKind.INTERNAL, ErrorKind.BACKEND_FAILED, ErrorKind.BACKEND_UNAVAILABLE, ErrorKind.LOAD_FAILED}

Mutate = Callable[[bytes, Random], bytes]
"""Changes bytes; may raise whatever it likes for some that have no structure any more."""


class FindingError(AssertionError):
    """An input was neither refused as it should be nor decoded as it should be; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class Target:
    """A decoder.

    Attributes:
        name: For the command line, and for its corpus.
        decode: Decodes bytes, and checks what comes out; raises `FindingError` where that is wrong.
        seeds: Valid inputs.
        mutate: Changes a valid input so that most of its structure stays.
        refusals: What it may raise.
        weight: Of its share of all inputs.
    """

    name: str
    decode: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    mutate: Mutate = mutated_bytes
    refusals: tuple[type[Exception], ...] = (GatewayError,)
    weight: int = 8

    def attack(self, data: bytes) -> bool:
        """Returns whether the input was decoded rather than refused.

        Raises:
            Exception: Whatever it is, it is a finding.
        """
        try:
            self.decode(data)
        except self.refusals as refusal:
            _check_refusal(refusal)
            return False
        return True

    def mutated(self, data: bytes, random: Random) -> bytes:
        """Returns another input: its structure changed or, where it has none any more, its bytes."""
        try:
            return self.mutate(data, random)
        except Exception:  # a mutator reads valid inputs only, and says what it likes about others
            return mutated_bytes(data, random)


def _check_refusal(refusal: Exception) -> None:
    """Refuses a refusal that a client could not be told."""
    text = str(refusal)
    text.encode()
    if not text or len(text) > _MOST_CHARACTERS:
        raise FindingError(f"a refusal of {len(text)} characters: {text[:200]!r}")
    if isinstance(refusal, GatewayError) and refusal.kind in _OUR_FAULT:
        raise FindingError(f"a client's mistake is taken for the server's: {refusal.kind}: {text}")


def check(condition: object, finding: str) -> None:
    """Says what is wrong, unless the condition holds.

    Raises:
        FindingError: When it does not.
    """
    if not condition:
        raise FindingError(finding)
