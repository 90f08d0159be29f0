"""A sink of facts: tells the host of joins and leaves, in order for each peer, and without holding anything up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from walkie_signal.core.changes import Member
from walkie_signal.core.facts import Facts, MemberJoined, MemberLeft
from walkie_signal.host import Host


class Hooks:
    """Calls the hooks of one node's own peers, one at a time for each peer."""

    def __init__(self, host: Host, facts: Facts) -> None:
        self._last: dict[str, asyncio.Task[None]] = {}
        on_join, on_leave = host.on_join, host.on_leave
        if on_join is not None:
            facts.listen(MemberJoined, lambda fact: self._queue(fact.member, on_join(fact.member)))
        if on_leave is not None:
            facts.listen(
                MemberLeft, lambda fact: self._queue(fact.member, on_leave(fact.member, fact.reason))
            )

    @property
    def under_way(self) -> int:
        """How many peers have a hook that has not returned yet."""
        return len(self._last)

    async def settled(self) -> None:
        """Wait until each hook that was called has returned or has run out of time."""
        while self._last:
            await asyncio.wait(self._last.values())

    def _queue(self, member: Member, call: Awaitable[None]) -> None:
        peer_id = member.peer_id
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
