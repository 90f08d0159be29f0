"""Times as people write and read them."""

from __future__ import annotations

import re
from datetime import datetime, timezone

from walkie_signal.core.identity import LATEST

UNITS = {"days": 86_400, "hours": 3600, "minutes": 60, "seconds": 1}
"""Seconds of a unit, the longest first; people write its first letter."""


def seconds_of(text: str) -> int:
    """Read a span of time, such as ``1h`` or ``90s``; a number without a unit is in seconds.

    Raises:
        ValueError: It is none, or one of nothing.
    """
    found = re.fullmatch(r"(\d{1,9})([dhms]?)", text, re.ASCII)
    if found is None or not int(found[1]):
        raise ValueError(f"{text!r} is no span of time: write one such as 90s, 30m, 1h or 7d")
    (length,) = (length for unit, length in UNITS.items() if unit[0] == (found[2] or "s"))
    return int(found[1]) * length


def moment(value: object, now: float) -> str | None:
    """Write a time in seconds since 1970, and how far it is from now; ``None`` if it is no time that has a date."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= LATEST:
        return None
    date = datetime.fromtimestamp(value, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"{date}, in {_span(value - now)}" if value > now else f"{date}, {_span(now - value)} ago"


def _span(seconds: float) -> str:
    """Write a span of time in the longest unit of which it has two."""
    unit = next((unit for unit, length in UNITS.items() if seconds >= 2 * length), "seconds")
    return f"{seconds / UNITS[unit]:.0f} {unit}"
