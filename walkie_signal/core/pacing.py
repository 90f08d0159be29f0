"""When to tell a state that changes often: the first change at once, later ones only after a rest.

    quiet ──changed──▶ tell now ──▶ resting ──changed──▶ due ──(rest over)──▶ tell now ──▶ resting
      ▲                                │
      └──────────(rest over)───────────┘

The last state is always told. A rest lasts for the interval, or longer if more bytes were told lately than a rate
allows.
"""

from __future__ import annotations

from math import inf

BURST = 4.0
"""Seconds of the rate that may be told at the shortest rests after a quiet time: when some hundred peers come back
together, each roster lets some of them call at once."""


class Pace:
    """The pace of one state that is told again and again.

    Times are seconds of any one clock that only goes forward.

    Args:
        interval: The shortest rest, in seconds.
        rate: How many bytes a second may be told on average; `BURST` seconds of it may be told ahead.
    """

    __slots__ = ("_ahead", "_due", "_interval", "_rate", "_rest", "_told")

    def __init__(self, interval: float, rate: float = inf) -> None:
        self._interval = self._rest = interval
        self._rate = rate
        self._told = -inf
        self._ahead = 0.0  # seconds of the rate that were told before their time
        self._due = False

    def changed(self, now: float) -> float | None:
        """Record a change; returns in how many seconds to tell the state, or ``None`` if a wait has begun already.

        If it returns 0, tell the state now; it counts as told.
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
        """Record that the state is told now, at the end of the wait."""
        self._due = False
        self._ahead = max(0.0, self._ahead - (now - self._told))
        self._told = now
        self._rest = self._interval

    def weigh(self, size: int) -> None:
        """Record how many bytes were sent when the state was last told."""
        self._ahead += size / self._rate
        self._rest = max(self._interval, self._ahead - BURST)
