"""Bounds the log lines that others can cause any number of: some of each kind are written, the rest are counted.

A kind is a word of ours, never one that the other side chose, so the number of kinds is bounded.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

MOST = 10
"""Most lines of one kind in a window; Linux lets a driver log 10 in 5 s (``printk_ratelimit``)."""

WINDOW = 60.0
"""Seconds of a window; once a minute, a reader of the log sees that the lines go on."""


_OPEN: WeakSet[BoundedLog] = WeakSet()


def say_what_was_left_out() -> None:
    """Write the counts of all windows now, because the process is about to end."""
    for each in list(_OPEN):
        each.close()


@dataclass(slots=True)
class _Window:
    level: int
    began: float
    ends: float
    lines: int = 0
    left_out: int = 0


class BoundedLog:
    """Writes to a logger, at most `most` lines of a kind in `window` seconds.

    When the window is over, one more line says how many lines were left out. If an event loop runs, a timer writes
    it; otherwise it comes before the next line of that kind.

    Args:
        log: The logger.
        most: Most lines of one kind in a window.
        window: The length of a window, in seconds.
        clock: Returns seconds that only grow.
    """

    def __init__(
        self,
        log: logging.Logger,
        *,
        most: int = MOST,
        window: float = WINDOW,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._most = most
        self._window = window
        self._clock = clock
        self._windows: dict[str, _Window] = {}
        _OPEN.add(self)

    def close(self) -> None:
        """Write the counts now; later lines begin new windows."""
        for kind in list(self._windows):
            self._close(kind)

    def write(
        self, level: int, kind: str, message: str, *arguments: Any, fault: BaseException | None = None
    ) -> None:
        """Log a line of a kind, with the traceback of `fault` if there is one; or count it."""
        if not self._log.isEnabledFor(level):
            return
        now = self._clock()
        window = self._windows.get(kind)
        if window is not None and now >= window.ends:
            self._close(kind)
            window = None
        if window is None:
            window = self._windows[kind] = _Window(level, now, now + self._window)
        if window.lines < self._most:
            window.lines += 1
            self._log.log(level, message, *arguments, exc_info=fault)
            return
        window.left_out += 1
        if window.left_out == 1:
            with suppress(RuntimeError):  # no event loop runs
                asyncio.get_running_loop().call_later(window.ends - now, self._over, kind, window)

    def _over(self, kind: str, window: _Window) -> None:
        if self._windows.get(kind) is window:
            self._close(kind)

    def _close(self, kind: str) -> None:
        window = self._windows.pop(kind)
        if window.left_out:
            seconds = min(self._window, self._clock() - window.began)
            message = "%s: %d more such lines were left out in %.0f s"
            self._log.log(window.level, message, kind, window.left_out, seconds)
