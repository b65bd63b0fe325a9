"""Whether and how requests of a signature are merged: what the server does, and what an operator says of a model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise

MAX_BATCH_SIZES = 64
"""The most allowed sizes that a signature may have."""


class BatchMode(StrEnum):
    """Whether requests are merged and large ones split."""

    AUTO = "auto"
    """Where a trial has shown that rows do not depend on each other."""
    ON = "on"
    """Wherever the first dimension of every tensor is free."""
    OFF = "off"


class ShapeMode(StrEnum):
    """Which shapes are given to a model."""

    DECLARED = "declared"
    """Those of its signature."""
    GRAPH = "graph"
    """All, as TensorFlow Serving does: the graph refuses what it does not take, or ends the process."""


@dataclass(frozen=True, slots=True)
class BatchPolicy:
    """How requests of one signature are merged.

    Attributes:
        mode: Whether they are.
        max_batch_size: Rows of a run; larger requests are run in parts. 1 merges nothing and splits nothing.
        allowed_batch_sizes: Ascending; runs are filled up to the next of these with copies of their last row. Any
            number of rows where it is empty.
        max_queue_size: Requests that wait; more are refused.
        has_own_queue: Whether that bound is of this signature's requests, and not of all of its model.
        rows: Most rows of a run.
    """

    mode: BatchMode = BatchMode.AUTO
    max_batch_size: int = 128
    allowed_batch_sizes: tuple[int, ...] = ()
    max_queue_size: int = 256
    has_own_queue: bool = False
    rows: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", min((self.max_batch_size, *self.allowed_batch_sizes[-1:])))

    def filled(self, rows: int) -> int:
        """Returns how many rows a run of so many is to have."""
        return next((size for size in self.allowed_batch_sizes if size >= rows), rows)

    def reason_against(self, found: str) -> str:
        """Returns why requests are neither merged nor split; empty where they are.

        Args:
            found: What a trial found against it, of a signature whose first dimensions are free.
        """
        if self.mode is BatchMode.OFF:
            return "batching is off"
        if self.rows == 1:
            return "max_batch_size is 1"
        return found if self.mode is BatchMode.AUTO else ""


@dataclass(frozen=True, slots=True)
class BatchOverrides:
    """What an operator says of a model or a signature; ``None`` where nothing is said."""

    mode: BatchMode | None = None
    max_batch_size: int | None = None
    allowed_batch_sizes: tuple[int, ...] | None = None
    max_queue_size: int | None = None

    def applied_to(self, policy: BatchPolicy) -> BatchPolicy:
        """Returns the policy with what is said here in place of what it says."""
        return BatchPolicy(
            mode=policy.mode if self.mode is None else self.mode,
            max_batch_size=policy.max_batch_size if self.max_batch_size is None else self.max_batch_size,
            allowed_batch_sizes=(
                policy.allowed_batch_sizes if self.allowed_batch_sizes is None else self.allowed_batch_sizes
            ),
            max_queue_size=policy.max_queue_size if self.max_queue_size is None else self.max_queue_size,
        )


@dataclass(frozen=True, slots=True)
class ServingOptions:
    """How an operator wants one model served.

    Attributes:
        shapes: Which shapes it is given.
        batching: How requests of all its signatures are merged.
        signatures: The same for single signatures, by name.
    """

    shapes: ShapeMode = ShapeMode.DECLARED
    batching: BatchOverrides = field(default_factory=BatchOverrides)
    signatures: Mapping[str, BatchOverrides] = field(default_factory=dict)

    def policy(self, signature: str, default: BatchPolicy) -> BatchPolicy:
        """Returns the policy of a signature, where the server's is ``default``."""
        policy = self.batching.applied_to(default)
        own = self.signatures.get(signature)
        if own is None:
            return policy
        return replace(own.applied_to(policy), has_own_queue=own.max_queue_size is not None)


AS_THE_SERVER = ServingOptions()
"""The options of a model for which the operator gives none."""


def parse_batch_sizes(text: str) -> tuple[int, ...]:
    """Reads allowed batch sizes with commas between them; none of an empty text.

    Raises:
        ValueError: When they are something else.
    """
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    if not all(part.isascii() and part.isdecimal() for part in parts):
        raise ValueError("ascending numbers from 1 on, with commas between them")
    return checked_batch_sizes([int(part) for part in parts])


def checked_batch_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    """Returns the sizes, which must ascend from 1 or more.

    Raises:
        ValueError: When they do not, or there are too many.
    """
    if len(sizes) > MAX_BATCH_SIZES or any(low >= high for low, high in pairwise((0, *sizes))):
        raise ValueError(f"at most {MAX_BATCH_SIZES} ascending numbers from 1 on")
    return tuple(sizes)


class BatchPolicies:
    """The policies of all signatures.

    Args:
        default: The server's.
        options: Returns what an operator says of a model.
    """

    def __init__(self, default: BatchPolicy, options: Callable[[str], ServingOptions]) -> None:
        self._default = default
        self._options = options

    def of(self, model: str, signature: str) -> BatchPolicy:
        """Returns the policy of a model's signature."""
        options = self._options(model)
        return self._default if options is AS_THE_SERVER else options.policy(signature, self._default)
