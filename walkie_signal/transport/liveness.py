"""One sweep over all connections, where each of them had a task that slept.

Each connection has its times (`Connection.ping_at`, `expires`) on the loop's monotonic clock, so that a step of
the wall clock drops nobody, as it does with python-engineio. The sweep is a timer, not a task, and there is
none while there is no connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

MAX_TICK = 1.0
"""Seconds between two sweeps, less for shorter pings."""

TICKS = 10
"""Sweeps at least in a ping's interval and in its timeout."""


class Sweep:
    """Calls `visit` with the time, again and again for as long as it returns true."""

    def __init__(self, shortest: float, visit: Callable[[float], bool]) -> None:
        """Take the shortest of the times that are to be kept, in seconds."""
        self.tick = min(MAX_TICK, shortest / TICKS)
        self._visit = visit
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Start sweeping, unless it sweeps already (in this event loop: a host's tests have one each)."""
        loop = asyncio.get_running_loop()
        if self._timer is None or self._loop is not loop:
            self._loop = loop
            self._timer = loop.call_later(self.tick, self._sweep, loop)

    def stop(self) -> None:
        """Stop sweeping."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(self.tick, self._sweep, loop)
        if not self._visit(loop.time()):
            self.stop()
