from __future__ import annotations

from typing import Any

import pytest

from walkie_signal.cli.times import moment, seconds_of

NOW = 1_767_225_600.0
"""The beginning of 2026, UTC."""


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("30m", 1800), ("1h", 3600), ("7d", 604_800)]
)
def test_a_span_of_time(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "h", "0", "0h", "-1h", "1.5h", "1 h", "1w", "1H", "1e3", "९h", "9" * 10]
)
def test_what_is_none_is_told_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write one such as 90s, 30m, 1h or 7d"):
        seconds_of(text)


@pytest.mark.parametrize(
    ("later", "distance"),
    [
        (0, "0 seconds ago"),
        (-119, "119 seconds ago"),
        (-120, "2 minutes ago"),
        (3600, "in 60 minutes"),
        (7200, "in 2 hours"),
        (3 * 86_400, "in 3 days"),
    ],
)
def test_a_moment_and_how_far_it_is(later: float, distance: str) -> None:
    told = moment(NOW + later, NOW)
    assert told is not None
    date, _, span = told.partition(", ")
    assert date.endswith(" UTC")
    assert span == distance


def test_a_moment_is_written_as_a_date() -> None:
    assert moment(NOW, NOW) == "2026-01-01 00:00:00 UTC, 0 seconds ago"
    assert moment(0, 1) == "1970-01-01 00:00:00 UTC, 1 seconds ago"


@pytest.mark.parametrize("value", [None, True, "soon", [], -1, 10**400, float("inf"), float("nan"), 1e300])
def test_what_has_no_date(value: Any) -> None:
    assert moment(value, NOW) is None
