"""The peers whose connections this node holds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from time import monotonic

from walkie_signal.core.changes import Reason
from walkie_signal.core.identity import Identity, UserId
from walkie_signal.core.ports import Link
from walkie_signal.turns import SLICE, Turns
from walkie_signal.wire.events import Event, memory_of, waiting, worked_on


@dataclass(frozen=True, slots=True)
class Departure:
    """The end of a connection: the last item in its peer's queue, so it comes after a join under way."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Announcement:
    """A member that joined its room again meanwhile has to be announced there once more."""

    room: str


Item = Event | Departure | Announcement
Work = Callable[["Peer", Item], Awaitable[None] | None]
"""Does what an item asks for at once; if that has to wait for something, it returns an awaitable that does it."""


class Peer:
    """A connection, and the queue of what happened on it.

    Items are worked on one by one, in order. An item that need not wait is done before `post` returns, without a
    task. While an item waits, the next ones queue up behind it. Until the peer is admitted, all items queue up.

    Attributes:
        idle: Whether an item that is posted now is worked on now.
        identity: The verified identity; ``None`` if the host has no `authenticate`.
        user_id: The user that it speaks for, as verified or as last announced; ``None`` if unknown.
        gone: Whether its connection has ended.
        has_joined: Whether it has ever been in a room.
        head: The text that precedes the value in each signal from it.
    """

    __slots__ = (
        "_task", "_turns", "_waiting", "_waiting_bytes", "_work", "gone", "has_joined", "head", "identity", "idle",
        "link", "peer_id", "user_id",
    )  # fmt: skip

    def __init__(self, peer_id: str, link: Link, work: Work, head: str, turns: Turns) -> None:
        self.peer_id = peer_id
        self.head = head
        self.link = link
        self.identity: Identity | None = None
        self.user_id: UserId | None = None
        self.gone = False
        self.has_joined = False
        self.idle = False
        self._work = work
        self._turns = turns
        self._waiting: list[Item] = []
        self._waiting_bytes = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many items wait behind the current one."""
        return len(self._waiting)

    @property
    def waiting_bytes(self) -> int:
        """How many bytes the text of these items takes."""
        return self._waiting_bytes

    def admit(self) -> None:
        """Begin to work on the items."""
        if self._waiting:
            self._task = asyncio.create_task(self._drain(None))
        else:
            self.idle = True

    def post(self, item: Item) -> None:
        """Add an item."""
        if not self.idle:
            if isinstance(item, Event):
                item = waiting(item) if item.arguments else item
                self._waiting_bytes += memory_of(item)
            self._waiting.append(item)
            return
        pending = self._work(self, item)
        if pending is not None:
            self.idle = False
            self._task = asyncio.create_task(self._drain(pending))

    async def settled(self) -> None:
        """Wait until every item is done."""
        if self._task is not None:
            await asyncio.shield(self._task)

    def _next(self) -> Item:
        item = self._waiting.pop(0)
        if isinstance(item, Event):
            self._waiting_bytes -= memory_of(item)
            return worked_on(item) if item.waits else item
        return item

    async def _drain(self, pending: Awaitable[None] | None) -> None:
        try:
            if pending is not None:
                await pending
            began = monotonic()
            while self._waiting:
                pending = self._work(self, self._next())
                if pending is not None:
                    await pending
                if monotonic() - began > SLICE:
                    # The items so far may all have been done in one turn of the loop
                    await self._turns.wait()
                    began = monotonic()
        finally:
            self._task = None
            self.idle = True


class Peers:
    """The peers by id, and by the user that they speak for.

    Attributes:
        turns: The turns that peers wait for if their events take longer than one turn allows.
    """

    def __init__(self) -> None:
        self._by_id: dict[str, Peer] = {}
        self._by_user: dict[str, dict[str, Peer]] = {}
        self.turns = Turns()
        self.get = self._by_id.get
        """Returns the peer with that id, or ``None`` if this node has none."""

    def __iter__(self) -> Iterator[Peer]:
        return iter(list(self._by_id.values()))

    def add(self, peer: Peer) -> None:
        """Add a peer."""
        self._by_id[peer.peer_id] = peer

    def remove(self, peer: Peer) -> None:
        """Remove a peer."""
        self._by_id.pop(peer.peer_id, None)
        self.speaks_for(peer, None)

    def speaks_for(self, peer: Peer, user_id: UserId | None) -> None:
        """Record which user a peer speaks for; ``None`` for nobody."""
        if peer.user_id is not None:
            key = str(peer.user_id)
            connections = self._by_user[key]
            del connections[peer.peer_id]
            if not connections:
                del self._by_user[key]
        peer.user_id = user_id
        if user_id is not None:
            self._by_user.setdefault(str(user_id), {})[peer.peer_id] = peer

    def of_user(self, user_id: UserId) -> list[Peer]:
        """Return the peers that speak for a user; 7 and "7" are the same user."""
        return list(self._by_user.get(str(user_id), {}).values())
