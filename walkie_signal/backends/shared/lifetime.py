"""How long this process may stand still and still go on as the same node."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

LEASE = 8.0
"""Seconds of silence after which a node counts as dead, for itself and for the others."""


class Lifetime:
    """The lease of this node, as the node itself sees it.

    Args:
        fence: Called if the process runs again after the lease, before anything else is done.

    Attributes:
        until: The end of the lease, on the loop's clock. Whatever sends or hears compares it with the time, and
            calls `tick` if it is over.
    """

    __slots__ = ("_fence", "until")

    def __init__(self, fence: Callable[[], None]) -> None:
        self._fence = fence
        self.until = math.inf

    def begin(self) -> None:
        """Begin the lease."""
        self.until = asyncio.get_running_loop().time() + LEASE

    def tick(self) -> None:
        """Record that this process runs; fence the node if it did not run for too long."""
        now = asyncio.get_running_loop().time()
        frozen, self.until = now > self.until, now + LEASE
        if frozen:
            self._fence()

    def end(self) -> None:
        """End the lease: nothing is fenced any more."""
        self.until = math.inf


UNLIMITED = Lifetime(lambda: None)
"""The lifetime of what belongs to no node."""
