"""How an allowance is spent, and how it comes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from walkie_signal.core.limits import FORGET_AT, Allowances, Limit, milliseconds


def test_a_burst_goes_through_then_one_at_a_time() -> None:
    limit, whole_at = Limit("joins", rate=1, burst=10), 0.0
    for _ in range(10):
        assert limit.wait(whole_at, now=100) == 0
        whole_at = limit.spent(whole_at, 1, now=100)
    assert limit.wait(whole_at, now=100) == pytest.approx(1)
    assert limit.wait(whole_at, now=100.5) == pytest.approx(0.5)
    assert limit.wait(whole_at, now=101) == 0
    assert limit.wait(limit.spent(whole_at, 1, now=101), now=101) == pytest.approx(1)


def test_what_costs_more_than_is_left_goes_through_and_the_next_one_waits_for_longer() -> None:
    limit = Limit("joins", rate=1, burst=10)
    whole_at = limit.spent(0.0, 11, now=100)
    assert limit.wait(whole_at, now=100) == pytest.approx(2)


def test_a_quiet_time_brings_back_no_more_than_the_burst() -> None:
    limit = Limit("joins", rate=1, burst=2)
    whole_at = limit.spent(limit.spent(0.0, 1, now=0), 1, now=1000)
    whole_at = limit.spent(whole_at, 1, now=1000)
    assert limit.wait(whole_at, now=1000) == pytest.approx(1)


def test_a_rate_of_0_is_no_limit() -> None:
    limit, whole_at = Limit("joins", rate=0, burst=1), 0.0
    for _ in range(1000):
        assert limit.wait(whole_at, now=1) == 0
        whole_at = limit.spent(whole_at, 1_000_000, now=1)


@given(
    st.floats(0.1, 1000),
    st.integers(1, 100),
    st.lists(st.tuples(st.floats(0, 10), st.integers(1, 20)), max_size=60),
)
def test_over_any_time_no_more_goes_through_than_the_burst_and_what_came_back(
    rate: float, burst: int, tries: list[tuple[float, int]]
) -> None:
    """But for the last one, which may cost more than was left."""
    limit, whole_at, now, spent = Limit("x", rate, burst), 0.0, 0.0, 0
    for pause, amount in tries:
        now += pause
        if limit.wait(whole_at, now) == 0:
            assert spent <= burst + rate * now + 1e-6
            whole_at = limit.spent(whole_at, amount, now)
            spent += amount


def test_each_key_has_an_allowance_of_its_own() -> None:
    allowances = Allowances(Limit("x", rate=1, burst=1))
    allowances.spend("a", 1, now=0)
    assert allowances.wait("a", now=0) == pytest.approx(1)
    assert allowances.wait("b", now=0) == 0


def test_what_is_whole_again_is_forgotten() -> None:
    """Otherwise a server would remember each address that it has ever seen."""
    allowances = Allowances(Limit("x", rate=1, burst=1))
    for number in range(100 * FORGET_AT):
        allowances.spend(str(number), 1, now=number)
    assert len(allowances) <= FORGET_AT + 1


def test_there_is_a_most_and_the_oldest_goes_first() -> None:
    allowances = Allowances(Limit("x", rate=0.001, burst=1), most=2000)
    for number in range(10_000):
        allowances.spend(str(number), 1, now=0)
    assert len(allowances) <= 4000
    assert allowances.wait("9999", now=0) > 0
    assert allowances.wait("0", now=0) == 0


def test_after_the_milliseconds_the_wait_is_over() -> None:
    assert milliseconds(0.0004) == 1
    assert milliseconds(1) == 1000
