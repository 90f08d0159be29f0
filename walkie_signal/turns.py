"""Shares out the event loop's turns: each turn only does a few of the jobs that are due, so others get a turn."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial

SLICE = 0.0003
"""Seconds that the events of one connection may take in a turn of the loop; some 15 events fit in.

Beside a peer that floods, each event of another one waits for about this long. A turn itself takes a tenth of it.
"""

BURST = 0.05
"""Seconds of slices that a connection may use up before it has to rest: a peer that joins a room of 50 sends some
1,000 signals at once, which take 20 ms."""

SHARE = 0.1
"""The part of the time that a connection may go on to use then, some 4,000 signals a second."""

LONGEST = 0.003
"""Most seconds that count of one slice: in a longer one a large event was read, or this process stood still."""

SLICES = 5
"""Slices in one turn, however many connections wait for one."""

Job = Callable[[], None]


class Budget:
    """What one connection has used of the loop's time lately, in whole slices."""

    __slots__ = ("_at", "_spent")

    def __init__(self) -> None:
        self._spent = self._at = 0.0

    def spend(self, seconds: float, now: float) -> float:
        """Record a slice that ends now, by any one clock; returns how many seconds the connection has to rest."""
        self._spent = max(0.0, self._spent - (now - self._at) * SHARE) + min(seconds, LONGEST)
        self._at = now
        return max(0.0, self._spent - BURST) / SHARE


class Turns:
    """Runs jobs in order, and a limited number of them in each turn of the event loop.

    Args:
        each: How many jobs run in each turn.
    """

    def __init__(self, each: int = SLICES) -> None:
        self._each = each
        self._begun = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: deque[Job] = deque()

    def run(self, job: Job) -> None:
        """Run a job now; if this turn has had its jobs, run it in one of the next turns."""
        self._schedule()
        if self._begun < self._each:
            self._begun += 1
            job()
        else:
            self._waiting.append(job)

    def later(self, job: Job) -> None:
        """Run a job in one of the next turns."""
        self._schedule()
        self._waiting.append(job)

    def after(self, rest: float, job: Job) -> None:
        """Run a job in a turn after so many seconds; 0 is one of the next turns."""
        if rest:
            asyncio.get_running_loop().call_later(rest, self.later, job)
        else:
            self.later(job)

    async def wait(self, rest: float = 0.0) -> None:
        """Wait for a turn that is not this one, after so many seconds."""
        if rest:
            await asyncio.sleep(rest)
        turn = asyncio.get_running_loop().create_future()
        self.later(partial(_grant, turn))
        await turn

    async def done(self) -> None:
        """Wait until no job waits."""
        while self._waiting:  # noqa: ASYNC110 - they are done turn by turn
            await asyncio.sleep(0)

    def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is None:
            loop.call_soon(self._next)
        elif self._loop is not loop:
            # Each test of a host has its own loop; jobs left on the last one are not due here
            self._waiting.clear()
            self._begun = 0
            loop.call_soon(self._next)
        self._loop = loop

    def _next(self) -> None:
        self._loop = None
        self._begun = min(self._each, len(self._waiting))
        if self._begun:
            self._schedule()
        for job in [self._waiting.popleft() for _ in range(self._begun)]:
            job()


def _grant(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)
