"""The peers of this node.

A peer is not its connection: it has an id, an identity and a queue of what happened, and it hears by one link or,
while it is away, by none. There is one rule for this file: all that a peer hears goes through `Peer.hear`,
`Peer.hear_all` or `Peer.hear_latest`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

from walkie_signal.backends.base import Backend
from walkie_signal.core.changes import Reason
from walkie_signal.core.identity import Identity, UserId
from walkie_signal.core.payloads import Payload
from walkie_signal.core.ports import Link
from walkie_signal.turns import SLICE, Turns
from walkie_signal.wire.event_packets import (
    Event,
    ack_text,
    confirmation_text,
    disconnect_text,
    event_text,
    memory_of,
    prefix_of,
    waiting,
    worked_on,
)
from walkie_signal.wire.relays import signal_head


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
    """Somebody who may join rooms, the queue of what it did, and the way in which it hears.

    Items are worked on one by one, in order. An item that need not wait is done before `post` returns, without a
    task. While an item waits, the next ones queue up behind it. Until the peer is admitted, all items queue up.

    Attributes:
        peer_id: Its id, which outlives a connection.
        link: Its connection; ``None`` while it has none. `set_link` changes it.
        hear: Sends it the text of a frame, behind all that it was sent before; without a link the text is lost. It
            is the link's own `send`, because each signal comes here.
        hear_all: The same with several texts, which are written at once.
        hear_latest: The same with a key, and drops the earlier text of that key if it still waits.
        idle: Whether an item that is posted now is worked on now.
        identity: The verified identity; ``None`` if the host has no `authenticate`.
        user_id: The user that it speaks for, as verified or as last announced; ``None`` if unknown.
        gone: Whether it has ended for good.
        has_joined: Whether it has ever been in a room.
        head: The text that precedes the value in each signal from it.
        address: The address that it comes from; ``None`` if that is not known.
        events_whole_at, bytes_whole_at, joins_whole_at, refusals_whole_at: Its allowances; see `core.limits`.
    """

    __slots__ = (
        "_prefix", "_task", "_turns", "_waiting", "_waiting_bytes", "_work", "address", "bytes_whole_at",
        "events_whole_at", "gone", "has_joined", "head", "hear", "hear_all", "hear_latest", "identity", "idle",
        "joins_whole_at", "link", "peer_id", "refusals_whole_at", "user_id",
    )  # fmt: skip

    def __init__(self, peer_id: str, address: str | None, prefix: str, work: Work, turns: Turns) -> None:
        self.peer_id = peer_id
        self.address = address
        self.events_whole_at = self.bytes_whole_at = self.joins_whole_at = self.refusals_whole_at = 0.0
        self.head = signal_head(prefix, peer_id)
        self.link: Link | None = None
        self.hear: Callable[[str], None] = _unheard
        self.hear_all: Callable[[Sequence[str]], None] = _unheard
        self.hear_latest: Callable[[str, str], None] = _unheard
        self.identity: Identity | None = None
        self.user_id: UserId | None = None
        self.gone = False
        self.has_joined = False
        self.idle = False
        self._prefix = prefix
        self._work = work
        self._turns = turns
        self._waiting: list[Item] = []
        self._waiting_bytes = 0
        self._task: asyncio.Task[None] | None = None

    # What it hears

    def set_link(self, link: Link | None) -> None:
        """Let the peer hear by this link from now on; ``None`` while it is away."""
        self.link = link
        self.hear = _unheard if link is None else link.send
        self.hear_all = _unheard if link is None else link.send_all
        self.hear_latest = _unheard if link is None else link.send_latest

    def tell(self, event: str, payload: Payload) -> None:
        """Let it hear an event."""
        self.hear(event_text(self._prefix, event, payload))

    def tell_all(self, event: str, payloads: Sequence[Payload]) -> None:
        """Let it hear an event, once with each payload."""
        self.hear_all([event_text(self._prefix, event, payload) for payload in payloads])

    def tell_latest(self, key: str, event: str, payload: Payload) -> None:
        """Let it hear an event that outdates the last one of that key."""
        self.hear_latest(key, event_text(self._prefix, event, payload))

    def go_on_from(self, former: Peer) -> None:
        """Have what a former peer of the same connection has left of its allowances, and no more."""
        self.events_whole_at, self.bytes_whole_at = former.events_whole_at, former.bytes_whole_at
        self.joins_whole_at, self.refusals_whole_at = former.joins_whole_at, former.refusals_whole_at

    def ack(self, ack_id: int | None, payload: Payload) -> None:
        """Answer an event of its own if it asked for an ack."""
        if ack_id is not None:
            self.hear(ack_text(self._prefix, ack_id, payload))

    def confirm(self, ack_id: int | None) -> None:
        """Answer an event that was carried out, and that has no answer of its own, if it asked for an ack."""
        if ack_id is not None:
            self.hear(confirmation_text(self._prefix, ack_id))

    def close(self, *, for_good: bool = False) -> None:
        """Close its link, if it has one; `for_good` tells a stock client not to come back by itself."""
        if for_good:
            self.hear(disconnect_text(self._prefix))
        if self.link is not None:
            self.link.close(for_good=for_good)

    # What it does

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


def _unheard(*_: object) -> None:
    """Lose what a peer without a link would hear."""


class Peers:
    """The peers of one namespace by id, and by the user that they speak for, as the backend also knows them."""

    def __init__(self, namespace: str, backend: Backend) -> None:
        self._prefix = prefix_of(namespace)
        self._backend = backend
        self._by_id: dict[str, Peer] = {}
        self._by_user: dict[str, dict[str, Peer]] = {}
        self._turns = Turns()
        self.get = self._by_id.get
        """Returns the peer with that id, or ``None`` if this node has none."""

    def __iter__(self) -> Iterator[Peer]:
        return iter(list(self._by_id.values()))

    @property
    def users(self) -> int:
        """How many users the peers speak for."""
        return len(self._by_user)

    def open(self, peer_id: str, link: Link, address: str | None, work: Work) -> Peer:
        """Add a peer that is not admitted yet; its events wait, and then `work` does them."""
        peer = self._by_id[peer_id] = Peer(peer_id, address, self._prefix, work, self._turns)
        peer.set_link(link)
        return peer

    def admit(self, peer: Peer, identity: Identity | None) -> None:
        """Begin to work on a peer's events; `identity` is ``None`` if the host has no `authenticate`."""
        peer.identity = identity
        self._backend.present(peer.peer_id, None)
        if identity is not None:
            self.speaks_for(peer, identity)
        peer.admit()

    def remove(self, peer: Peer) -> None:
        """Remove a peer."""
        self._backend.absent(peer.peer_id, peer.user_id)
        del self._by_id[peer.peer_id]
        self._index(peer, None)

    def tell(self, peers: Iterable[Peer], event: str, *arguments: Any) -> str:
        """Let some peers hear one event, which is written once; returns its text."""
        text = event_text(self._prefix, event, *arguments)
        for peer in peers:
            peer.hear(text)
        return text

    def tell_latest(self, key: str, peers: Iterable[Peer], event: str, payload: Payload) -> str:
        """Do what `tell` does with an event that outdates the last one of that key."""
        text = event_text(self._prefix, event, payload)
        for peer in peers:
            peer.hear_latest(key, text)
        return text

    def speaks_for(self, peer: Peer, identity: Identity) -> None:
        """Record which user a peer speaks for."""
        if peer.user_id != identity.user_id:
            self._backend.absent(peer.peer_id, peer.user_id)
            self._backend.present(peer.peer_id, identity.user_id)
            self._index(peer, identity.user_id)

    def _index(self, peer: Peer, user_id: UserId | None) -> None:
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
