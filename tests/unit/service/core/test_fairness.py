"""One client cannot take the queue, or the runs, of the others: counted in runs and rows, never in seconds."""

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.batch_policy import BatchPolicy
from service.core.client_share import leaves_room
from service.core.deadline import NO_DEADLINE
from service.core.fair_queue import FairQueue, RoundRobin
from service.core.merging import QueuedRequest
from service.core.model_version import ModelVersion
from service.core.queue_bounds import QueueBounds, Waiting
from service.core.request import InferenceRequest
from service.errors import ErrorKind, GatewayError
from tests.batching import DOUBLE, MODEL, Merging

SHARE = 0.8
UNMERGED = replace(MODEL, name="n", unbatched={"serving_default": "it mixes rows"})


@pytest.mark.parametrize("model", [MODEL, UNMERGED], ids=["merged", "not merged"])
async def test_who_asks_one_at_a_time_waits_for_two_runs_at_most_while_another_floods(model: ModelVersion) -> None:
    front = Merging(max_batch_size=8, max_queue_size=256, max_client_share=SHARE)
    flood = [front.ask(value, model=model, client="noisy") for value in range(200)]
    await front.settle()
    for value in range(1000, 1010):
        before = len(front.backend.runs)
        asked = front.ask(value, model=model, client="quiet")
        await front.settle()
        while not asked.done():
            front.let(1)
            await front.settle()
        assert await asked == [2 * value]
        assert value in [number for run in front.backend.runs[before : before + 2] for number in run]
        flood += [front.ask(value, model=model, client="noisy") for _ in range(8)]
        await front.settle()
    front.let(500)
    outcomes = await asyncio.gather(*flood, return_exceptions=True)
    assert {error.kind for error in outcomes if isinstance(error, GatewayError)} <= {ErrorKind.OVERLOADED}


async def test_many_shapes_are_no_way_to_more_turns() -> None:
    front = Merging(max_queue_size=256, max_client_share=SHARE)
    flood = [front.ask(width, width=width, client="noisy") for width in range(1, 40)]
    await front.settle()
    asked = front.ask(1000, width=50, client="quiet")
    await front.settle()
    front.let(2)
    await front.settle()
    assert front.backend.runs == [[1], [2], [1000]]
    front.let(100)
    await asyncio.gather(asked, *flood)


async def test_a_flood_fills_its_share_of_the_queue_and_leaves_places_to_others() -> None:
    front = Merging(max_queue_size=100, max_client_share=SHARE)
    first = front.ask(0, client="noisy")
    await front.settle()
    flood = [front.ask(value, client="noisy") for value in range(1, 200)]
    others = [front.ask(value, client=f"client {value}") for value in range(15)]
    await front.settle()
    refused = [task.exception() for task in flood if task.done()]
    assert len(refused) == 199 - 80
    assert all(isinstance(error, GatewayError) and error.kind is ErrorKind.OVERLOADED for error in refused)
    assert "max_client_share" in str(refused[0])
    assert front.batcher.waiting() == {"m": 95}
    front.let(10)
    assert await asyncio.gather(*others) == [[2 * value] for value in range(15)]
    await asyncio.gather(first, *flood, return_exceptions=True)
    assert front.batcher.waiting() == {}
    again = front.ask(1, client="noisy")
    assert await again == [2]


async def test_who_was_served_has_its_places_again_while_others_wait() -> None:
    bounds, policy = QueueBounds(SHARE), BatchPolicy(max_queue_size=10)
    request = InferenceRequest(MODEL, DOUBLE, {}, 1)
    other = bounds.enter(request, policy, "other")
    for _ in range(50):
        bounds.leave(bounds.enter(request, policy, "busy"), "busy")
    assert bounds.waiting() == {"m": 1}
    bounds.leave(other, "other")
    assert bounds.waiting() == {}


async def test_a_client_alone_gets_all_of_every_run_in_the_order_in_which_it_asked() -> None:
    front = Merging(max_batch_size=8, max_client_share=SHARE)
    asked = [front.ask(value, client="only") for value in range(33)]
    await front.settle()
    front.let(10)
    await asyncio.gather(*asked)
    assert front.backend.runs == [[0], *(list(range(start, start + 8)) for start in range(1, 33, 8))]


async def test_clients_who_are_not_told_apart_have_the_whole_queue_in_the_order_in_which_they_asked() -> None:
    front = Merging(max_batch_size=8, max_queue_size=32, max_client_share=SHARE)
    asked = [front.ask(value) for value in range(34)]
    await front.settle()
    front.let(10)
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [isinstance(outcome, GatewayError) for outcome in outcomes] == [False] * 33 + [True]
    assert front.backend.runs == [[0], *(list(range(start, start + 8)) for start in range(1, 33, 8))]


async def test_three_clients_get_a_third_of_each_run_whatever_the_size_of_their_requests() -> None:
    front = Merging(max_batch_size=24, max_queue_size=1000, max_client_share=SHARE)
    first = front.ask(0)
    await front.settle()
    asked = [front.ask(*[1.0] * 1, client="ones") for _ in range(100)]
    asked += [front.ask(*[2.0] * 2, client="twos") for _ in range(50)]
    asked += [front.ask(*[4.0] * 4, client="fours") for _ in range(25)]
    await front.settle()
    front.let(11)
    await front.settle()
    rows = Counter(value for run in front.backend.runs[1:11] for value in run)
    assert sum(rows.values()) == pytest.approx(240, abs=30)
    assert max(rows.values()) - min(rows.values()) <= 8
    front.let(100)
    await asyncio.gather(first, *asked)


