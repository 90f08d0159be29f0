"""Tells the host of joins and leaves: after the change, in order for each peer, and without holding anything up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from walkie_signal.core.changes import Member, Reason
from walkie_signal.host import Host


class Hooks:
    """Calls the hooks of one node's own peers, one at a time for each peer."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._last: dict[str, asyncio.Task[None]] = {}

    def joined(self, member: Member) -> None:
        """Tell the host of a new member."""
        self._queue(member.peer_id, self._host.on_join(member))

    def left(self, member: Member, reason: Reason) -> None:
        """Tell the host of a member that is gone."""
        self._queue(member.peer_id, self._host.on_leave(member, reason))

    async def settled(self) -> None:
        """Wait until each hook that was called has returned or has run out of time."""
        while self._last:
            await asyncio.wait(self._last.values())

    def _queue(self, peer_id: str, call: Awaitable[None] | None) -> None:
        if call is None:
            return
        task = asyncio.create_task(self._after(self._last.get(peer_id), call))
        self._last[peer_id] = task
        task.add_done_callback(lambda done: self._done(peer_id, done))

    @staticmethod
    async def _after(earlier: asyncio.Task[None] | None, call: Awaitable[None]) -> None:
        if earlier is not None:
            await asyncio.wait([earlier])
        await call

    def _done(self, peer_id: str, task: asyncio.Task[None]) -> None:
        if self._last.get(peer_id) is task:
            del self._last[peer_id]
