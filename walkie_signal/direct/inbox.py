"""A queue and an event like asyncio's, without their deques, which take 3 KiB for an idle connection."""

from __future__ import annotations

import asyncio
from typing import Any


class Gate:
    """Replaces `asyncio.Event`."""

    __slots__ = ("_open", "_waiters")

    def __init__(self) -> None:
        self._open = False
        self._waiters: list[asyncio.Future[None]] | None = None

    def is_set(self) -> bool:
        """Tell whether it is set, so that nobody has to wait."""
        return self._open

    def set(self) -> None:
        """Let everybody pass."""
        self._open = True
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)

    def clear(self) -> None:
        """Let nobody pass."""
        self._open = False

    async def wait(self) -> None:
        """Wait until it is set."""
        while not self._open:
            await self.future()

    def future(self) -> asyncio.Future[None]:
        """Return a future that is done when it is set the next time."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters = [*(self._waiters or ()), waiter]
        return waiter


class Inbox:
    """Replaces an `asyncio.Queue` of ASGI events."""

    __slots__ = ("_events", "_gate")

    def __init__(self) -> None:
        self._events: list[Any] = []
        self._gate = Gate()

    def qsize(self) -> int:
        """Return how many events there are."""
        return len(self._events)

    def empty(self) -> bool:
        """Tell whether there is none."""
        return not self._events

    def put_nowait(self, event: Any) -> None:
        """Add an event."""
        self._events.append(event)
        self._gate.set()

    def get_nowait(self) -> Any:
        """Take the first event; there must be one."""
        event = self._events.pop(0)
        if not self._events:
            self._gate.clear()
        return event

    async def get(self) -> Any:
        """Take the first event, once there is one."""
        while not self._events:
            await self._gate.future()
        return self.get_nowait()