async def test_who_gives_up_leaves_nothing_and_takes_no_turn() -> None:
    front = Merging(max_batch_size=2, max_client_share=SHARE)
    first = front.ask(0, client="a")
    await front.settle()
    gone = [front.ask(value, client="b") for value in range(5)]
    stays = [front.ask(value, client="a") for value in (10, 11)]
    await front.settle()
    for task in gone:
        task.cancel()
    await front.settle()
    assert front.batcher.waiting() == {"m": 2}
    front.let(2)
    await asyncio.gather(first, *stays)
    assert front.backend.runs == [[0], [10, 11]]
    assert not front.batcher._queues


def queued(client: str, rows: int) -> QueuedRequest:
    request = InferenceRequest(MODEL, DOUBLE, {"x": np.zeros((rows, 1), np.float32)}, rows)
    answer: Any = None
    return QueuedRequest(request, NO_DEADLINE, answer, Waiting("m", None), client)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from("abc"), st.integers(1, 9)),
        st.tuples(st.just("take"), st.just(""), st.just(0)),
        st.tuples(st.just("leave"), st.just(""), st.integers(0, 20)),
    ),
    max_size=60,
)


@given(STEPS)
def test_nothing_is_lost_and_each_clients_own_order_stays(steps: list[tuple[str, str, int]]) -> None:
    queue, there = FairQueue(), list[QueuedRequest]()
    for step, client, number in steps:
        if step == "add":
            there.append(queued(client, number))
            queue.append(there[-1])
        elif step == "take" and there:
            expected = queue.first()
            taken = queue.popleft()
            assert taken is expected
            assert taken is next(each for each in there if each.client == taken.client)
            there.remove(taken)
        elif there and step == "leave":
            queue.remove(there.pop(number % len(there)))
        assert bool(queue) == bool(there)
        assert {client for client in "abc" if queue.has(client)} == {each.client for each in there}
    gone = queued("a", 1)
    with pytest.raises(ValueError, match=r"wait|not in"):
        queue.remove(gone)


@given(st.lists(st.tuples(st.integers(1, 16), st.integers(1, 16)), min_size=60, max_size=60))
def test_two_who_always_wait_never_differ_by_more_than_a_request_each(sizes: list[tuple[int, int]]) -> None:
    queue, rows = FairQueue(), Counter[str]()
    for ours, theirs in sizes:
        queue.append(queued("a", ours))
        queue.append(queued("b", theirs))
    while queue.has("a") and queue.has("b"):
        taken = queue.popleft()
        rows[taken.client] += taken.request.rows
        assert abs(rows["a"] - rows["b"]) <= 32


def test_coming_and_going_is_no_way_to_more() -> None:
    queue, rows = FairQueue(), Counter[str]()
    for _ in range(200):
        queue.append(queued("steady", 1))
    for _ in range(100):
        if not queue.has("comes and goes"):
            queue.append(queued("comes and goes", 10))
        taken = queue.popleft()
        rows[taken.client] += taken.request.rows
    assert abs(rows["steady"] - rows["comes and goes"]) <= 11


def test_newcomers_do_not_pass_by_who_waits() -> None:
    queue = FairQueue()
    waits = [queued("steady", 1) for _ in range(10)]
    for each in waits:
        queue.append(each)
    served = []
    for number in range(40):
        queue.append(queued(f"newcomer {number}", 1))
        served.append(queue.popleft().client)
    assert served.count("steady") >= 5  # fewer each time, as more and more wait


def test_a_small_request_that_is_given_up_does_not_carry_a_large_one() -> None:
    queue, rows = FairQueue(), Counter[str]()
    for _ in range(200):
        queue.append(queued("honest", 1))
    for _ in range(20):
        small, large = queued("sly", 1), queued("sly", 20)
        queue.append(small)
        queue.append(large)
    for _ in range(100):
        if (first := queue._lines["sly"][0]).request.rows == 1:
            queue.remove(first)
        taken = queue.popleft()
        rows[taken.client] += taken.request.rows
    assert abs(rows["honest"] - rows["sly"]) <= 21


def test_turns_go_round_clients_and_their_queues_that_can_run() -> None:
    turns = RoundRobin()
    for key in ("x", "y", "z"):
        turns.add("a", key)
    turns.add("b", "y")
    assert [turns.next(lambda key: True) for _ in range(6)] == ["x", "y", "y", "y", "z", "y"]
    assert turns.next(lambda key: key == "z") == "z"
    assert turns.next(lambda key: False) is None
    turns.discard("b", "y")
    turns.discard("b", "y")
    assert [turns.next(lambda key: True) for _ in range(3)] == ["x", "y", "z"]


def test_one_alone_may_have_its_share_and_several_less_each() -> None:
    def filled(clients: int, share: float) -> list[int]:
        held = [0] * clients
        while any(leaves_room(mine, 1000 - sum(held), share) for mine in held):
            for client, mine in enumerate(held):
                held[client] += leaves_room(mine, 1000 - sum(held), share)
        return held

    assert filled(1, 0.8) == pytest.approx([800], abs=1)
    assert filled(2, 0.8) == pytest.approx([444, 444], abs=1)
    assert sum(filled(9, 0.8)) < 1000
    assert filled(1, 1) == [1000]
    assert leaves_room(0, 1, 0.01)
    assert not leaves_room(0, 0, 1)
