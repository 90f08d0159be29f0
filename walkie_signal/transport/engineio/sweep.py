"""The times of all connections, kept by one timer; python-engineio has a sleeping task for each.

They are times on the loop's monotonic clock, so a step of the wall clock drops no connection; with python-engineio,
it does. A connection is only checked when its time has come, which is twice for each ping, and not at every
tick: with 10,000 connections, that would take a sixth of the processor. The few that wait for something are
watched, which means that they are checked at every tick.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from walkie_signal.clock import Clock

log = logging.getLogger("walkie_signal.transport")

LONGEST = 1.0
"""Most seconds of a tick, by which everything that is due may be late."""

SHARE = 20
"""How many ticks fit into the shortest of the times."""

WATCH = object()
"""The key on the clock of the check of all watched connections."""


class Sweep:
    """Checks connections, by their ids, so that it does not keep closed ones in memory.

    Args:
        shortest: The shortest of the times, in seconds.
        due: Called with a connection whose time has come, and the time; returns when it is due again, ``None`` for
            never.
        watched: Called with a watched connection, and the time; returns whether it still has to be watched.
    """

    def __init__(
        self,
        shortest: float,
        due: Callable[[str, float], float | None],
        watched: Callable[[str, float], bool],
    ) -> None:
        self._clock = Clock(min(LONGEST, shortest / SHARE))
        self._due = due
        self._watched = watched
        self._watching: set[str] = set()

    def add(self, sid: str, when: float) -> None:
        """Check a connection when its time has come."""
        self._clock.at(when, sid, self._check)

    def forget(self, sid: str) -> None:
        """Stop checking a connection, unless it is watched."""
        self._clock.drop(sid)

    def watch(self, sid: str) -> None:
        """Check a connection at every tick while it has to be watched."""
        if not self._watching:
            self._clock.at(asyncio.get_running_loop().time(), WATCH, self._look_on)
        self._watching.add(sid)

    @property
    def watched(self) -> int:
        """How many connections are checked at every tick."""
        return len(self._watching)

    def stop(self) -> None:
        """Forget everything."""
        self._watching.clear()
        self._clock.stop()

    def _check(self, sid: str, now: float) -> float | None:
        try:
            return self._due(sid, now)
        except Exception:  # a fault with one connection must not keep it from being checked again
            log.exception("a fault in looking after a connection")
            return now + LONGEST

    def _look_on(self, _key: object, now: float) -> float | None:
        self._watching -= {sid for sid in list(self._watching) if not self._watched(sid, now)}
        return now if self._watching else None
