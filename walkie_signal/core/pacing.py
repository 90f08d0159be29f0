"""When a state that changes often is told: the first change at once, then not before an interval has passed.

    quiet ──changed──▶ tell now ──▶ resting ──changed──▶ due ──(interval over)──▶ tell now ──▶ resting
      ▲                                │
      └────────(interval over)─────────┘

The last state is always told.
"""

from __future__ import annotations

from math import inf


class Pace:
    """The pace of one room's ``room_status``. Times are seconds of any one clock that only goes forward."""

    __slots__ = ("_due", "_interval", "_told")

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._told = -inf
        self._due = False

    def changed(self, now: float) -> float | None:
        """Take a change; returns in how many seconds to tell, or ``None`` where that has been said before.

        With 0 the state is to be told now, and counts as told.
        """
        if self._due:
            return None
        wait = self._told + self._interval - now
        if wait <= 0:
            self._told = now
            return 0.0
        self._due = True
        return wait

    def tell(self, now: float) -> None:
        """Take note that the state is told now, at the end of the wait."""
        self._due = False
        self._told = now
