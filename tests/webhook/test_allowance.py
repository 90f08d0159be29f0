from __future__ import annotations

from walkie_signal.webhook.allowance import Allowance


def test_some_of_each_sort_are_told_and_the_next_one_says_how_many_were_not() -> None:
    allowance = Allowance(2, 60)
    assert [allowance.admit("forbidden", now) for now in (0, 10, 20, 59.9)] == [0, 0, None, None]
    assert allowance.admit("room_full", 20) == 0
    assert [allowance.admit("forbidden", now) for now in (60, 61, 62)] == [2, 0, None]
    assert allowance.admit("forbidden", 500) == 1
