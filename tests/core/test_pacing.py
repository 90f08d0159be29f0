from __future__ import annotations

import pytest

from walkie_signal.core.pacing import BURST, Pace


def test_the_first_change_is_told_at_once_and_a_burst_after_it_once() -> None:
    pace = Pace(0.2)
    assert pace.changed(100.0) == 0
    assert pace.changed(100.05) == pytest.approx(0.15)
    assert pace.changed(100.1) is None
    pace.tell(100.2)
    assert pace.changed(100.3) == pytest.approx(0.1)
    pace.tell(100.4)
    assert pace.changed(100.7) == 0


def test_some_seconds_of_the_rate_are_told_ahead_and_then_no_more_than_it_allows() -> None:
    pace = Pace(0.2, rate=1000)
    now, told = 100.0, 0
    assert pace.changed(now) == 0
    pace.weigh(500)
    times = []
    while now < 130:
        wait = pace.changed(now)
        assert wait is not None
        now += wait
        pace.tell(now)
        pace.weigh(500)
        times.append(now)
        told += 500
        assert told <= 1000 * (now - 100 + BURST), "more than the rate allows"
    assert times[1] - times[0] == pytest.approx(0.2)
    assert times[-1] - times[-2] == pytest.approx(0.5), "500 bytes take as long"


def test_a_telling_that_is_larger_than_a_burst_is_rested_from_for_as_long_as_it_takes() -> None:
    pace = Pace(0.2, rate=1000)
    assert pace.changed(100.0) == 0
    pace.weigh(10_000)
    assert pace.changed(101.0) == pytest.approx(10 - BURST - 1)


def test_after_a_quiet_time_nothing_was_told_ahead() -> None:
    pace = Pace(0.2, rate=1000)
    for now in (100.0, 200.0):
        assert pace.changed(now) == 0
        pace.weigh(3900)
        assert pace.changed(now + 0.1) == pytest.approx(0.1)
        pace.tell(now + 0.2)


def test_without_an_interval_every_change_is_told() -> None:
    pace = Pace(0)
    assert [pace.changed(1.0), pace.changed(1.0)] == [0, 0]
