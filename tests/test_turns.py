from __future__ import annotations

import asyncio
from functools import partial

import pytest

from walkie_signal.turns import BURST, LONGEST, SHARE, SLICE, Budget, Turns

pytestmark = pytest.mark.promise(
    "The transport",
    "A connection that sends small frames as fast as it can gets a small part of each turn of the loop, and of "
    "the time when it goes on; frames sent before its end are carried out before it",
)


def test_a_burst_needs_no_rest_and_what_goes_on_gets_its_share_of_the_time() -> None:
    budget, now, used = Budget(), 100.0, 0.0
    while (rest := budget.spend(SLICE, now)) == 0:
        used += SLICE
        now += SLICE
        assert used < 2 * BURST
    assert used > 0.9 * BURST
    began, used = now, 0.0
    for _ in range(1000):
        now += rest + SLICE
        rest = budget.spend(SLICE, now)
        used += SLICE
    assert used / (now - began) == pytest.approx(SHARE, rel=0.1)


def test_a_rest_is_forgotten() -> None:
    budget = Budget()
    rests = [budget.spend(SLICE, 0.0) for _ in range(round(2 * BURST / SLICE))]
    assert rests[-1] == pytest.approx(BURST / SHARE, rel=0.1)
    assert budget.spend(SLICE, 2 * BURST / SHARE) == 0


def test_a_process_that_stood_still_makes_no_connection_rest_for_long() -> None:
    budget, rest = Budget(), 0.0
    while not rest:
        rest = budget.spend(60.0, 0.0)
    assert rest <= LONGEST / SHARE


async def test_a_job_that_rests_runs_after_its_time_and_others_before() -> None:
    turns, ran = Turns(), asyncio.Event()
    order: list[str] = []

    def rested() -> None:
        order.append("rested")
        ran.set()

    turns.after(0.01, rested)
    turns.after(0, partial(order.append, "at once"))
    began = asyncio.get_running_loop().time()
    await ran.wait()
    assert order == ["at once", "rested"]
    await turns.wait(0.01)
    assert asyncio.get_running_loop().time() - began > 0.019
