"""The event loop's turns, shared out: of what is due at once a few are done at a time, and others come between."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

Job = Callable[[], None]


class Turns:
    """Runs jobs in order, so many in a turn of the event loop.

    Args:
        each: How many.
    """

    def __init__(self, each: int) -> None:
        self._each = each
        self._begun = 0
        self._waiting: deque[Job] = deque()

    def take(self, job: Job) -> None:
        """Run a job now, or where this turn has had its jobs, in one of the next."""
        if self._begun < self._each:
            self._begin(job)
        else:
            self._waiting.append(job)

    async def done(self) -> None:
        """Wait until no job waits."""
        while self._waiting:  # noqa: ASYNC110 - they are done turn by turn
            await asyncio.sleep(0)

    def _begin(self, job: Job) -> None:
        if not self._begun:
            asyncio.get_running_loop().call_soon(self._next)
        self._begun += 1
        job()

    def _next(self) -> None:
        self._begun = 0
        while self._waiting and self._begun < self._each:
            self._begin(self._waiting.popleft())
