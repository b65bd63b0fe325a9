"""The formulas, where what they must give is known."""

import math

import pytest

from capacity.queueing import OverloadError, erlang_c, mean_wait, servers_for, shared, wait_quantile


def test_one_server_is_busy_as_often_as_one_has_to_wait() -> None:
    assert erlang_c(1, 0.7) == pytest.approx(0.7)
    assert erlang_c(3, 0) == 0


def test_two_servers() -> None:
    """By hand: 2 rho^2 / (1 + rho)."""
    assert erlang_c(2, 1.0) == pytest.approx(2 * 0.5**2 / 1.5)


def test_many_servers_do_not_overflow() -> None:
    assert 0 < erlang_c(2000, 1950.0) < 0.5


def test_the_wait_for_one_server_is_that_of_pollaczek_and_khinchine() -> None:
    exponential, constant = mean_wait(7, 0.1, service_cv2=1), mean_wait(7, 0.1)
    assert exponential == pytest.approx(0.7 / 0.3 * 0.1)
    assert constant == pytest.approx(exponential / 2)


def test_several_servers_with_one_queue_wait_less_than_one_each() -> None:
    assert mean_wait(28, 0.1, 4) < mean_wait(7, 0.1) / 3


def test_the_quantile_of_an_exponential_wait() -> None:
    waits, mean = erlang_c(1, 0.7), mean_wait(7, 0.1, service_cv2=1)
    quantile = wait_quantile(0.99, mean, waits)
    assert waits * math.exp(-quantile * (1 - 0.7) / 0.1) == pytest.approx(0.01)
    assert wait_quantile(0.5, mean, 0.4) == 0


def test_a_shared_server_takes_as_much_longer_as_it_is_busy() -> None:
    mean, p99 = shared(7, 0.1)
    assert mean == pytest.approx(0.1 / 0.3)
    assert math.exp(-p99 / mean) == pytest.approx(0.01)


def test_more_servers_may_be_busier() -> None:
    few, many = servers_for(57, 0.2), servers_for(190, 0.2)
    assert erlang_c(few, 57) <= 0.2 < erlang_c(few - 1, 57)
    assert 57 / few < 190 / many
    # Square-root staffing: so many square roots more, however many there are.
    assert (few - 57) / math.sqrt(57) == pytest.approx((many - 190) / math.sqrt(190), abs=0.1)


@pytest.mark.parametrize("rate", [10, 11])
def test_what_cannot_be_served_is_said_plainly(rate: float) -> None:
    with pytest.raises(OverloadError, match=rf"{10 * rate}% of what can be served comes"):
        mean_wait(rate, 0.1)
    with pytest.raises(OverloadError):
        shared(rate, 0.1)
