"""The guards of a rollout: what is found of the new version, against the stable one.

A guard is hit when what was seen is hardly chance any more, after however few requests; and a step is passed only when
enough requests were seen and none of the guards is exceeded. Between the two, a rollout waits for more requests.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from service.core.drift import Drift
from service.core.drift_measures import FEWEST_ROWS, SIGNIFICANT, Verdict
from service.core.drift_reference import Side
from service.core.rollout import Guards, Reason
from service.core.version_counts import VersionCounts, is_surely_more

CHANCE = 0.001
"""A guard is hit only by what is less likely than this to be chance."""
_P99 = 0.99
_SLACK_SECONDS = 0.01
"""How much slower a version may be whatever the ratio: a busy machine delays any quick answer by as much."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A guard that was hit.

    Attributes:
        message: What was found, for people.
    """

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Compared:
    """Answers of the canary that were held against the stable version's.

    Attributes:
        answers: How many.
        changed: How many of them name another class.
    """

    answers: int = 0
    changed: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """What the guards judge by.

    Attributes:
        stable: Requests to the stable version since the step began, or before it.
        canary: Requests to the new version since the step began.
        stable_drift: How each statistic of the stable version's reference stands; none where it is not watched.
        canary_drift: Likewise.
        compared: Answers that were compared since the shadow was declared.
    """

    stable: VersionCounts
    canary: VersionCounts
    stable_drift: Sequence[Drift] = ()
    canary_drift: Sequence[Drift] = ()
    compared: Compared = Compared()


@dataclass(frozen=True, slots=True)
class Finding:
    """What one guard has found.

    Attributes:
        hit: What hit it, if it is hit.
        waits: Why the step is not passed yet; empty where nothing is in the way.
    """

    hit: Hit | None = None
    waits: str = ""


def findings(guards: Guards, seen: Seen, *, before_the_last: bool) -> list[Finding]:
    """Returns what each guard finds.

    Args:
        guards: Those of the rollout.
        seen: What they judge by.
        before_the_last: Whether the next step is the last one, before which drift must have been judged.
    """
    found = [_requests(guards, seen), _errors(guards, seen), _latency(guards, seen), _changes(guards, seen)]
    found.append(_drift(guards, seen, before_the_last=before_the_last))
    return found


def _requests(guards: Guards, seen: Seen) -> Finding:
    fewest = min(seen.stable.requests, seen.canary.requests)
    if fewest >= guards.min_requests:
        return Finding()
    which = "the new version" if seen.canary.requests == fewest else "the stable version"
    return Finding(waits=f"{fewest} of {guards.min_requests} requests that {which} is to have answered")


def _errors(guards: Guards, seen: Seen) -> Finding:
    if guards.max_error_rate_increase is None:
        return Finding()
    allowed = min(seen.stable.error_rate + guards.max_error_rate_increase, 1.0)
    told = (
        f"{seen.canary.failures} of {seen.canary.requests} requests failed ({seen.canary.error_rate:.1%}), "
        f"{allowed:.1%} are allowed, as {seen.stable.error_rate:.1%} of the stable version's do"
    )
    if is_surely_more(seen.canary.failures, seen.canary.requests, allowed, chance=CHANCE):
        return Finding(Hit(Reason.ERROR_RATE, told), told)
    return Finding(waits=told if seen.canary.error_rate > allowed else "")


def _latency(guards: Guards, seen: Seen) -> Finding:
    if guards.max_p99_ratio is None or seen.stable.requests < guards.min_requests:
        return Finding()
    stable = seen.stable.quantile(_P99)
    allowed = max(stable * guards.max_p99_ratio, stable + _SLACK_SECONDS)
    slow = seen.canary.slower_than(allowed)
    told = (
        f"{slow} of {seen.canary.requests} requests took more than {_ms(allowed)}, which 1 % may, as the stable "
        f"version's p99 is {_ms(stable)}; the new version's is {_ms(seen.canary.quantile(_P99))}"
    )
    if is_surely_more(slow, seen.canary.requests, 1 - _P99, chance=CHANCE):
        return Finding(Hit(Reason.LATENCY, told), told)
    return Finding(waits=told if slow > seen.canary.requests * (1 - _P99) else "")


def _changes(guards: Guards, seen: Seen) -> Finding:
    allowed, compared = guards.max_changed_share, seen.compared
    if allowed is None or not compared.answers:
        return Finding()
    told = f"{compared.changed} of {compared.answers} answers that were compared name another class, {allowed:.1%} may"
    if is_surely_more(compared.changed, compared.answers, allowed, chance=CHANCE):
        return Finding(Hit(Reason.CHANGED, told), told)
    return Finding(waits=told if compared.changed > allowed * compared.answers else "")


def _drift(guards: Guards, seen: Seen, *, before_the_last: bool) -> Finding:
    limit = guards.max_drift_psi
    if limit is None or not seen.canary_drift:
        return Finding()
    both = {_statistic(drift) for drift in seen.stable_drift if drift.rows < FEWEST_ROWS or _is_beyond(drift, limit)}
    answers = [drift for drift in seen.canary_drift if drift.side is Side.OUTPUT]  # what it is asked is not its doing
    for drift in answers:
        if drift.distance is not None and _is_beyond(drift, limit) and _statistic(drift) not in both:
            told = (
                f"{drift.statistic.value} of {drift.tensor} has a PSI of {drift.distance.psi:.2f} against the new "
                f"version's reference, {limit:g} is allowed"
            )
            return Finding(Hit(Reason.DRIFT, told), told)
    # A model has signatures that nobody asks: what is judged is the one of which most was seen.
    rows = {
        drift.signature: min(each.rows for each in answers if each.signature == drift.signature) for drift in answers
    }
    seen_of = max(rows, key=rows.__getitem__, default=None)
    if before_the_last and seen_of is not None and rows[seen_of] < FEWEST_ROWS:
        told = f"{rows[seen_of]:.0f} of {FEWEST_ROWS} rows of {seen_of} that are to be watched for drift"
        return Finding(waits=told)
    return Finding()


def _is_beyond(drift: Drift, limit: float) -> bool:
    apart = drift.distance
    if apart is None or drift.verdict is Verdict.TOO_FEW_ROWS:
        return False
    return apart.psi > limit and apart.p_value < SIGNIFICANT


def _statistic(drift: Drift) -> tuple[str, str, str]:
    return drift.signature, drift.tensor, drift.statistic.value


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms"
