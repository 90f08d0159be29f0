from __future__ import annotations

from walkie_signal.webhook.windows import Windows


def test_some_of_each_sort_are_told_and_the_next_one_says_how_many_were_not() -> None:
    windows = Windows(2, 60)
    assert [windows.admit("forbidden", now) for now in (0, 10, 20, 59.9)] == [0, 0, None, None]
    assert windows.admit("room_full", 20) == 0
    assert [windows.admit("forbidden", now) for now in (60, 61, 62)] == [2, 0, None]
    assert windows.admit("forbidden", 500) == 1
