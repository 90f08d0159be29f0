"""Drives a wheel by the event loop's clock: one timer, however much is to be done at however many times."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from typing import Any

from walkie_signal.core.wheel import Wheel

Act = Callable[[Any, float], "float | None"]
"""Does what is due, by its key, at a time of the loop's clock; returns when to do it again, ``None`` for never."""

MARGIN = 0.001
"""Seconds by which the timer is set too late: uvloop's have whole milliseconds, and may be half of one early."""


class Clock:
    """Does each thing at its time, at most one tick later. It may move from one event loop to another.

    Args:
        tick: By how many seconds a thing may be late.
    """

    def __init__(self, tick: float) -> None:
        self._wheel: Wheel[Act] = Wheel(tick)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = inf

    @property
    def now(self) -> float:
        """The time of the running event loop's clock, in seconds."""
        return asyncio.get_running_loop().time()

    def at(self, when: float, key: Any, act: Act) -> None:
        """Do something at a time of the loop's clock; what had that key before is not done any more."""
        due_at = self._wheel.put(key, when, act)
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # each test of a host has its own; what was due on the last loop still is
            self._wake(loop, self._wheel.next_at or due_at)
        elif due_at < self._wakes_at:
            self._wake(loop, due_at)

    def drop(self, key: Any) -> None:
        """Forget what is to be done under that key, if there is anything."""
        self._wheel.drop(key)

    def stop(self) -> None:
        """Forget everything that is to be done."""
        self._wheel.clear()
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._wakes_at = None, inf

    def _wake(self, loop: asyncio.AbstractEventLoop, when: float) -> None:
        if self._timer is not None and self._loop is loop:
            self._timer.cancel()
        self._loop, self._wakes_at = loop, when
        self._timer = loop.call_at(when + MARGIN, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Do what is due, and look again when something is due next."""
        self._timer, self._wakes_at = None, inf
        now = loop.time()
        for key, act in self._wheel.due(now):
            again_at = _done(act, key, now, loop)
            if again_at is not None:
                self._wheel.put(key, again_at, act)
        next_at = self._wheel.next_at
        if next_at is not None and next_at < self._wakes_at:
            self._wake(loop, next_at)


def _done(act: Act, key: Any, now: float, loop: asyncio.AbstractEventLoop) -> float | None:
    """Do one thing; a fault in it is logged as asyncio logs that of a timer, and the others are still done."""
    try:
        return act(key, now)
    except Exception as fault:  # noqa: BLE001 - asyncio logs it
        loop.call_exception_handler({"message": "a fault in what was due", "exception": fault})
        return None
