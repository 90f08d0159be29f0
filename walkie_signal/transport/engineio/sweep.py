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

log = logging.getLogger("walkie_signal.transport")

LONGEST = 1.0
"""Most seconds of a tick, by which everything that is due may be late."""

SHARE = 20
"""How many ticks fit into the shortest of the times."""


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
        self._tick = min(LONGEST, shortest / SHARE)
        self._due = due
        self._watched = watched
        self._slots: dict[int, set[str]] = {}
        self._slot_of: dict[str, int] = {}
        self._watching: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, sid: str, when: float) -> None:
        """Check a connection when its time has come."""
        slot = self._slot_of[sid] = int(when / self._tick) + 1
        self._slots.setdefault(slot, set()).add(sid)
        self._start()

    def forget(self, sid: str) -> None:
        """Stop checking a connection, unless it is watched."""
        self._slots.get(self._slot_of.pop(sid, 0), set()).discard(sid)

    def watch(self, sid: str) -> None:
        """Check a connection at every tick while it has to be watched."""
        self._watching.add(sid)
        self._start()

    def stop(self) -> None:
        """Forget everything."""
        self._slots.clear()
        self._slot_of.clear()
        self._watching.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self) -> None:
        loop = asyncio.get_running_loop()
        if self._timer is None or self._loop is not loop:  # each test of a host has its own loop
            self._loop = loop
            self._timer = loop.call_later(self._tick, self._sweep, loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        self._timer = loop.call_later(self._tick, self._sweep, loop)
        for slot in sorted(slot for slot in self._slots if slot * self._tick <= now):
            for sid in self._slots.pop(slot):
                self._slot_of.pop(sid, None)
                try:
                    when = self._due(sid, now)
                except Exception:  # a fault with one connection must not keep the others from being checked
                    log.exception("a fault in looking after a connection")
                    when = now + LONGEST
                if when is not None:
                    self.add(sid, when)
        self._watching -= {sid for sid in list(self._watching) if not self._watched(sid, now)}
        if not self._slots and not self._watching:
            self.stop()
