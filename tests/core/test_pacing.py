from __future__ import annotations

import pytest

from walkie_signal.core.pacing import Pace


def test_the_first_change_is_told_at_once_and_a_burst_after_it_once() -> None:
    pace = Pace(0.2)
    assert pace.changed(100.0) == 0
    assert pace.changed(100.05) == pytest.approx(0.15)
    assert pace.changed(100.1) is None
    pace.tell(100.2)
    assert pace.changed(100.3) == pytest.approx(0.1)
    pace.tell(100.4)
    assert pace.changed(100.7) == 0


def test_a_telling_is_rested_from_for_as_long_as_its_bytes_take() -> None:
    pace = Pace(0.2, rate=1000)
    assert pace.changed(100.0) == 0
    pace.weigh(5000)
    assert pace.changed(101.0) == pytest.approx(4)
    pace.tell(105.0)
    pace.weigh(100)
    assert pace.changed(105.0) == pytest.approx(0.2)
    pace.tell(105.2)
    assert pace.changed(105.2) == pytest.approx(0.2), "what was told before weighs no more"


def test_without_an_interval_every_change_is_told() -> None:
    pace = Pace(0)
    assert [pace.changed(1.0), pace.changed(1.0)] == [0, 0]
