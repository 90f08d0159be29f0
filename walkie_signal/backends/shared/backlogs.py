"""What the host emits faster than a node reads it: it waits here for room on the way there, in order.

So whoever emits waits too, and a burst is neither lost nor kept in memory twice.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from walkie_signal.backends.shared.lifetime import LEASE
from walkie_signal.backends.shared.ways import Way

PATIENCE = LEASE
"""Seconds that a message waits: a node that stood still for longer goes on as another one, which it is not for."""

Handed = Callable[[bool | None], None]
"""Takes whether a message was handed over; ``None`` if the node has not read for `PATIENCE`."""

Send = Callable[[Way, str, Handed], None]
"""Sends the body of a message on a way that has room."""


class _Waiting(NamedTuple):
    body: str
    handed: Handed
    expiry: asyncio.TimerHandle


class Backlogs:
    """The messages that wait on one node for others.

    Args:
        way: Returns the way to a node as it is now.
        send: Sends on it.
    """

    def __init__(self, way: Callable[[str], Way], send: Send) -> None:
        self._way = way
        self._send = send
        self._waiting: dict[str, deque[_Waiting]] = {}
        self._going_on: set[str] = set()

    def add(self, node: str, body: str, handed: Handed) -> None:
        """Let a message wait behind the others for a node."""
        expiry = asyncio.get_running_loop().call_later(PATIENCE, self._expire, node)
        self._waiting.setdefault(node, deque()).append(_Waiting(body, handed, expiry))

    def go_on(self, node: str) -> None:
        """Send what there is room for."""
        if node in self._going_on:  # what is sent here may fail at once, and so end a way
            return
        self._going_on.add(node)
        while node in self._waiting and (way := self._way(node)).has_room:
            first = self._take(node)
            self._send(way, first.body, first.handed)
        self._going_on.discard(node)

    def _expire(self, node: str) -> None:
        """Give up the first message, because all wait equally long."""
        self._take(node).handed(None)
        self._way(node).give_up()

    def _take(self, node: str) -> _Waiting:
        waiting = self._waiting[node]
        first = waiting.popleft()
        first.expiry.cancel()
        if not waiting:
            del self._waiting[node]
        return first

    def clear(self) -> None:
        """Answer all as not handed over."""
        for node in list(self._waiting):
            while node in self._waiting:
                self._take(node).handed(False)  # noqa: FBT003 - see `Handed`
