"""The other workers, as the host's server sees them: there may be none at first, and some later."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from walkie_signal.backends.memory import NoOthers
from walkie_signal.core.emits import Emit, Order
from walkie_signal.core.ports import Audience, OtherNodes


class GroupOthers:
    """What `walkie_signal.core.ports.OtherNodes` is for a worker of a group.

    Args:
        settled: Waits for a move that is under way.
    """

    def __init__(self, settled: Callable[[], Awaitable[object]]) -> None:
        self._settled = settled
        self._now: OtherNodes = NoOthers()
        self._audience: Audience | None = None
        self._rooms: dict[tuple[str, Any], None] = {}
        self._sids: dict[str, None] = {}

    def move(self, others: OtherNodes) -> None:
        """Go on with others, who are told who is here."""
        self._now = others
        if self._audience is not None:
            others.serve(self._audience)
        for namespace, room in self._rooms:
            others.enter(namespace, room)
        for sid in self._sids:
            others.present(sid)

    @property
    def exist(self) -> bool:
        """Whether this worker has ever met another one."""
        return self._now.exist

    def serve(self, audience: Audience) -> None:
        """Give `audience` what is emitted on other nodes."""
        self._audience = audience
        self._now.serve(audience)

    def enter(self, namespace: str, room: Any) -> None:
        """Record that somebody here is in a room."""
        self._rooms[namespace, room] = None
        self._now.enter(namespace, room)

    def quit(self, namespace: str, room: Any) -> None:
        """Record that nobody here is in a room any more."""
        self._rooms.pop((namespace, room), None)
        self._now.quit(namespace, room)

    async def entered(self, namespace: str, room: Any) -> None:
        """Wait until other nodes know what was recorded of a room."""
        await self._settled()
        await self._now.entered(namespace, room)

    def present(self, sid: str) -> None:
        """Record that a client is here."""
        self._sids[sid] = None
        self._now.present(sid)

    def absent(self, sid: str) -> None:
        """Record that a client is not here any more."""
        self._sids.pop(sid, None)
        self._now.absent(sid)

    async def emit(self, emit: Emit) -> None:
        """Send an event to the other nodes with somebody in its rooms."""
        await self._settled()
        await self._now.emit(emit)

    async def close_room(self, namespace: str, room: Any) -> None:
        """Let everybody on other nodes leave a room."""
        await self._settled()
        await self._now.close_room(namespace, room)

    async def has(self, sid: str) -> bool:
        """Tell whether a client is on another node."""
        await self._settled()
        return await self._now.has(sid)

    async def order(self, order: Order) -> bool:
        """Let the node of a client carry out an order."""
        await self._settled()
        return await self._now.order(order)
