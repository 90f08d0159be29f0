"""When a state that changes often is told: the first change at once, then not before a rest is over.

    quiet ──changed──▶ tell now ──▶ resting ──changed──▶ due ──(rest over)──▶ tell now ──▶ resting
      ▲                                │
      └──────────(rest over)───────────┘

The last state is always told. A rest is as long as the interval, or as long as the telling's bytes take at a rate.
"""

from __future__ import annotations

from math import inf


class Pace:
    """The pace of one thing that is told again and again.

    Times are seconds of any one clock that only goes forward.

    Args:
        interval: The shortest rest, in seconds.
        rate: How many bytes a second the tellings may come to.
    """

    __slots__ = ("_due", "_interval", "_rate", "_rest", "_told")

    def __init__(self, interval: float, rate: float = inf) -> None:
        self._interval = self._rest = interval
        self._rate = rate
        self._told = -inf
        self._due = False

    def changed(self, now: float) -> float | None:
        """Take a change; returns in how many seconds to tell, or ``None`` where that has been said before.

        With 0 the state is to be told now, and counts as told.
        """
        if self._due:
            return None
        wait = self._told + self._rest - now
        if wait <= 0:
            self.tell(now)
            return 0.0
        self._due = True
        return wait

    def tell(self, now: float) -> None:
        """Take note that the state is told now, at the end of the wait."""
        self._due = False
        self._told = now
        self._rest = self._interval

    def weigh(self, size: int) -> None:
        """Take note how many bytes the last telling took."""
        self._rest = max(self._interval, size / self._rate)
