"""What TensorFlow says went wrong, without what it puts around it: traces, and names of graph nodes."""

import re
from collections.abc import Mapping

_MAX_REASON = 300
_NODE = re.compile(r"\{\{.*?\}\}|\[Op:\w+\]")
_ASSERTION = re.compile(r"assertion failed: \[(.*?)\]")
_AROUND_A_REASON = ("Graph execution error", "Detected at node", "<stack traces", "[[")


def reason_in(text: str) -> str:
    """Returns the reason in the message of a failed run; empty when there is none in it."""
    lines = [_NODE.sub("", line).strip() for line in text.splitlines()]
    reasons = [line for line in lines if line and not line.startswith(_AROUND_A_REASON)]
    if not reasons:
        return ""
    asserted = _ASSERTION.match(reasons[-1])
    return shortened(asserted[1] if asserted else reasons[-1])


def shortened(text: str) -> str:
    """Returns the text, cut to a readable length."""
    return text if len(text) <= _MAX_REASON else text[:_MAX_REASON] + "…"


def none_servable(unservable: Mapping[str, str]) -> str:
    """Returns why a version cannot be served, given the reason for each of its signatures."""
    return "no signature can be served: " + "; ".join(f"{name}: {why}" for name, why in unservable.items())
