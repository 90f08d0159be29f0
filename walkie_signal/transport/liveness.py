"""One sweep over all connections, where each of them had a task that slept.

Each connection has its times (`Connection.ping_at`, `expires`) on the loop's monotonic clock, so that a step of
the wall clock drops nobody, as it does with python-engineio. The sweep is a timer, not a task, and there is
none while there is no connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

LONGEST = 1.0
"""Seconds between two sweeps at most, and half of the shortest time that is to be kept."""

SHARE = 20
"""Between two sweeps passes at least this part of that time."""


class Sweep:
    """Calls `visit` with the time, when that last asked for it, until it asks no more.

    Args:
        shortest: The shortest of the times that are to be kept, in seconds.
        visit: Takes the time, and returns when it wants to be called again; ``None`` for never.
    """

    def __init__(self, shortest: float, visit: Callable[[float], float | None]) -> None:
        self._least = min(LONGEST, shortest / SHARE)
        self._most = min(LONGEST, shortest / 2)
        self._visit = visit
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Start sweeping, unless it sweeps already (in this event loop: a host's tests have one each)."""
        loop = asyncio.get_running_loop()
        if self._timer is None or self._loop is not loop:
            self._loop = loop
            self._timer = loop.call_later(self._least, self._sweep, loop)

    def stop(self) -> None:
        """Stop sweeping."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        self._timer = loop.call_later(self._most, self._sweep, loop)
        wanted = self._visit(now)
        self.stop()
        if wanted is not None:
            delay = min(self._most, max(self._least, wanted - now))
            self._timer = loop.call_later(delay, self._sweep, loop)
