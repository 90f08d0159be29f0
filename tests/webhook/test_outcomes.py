from __future__ import annotations

import pytest

from walkie_signal.webhook.outcomes import LONGEST_PAUSE, Outcome, outcome_of, pause_after


@pytest.mark.parametrize(
    ("outcome", "statuses"),
    [
        (Outcome.TAKEN, [200, 202, 204, 299]),
        (Outcome.AGAIN, [None, 408, 429, 500, 502, 503, 504, 599]),
        (Outcome.REFUSED, [101, 300, 301, 307, 308, 400, 401, 404, 410, 413, 422]),
    ],
)
def test_what_follows_from_an_answer(outcome: Outcome, statuses: list[int | None]) -> None:
    assert {outcome_of(status) for status in statuses} == {outcome}


def test_pauses_double_up_to_the_longest_and_differ_by_chance() -> None:
    assert [pause_after(failures, 1, 0) for failures in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]
    assert pause_after(10**9, 1, 0) == LONGEST_PAUSE
    assert [pause_after(3, chance, 0) for chance in (0, 0.5)] == [2, 3]


def test_a_receiver_may_ask_for_a_longer_pause_but_not_for_ever() -> None:
    assert pause_after(1, 0, 12) == 12
    assert pause_after(4, 1, 3) == 8
    assert pause_after(1, 0, 10**9) == LONGEST_PAUSE
