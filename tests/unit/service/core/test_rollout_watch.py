"""A rollout as one server sees it: its steps, what it waits for, and what takes it back."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from service.core.drift import Drift
from service.core.drift_measures import Distance
from service.core.drift_reference import Side, Statistic
from service.core.rollout import Guards, Reason, RolledBack, Rollout
from service.core.rollout_guards import Compared
from service.core.rollout_watch import Phase, RolloutWatch
from service.errors import OK, ErrorKind

ROLLOUT = Rollout(stable=7, canary=8, step_seconds=60, start_time=1000, guards=Guards(min_requests=20))


class Watched(RolloutWatch):
    """A watch with a clock that is set by hand.

    Attributes:
        now: What the clock says.
        drift: Of both versions.
        broken: What clients would miss.
        compared_answers: Those that were compared.
    """

    def __init__(self, rollout: Rollout = ROLLOUT, now: float = 1000.0) -> None:
        self.now = now
        self.drift: dict[int, Sequence[Drift]] = {}
        self.broken = ""
        self.compared_answers = Compared()
        super().__init__(
            "m",
            rollout,
            lambda _, version: self.drift.get(version, ()),
            lambda *_: self.broken,
            compared=lambda: self.compared_answers,
            clock=lambda: self.now,
        )

    def answer(self, count: int, *, version: int = 0, code: str = OK, seconds: float = 0.002) -> None:
        """Counts requests, by default of both versions."""
        for number in [version] if version else [7, 8]:
            for _ in range(count):
                self.count(number, code, seconds)

    def later(self, seconds: float = 60) -> None:
        """Has time pass, and judges."""
        self.now += seconds
        self.tick()


def drifted(psi: float, *, rows: float = 500, side: Side = Side.OUTPUT) -> Drift:
    return Drift("serving_default", side, "y", Statistic.MEAN, 1000, rows, Distance(psi, "kolmogorov_smirnov", 0.5, 0))


def test_it_goes_step_by_step_to_the_end_where_all_is_well() -> None:
    watch, shares = Watched(), []
    for _ in range(4):
        shares.append((watch.percent, watch.phase))
        watch.answer(20)
        watch.later(59)
        assert watch.percent == shares[-1][0]
        watch.later(1)
    assert shares == [(percent, Phase.PROGRESSING) for percent in (1, 5, 25, 100)]
    assert (watch.percent, watch.phase, watch.declared.step) == (100, Phase.COMPLETE, 3)
    assert watch.split.weights == {8: 100, 7: 0}


def test_before_its_time_nothing_goes_to_the_new_version() -> None:
    watch = Watched(now=900)
    watch.answer(100)
    watch.tick()
    assert (watch.percent, watch.phase) == (0, Phase.PENDING)
    watch.now = 1000
    assert (watch.percent, watch.phase) == (1, Phase.PROGRESSING)


@pytest.mark.parametrize("version", [7, 8])
def test_a_step_is_not_passed_before_both_versions_have_answered_enough(version: int) -> None:
    watch = Watched()
    watch.answer(100, version=version)
    watch.answer(19, version=15 - version)
    watch.later(3600)
    assert (watch.percent, watch.phase) == (1, Phase.WAITING)
    assert "19 of 20 requests" in watch.waits
    watch.answer(1, version=15 - version)
    watch.later(1)
    assert (watch.percent, watch.waits) == (5, "")
    watch.answer(100)
    watch.later(59)
    assert watch.percent == 5  # a step lasts its time, however long the one before has waited


@pytest.mark.parametrize(
    ("code", "is_hit"),
    [(ErrorKind.BACKEND_FAILED, True), (ErrorKind.INVALID_INPUT, True), (ErrorKind.CANCELLED, False)],
)
def test_failures_take_it_back_long_before_the_step_is_over(code: ErrorKind, is_hit: bool) -> None:
    watch = Watched()
    watch.answer(100, version=7)
    watch.answer(3, version=8, code=code)
    watch.later(1)
    assert (watch.rolled_back is not None) is is_hit
    if watch.rolled_back is not None:
        assert watch.rolled_back.reason is Reason.ERROR_RATE
        assert "3 of 3 requests failed" in watch.rolled_back.message
        assert (watch.percent, watch.phase, watch.split.weights[7]) == (0, Phase.ROLLED_BACK, 100)
        assert watch.declared.rolled_back == watch.rolled_back
        watch.answer(100)
        watch.later(3600)
        assert watch.percent == 0


def test_failures_that_the_stable_version_has_too_take_nothing_back() -> None:
    watch = Watched()
    watch.answer(80)
    watch.answer(20, code=ErrorKind.BACKEND_FAILED)
    watch.later()
    assert (watch.rolled_back, watch.percent) == (None, 5)


def test_what_may_be_chance_neither_takes_it_back_nor_lets_it_pass() -> None:
    watch = Watched()
    watch.answer(100, version=7)
    watch.answer(20, version=8)
    watch.answer(1, version=8, code=ErrorKind.BACKEND_FAILED)
    watch.later(3600)
    assert (watch.rolled_back, watch.percent) == (None, 1)
    assert "1 of 21 requests failed" in watch.waits
    watch.answer(100, version=8)
    watch.later(1)
    assert watch.percent == 5


def test_a_slow_version_is_taken_back() -> None:
    watch = Watched()
    watch.answer(200, version=7)
    watch.answer(16, version=8)
    watch.answer(4, version=8, seconds=0.2)
    watch.later(1)
    assert watch.rolled_back is not None
    assert watch.rolled_back.reason is Reason.LATENCY
    assert "p99" in watch.rolled_back.message


def test_a_quick_version_that_is_a_little_slower_is_not() -> None:
    watch = Watched()
    watch.answer(200, version=7, seconds=0.002)
    watch.answer(200, version=8, seconds=0.009)  # more than four times as long, and what a busy machine may take
    watch.later()
    assert (watch.rolled_back, watch.percent) == (None, 5)


def test_drift_of_the_new_version_alone_takes_it_back() -> None:
    watch = Watched()
    watch.drift = {7: [drifted(0)], 8: [drifted(0.4, side=Side.INPUT), drifted(0.1)]}
    watch.later(1)
    assert watch.rolled_back is None  # what it is asked is not its doing
    for stable in (drifted(0.4), drifted(0, rows=10)):
        watch.drift = {7: [stable], 8: [drifted(0.4)]}
        watch.later(1)
        assert watch.rolled_back is None
    watch.drift[7] = [drifted(0)]
    watch.drift[8] = [drifted(0.3, rows=10)]
    watch.later(1)
    assert watch.rolled_back is None
    watch.drift[8] = [drifted(0.3)]
    watch.later(1)
    assert watch.rolled_back is not None
    assert watch.rolled_back.reason is Reason.DRIFT


def test_the_last_step_waits_until_drift_was_judged() -> None:
    watch = Watched(replace(ROLLOUT, step=2, step_time=1000))
    watch.drift = {7: [drifted(0)], 8: [drifted(0, rows=100)]}
    watch.answer(100)
    watch.later(3600)
    assert watch.percent == 25
    assert "100 of 200 rows" in watch.waits
    watch.drift[8] = [drifted(0, rows=200)]
    watch.later(1)
    assert watch.percent == 100


def test_the_last_step_does_not_wait_for_signatures_that_nobody_asks() -> None:
    watch = Watched(replace(ROLLOUT, step=2, step_time=1000))
    unasked = replace(drifted(0, rows=0), signature="classify_bytes", distance=None)
    watch.drift = {7: [drifted(0), unasked], 8: [unasked, drifted(0, rows=100)]}
    watch.answer(100)
    watch.later(3600)
    assert "100 of 200 rows of serving_default" in watch.waits
    watch.drift[8] = [unasked, drifted(0, rows=200)]
    watch.later(1)
    assert watch.percent == 100


def test_changed_answers_take_it_back_where_answers_are_compared() -> None:
    watch = Watched(replace(ROLLOUT, guards=Guards(max_changed_share=0.1)))
    watch.compared_answers = Compared(answers=100, changed=10)
    watch.later(1)
    assert watch.rolled_back is None
    watch.compared_answers = Compared(answers=100, changed=25)
    watch.later(1)
    assert watch.rolled_back is not None
    assert watch.rolled_back.reason is Reason.CHANGED


def test_a_version_that_clients_cannot_ask_the_same_is_taken_back_at_once() -> None:
    watch = Watched()
    watch.broken = "it has no signature serving_default"
    watch.tick()
    assert watch.rolled_back is not None
    assert (watch.rolled_back.reason, watch.percent) == (Reason.SIGNATURE, 0)


def test_guards_that_do_not_stand_take_nothing_back() -> None:
    watch = Watched(replace(ROLLOUT, guards=Guards(20, None, None, None, None)))
    watch.drift = {8: [drifted(3)]}
    watch.answer(100, version=7)
    watch.answer(100, version=8, code=ErrorKind.BACKEND_FAILED, seconds=5)
    watch.later()
    assert (watch.rolled_back, watch.percent) == (None, 5)


def test_it_is_taken_back_from_the_last_step_too_and_long_after_it() -> None:
    for steps_well in (1, 50):
        watch = Watched(replace(ROLLOUT, step_weights=(50, 100)))
        watch.answer(100)
        watch.later()
        assert watch.percent == 100
        for _ in range(steps_well):
            watch.answer(1000, version=8)
            watch.later()
        watch.answer(30, version=8, code=ErrorKind.BACKEND_FAILED)
        watch.later(1)
        assert watch.rolled_back is not None


def test_another_server_s_word_is_taken() -> None:
    watch = Watched()
    watch.follow(replace(ROLLOUT, step=2, step_time=1100))
    watch.now = 1100
    assert (watch.percent, watch.step, watch.declared) == (25, 2, watch.rollout)
    watch.follow(ROLLOUT)  # a file that was put back does not undo what is known here
    assert (watch.percent, watch.declared.step) == (25, 2)
    watch.follow(replace(ROLLOUT, rolled_back=RolledBack(Reason.ABORTED, "by hand", 1100)))
    assert (watch.percent, watch.phase) == (0, Phase.ROLLED_BACK)


def test_a_server_that_begins_later_takes_up_the_step_that_is_written() -> None:
    watch = Watched(replace(ROLLOUT, step=2, step_time=1130), now=1150)
    assert (watch.percent, watch.phase) == (25, Phase.PROGRESSING)
    back = RolledBack(Reason.LATENCY, "slow", 1140)
    assert Watched(replace(ROLLOUT, step=2, step_time=1130, rolled_back=back), now=1150).percent == 0


def test_a_server_that_begins_later_and_finds_nothing_written_passes_no_step_unseen() -> None:
    watch = Watched(now=5000)
    watch.tick()
    assert watch.percent == 1
    for percent in (5, 25, 100):
        watch.answer(20)
        watch.later(1)
        assert watch.percent == percent  # their time is over
