"""Requests split among versions: by weight, by key, and as little moved as can be."""

import math
from collections import Counter
from uuid import uuid4

import pytest

from service.core.call import Call
from service.core.catalog import Catalog
from service.core.deadline import NO_DEADLINE
from service.core.model_version import ModelRef, ModelVersion, State
from service.core.rights import Access
from service.core.traffic_split import UNNAMED, Split, checked_split
from service.errors import ErrorKind, GatewayError

KEYS = [f"m\0stable\0{number}" for number in range(20_000)]


@pytest.mark.parametrize("weights", [{7: 95, 8: 5}, {1: 1, 2: 1}, {1: 70, 2: 20, 3: 10}, {0: 999, 1: 1}])
def test_each_version_has_its_share_within_binomial_bounds(weights: dict[int, int]) -> None:
    split = Split(weights)
    chosen = Counter(split.choose(key) for key in KEYS)
    for version in weights:
        share = split.share(version)
        assert abs(chosen[version] - share * len(KEYS)) < 5 * math.sqrt(len(KEYS) * share * (1 - share)) + 1


def test_a_larger_weight_moves_keys_to_its_version_alone() -> None:
    for more, others in (({7: 95, 8: 5}, {7: 75, 8: 25}), ({6: 10, 7: 85, 8: 5}, {6: 10, 7: 85, 8: 90})):
        for key in KEYS[:5000]:
            before, after = Split(more).choose(key), Split(others).choose(key)
            assert after in {before, 8}


def test_without_a_version_only_its_own_keys_move() -> None:
    for key in KEYS[:5000]:
        if (before := Split({6: 10, 7: 60, 8: 30}).choose(key)) != 8:
            assert Split({6: 10, 7: 60}).choose(key) == before


def test_no_key_comes_to_a_version_of_no_weight() -> None:
    assert {Split({7: 1, 8: 0}).choose(key) for key in KEYS[:2000]} == {7}


@pytest.mark.parametrize("weights", [{}, {1: 0}, {1: -1, 2: 5}, {-1: 5}, {1: 2_000_000}, dict.fromkeys(range(17), 1)])
def test_what_is_no_split_is_refused(weights: dict[int, int]) -> None:
    with pytest.raises(ValueError, match=r"version|weight"):
        checked_split(weights)


def call(session: str | None = None, *, access: Access = Access.INFER) -> Call:
    metadata = {} if session is None else {b"x-tensorgate-session": session.encode()}
    return Call("rest", "classify", uuid4().hex, NO_DEADLINE, metadata=metadata, access=access)


def catalog(**states: State) -> Catalog:
    made = Catalog()
    made.announce(ModelVersion("m", int(name[1:]), state) for name, state in states.items())
    return made


BOTH = {"v7": State.AVAILABLE, "v8": State.AVAILABLE}
STABLE = ModelRef("m", label="stable")


@pytest.mark.parametrize("wanted", [STABLE, ModelRef("m")])
def test_a_session_stays_on_its_version(wanted: ModelRef) -> None:
    made = catalog(**BOTH)
    made.set_labels("m", {"stable" if wanted.label else UNNAMED: Split({7: 50, 8: 50})})
    found = {session: made.resolve(wanted, call(session)).version for session in map(str, range(50))}
    assert set(found.values()) == {7, 8}
    for session, version in found.items():
        assert made.resolve(wanted, call(session)).version == version
    assert {made.resolve(wanted, call()).version for _ in range(50)} == {7, 8}


def test_a_request_says_which_version_it_wants_whatever_is_split() -> None:
    made = catalog(**BOTH)
    made.set_labels("m", {UNNAMED: Split({7: 100, 8: 0}), "canary": 8})
    assert {made.resolve(ModelRef("m"), call()).version for _ in range(20)} == {7}
    assert made.resolve(ModelRef("m", 8), call()).version == 8
    assert made.resolve(ModelRef("m", label="canary"), call()).version == 8
    assert made.labels("m") == {"canary": 8}
    made.set_labels("m", {})
    assert made.resolve(ModelRef("m"), call()).version == 8


def test_a_version_that_is_not_there_gets_nothing_and_nothing_is_lost() -> None:
    for state in (State.LOADING, State.END):
        made = catalog(v7=State.AVAILABLE, v8=state)
        made.set_labels("m", {"stable": Split({7: 50, 8: 50})})
        assert {made.resolve(STABLE, call()).version for _ in range(50)} == {7}
        made.put(ModelVersion("m", 8, State.AVAILABLE))
        assert {made.resolve(STABLE, call()).version for _ in range(50)} == {7, 8}


def test_a_version_of_no_weight_answers_for_nobody() -> None:
    made = catalog(v7=State.LOADING, v8=State.AVAILABLE)
    made.set_labels("m", {"stable": Split({7: 1, 8: 0}), UNNAMED: Split({7: 1, 8: 0})})
    for wanted in (STABLE, ModelRef("m")):
        with pytest.raises(GatewayError) as caught:
            made.resolve(wanted, call())
        assert caught.value.kind is ErrorKind.NOT_READY


def test_who_asks_about_a_model_is_told_of_the_heaviest_version_but_for_a_session() -> None:
    made = catalog(**BOTH)
    made.set_labels("m", {"stable": Split({7: 60, 8: 40})})
    assert {made.resolve(STABLE, call(access=Access.READ)).version for _ in range(20)} == {7}
    assert made.resolve(STABLE).version == 7
    assert made.labels("m") == {"stable": 7}
    sessions = {made.resolve(STABLE, call(str(number), access=Access.READ)).version for number in range(30)}
    assert sessions == {7, 8}
