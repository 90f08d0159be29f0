"""What the log says about a time without the store: one line when it is lost, and one when it is back."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

log = logging.getLogger("walkie_signal.store")

IN_A_ROW = 3
"""How many tries in a row must fail for a new reason before it is logged, because some reasons take turns."""

MOST = 10
"""How many reasons of one outage are logged."""


class Outage:
    """Logs the times without the store; the first is the time before the node has connected.

    The reason for a loss is logged together with how the first try to connect again failed, because that try knows
    better: a server that lets nobody in any more only says so to a new connection.

    Args:
        name: The name of the store, without its secrets.
        clock: Returns seconds that only grow.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._clock = clock
        self._since = clock()
        self._lost = ""
        self._tries = 0
        self._told: set[str] = set()
        self._last, self._in_a_row = "", 0

    def begin(self, why: str) -> None:
        """Record that the connections are lost."""
        self._since, self._lost = self._clock(), why

    def failed(self, why: str) -> None:
        """Record that a try to connect has failed."""
        self._tries += 1
        self._in_a_row = self._in_a_row + 1 if why == self._last else 1
        self._last = why
        if not self._told:
            before = f"{self._lost}, and then: " if self._lost not in ("", why) else ""
            self._told = {self._lost, why}
            self._tell(before + why)
        elif why not in self._told and self._in_a_row == IN_A_ROW and len(self._told) < MOST:
            self._told.add(why)
            self._tell(why)

    def end(self, where: str) -> None:
        """Record that the store is back; `where` says where the connections lead."""
        if self._lost and not self._told:
            self._tell(self._lost)
        after = ""
        if self._told or self._lost:
            tries = self._tries + 1
            took = self._clock() - self._since
            after = f", after {tries} {'try' if tries == 1 else 'tries'} in {took:.1f} s"
        log.info("%s: connected%s", self._name, where + after)
        self._lost, self._tries, self._told = "", 0, set()
        self._last, self._in_a_row = "", 0

    def _tell(self, why: str) -> None:
        log.warning("%s: %s; trying again", self._name, why)
