"""Which connection of a user counts, where it may only have one: its connections are the members of a room.

    refuse:  the room has one place, so the first member counts
    replace: a member *claims*, is let in, and then *holds*; the last one that holds counts, and those before it go

So one order decides for all nodes, and nobody goes for a connection that is not let in after all. If a room has
more members than it should, as after a store's loss of memory, each node parts from its own that don't count.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from walkie_signal.backends.base import Backend
from walkie_signal.core.changes import Member, Reason
from walkie_signal.core.identity import UserId
from walkie_signal.core.own_rooms import user_room
from walkie_signal.errors import SignalingError
from walkie_signal.node.peers import Peer
from walkie_signal.settings import Settings
from walkie_signal.settings.identity import ALLOW, REFUSE, REPLACE

UNBOUNDED = 1_000_000
"""The capacity of a user's room in which the last one counts."""

HOLDS = "holds"
"""The role in its user's room of a member that was let in; one that only claims has none."""

AGAIN = 1.0
"""Seconds until a node tries again to tell the others that a connection was let in."""


class Singles:
    """The connections of one node whose users may only have one."""

    def __init__(self, settings: Settings, backend: Backend) -> None:
        self._policy = settings.user_connections
        self._gone_within = settings.ping_interval + settings.ping_timeout
        self._backend = backend
        self._claims: dict[str, dict[str, Peer]] = {}
        self._room_of: dict[str, str] = {}
        self._undecided: set[str] = set()
        self._joins: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def claim(self, peer: Peer, user_id: UserId) -> None:
        """Let a peer that is about to be admitted be its user's connection, if it may.

        Raises:
            SignalingError: ``already_connected``; ``unavailable`` if the store can't be asked, and nobody is known.
        """
        if self._policy == ALLOW:
            return
        room = user_room(user_id)
        self._claims.setdefault(room, {})[peer.peer_id] = peer
        self._room_of[peer.peer_id] = room
        self._undecided.add(peer.peer_id)
        try:
            join = self._joins[peer.peer_id] = self._spawn(self._join(room, peer.peer_id))
            await asyncio.shield(join)
        except SignalingError:
            self._forget(peer.peer_id)
            del self._joins[peer.peer_id]
            raise
        finally:
            self._undecided.discard(peer.peer_id)
        if peer in self.losers(room):
            raise SignalingError("already_connected", "a later connection of this user has replaced this one")

    async def _join(self, room: str, peer_id: str) -> None:
        try:
            await self._backend.join(self._member(room, peer_id), 1 if self._policy == REFUSE else UNBOUNDED)
        except SignalingError as error:
            if error.code != "room_full" and not (self._policy == REFUSE and self._others(room, peer_id)):
                raise
            raise SignalingError(
                "already_connected",
                "this user has a connection already",
                retryAfterMs=round(self._gone_within * 1000),
            ) from None

    def _member(self, room: str, peer_id: str, role: str | None = None) -> Member:
        return Member(peer_id, room, role, None, self._backend.node_id)

    def hold(self, peer: Peer) -> None:
        """Let a peer that is admitted now take the place of those before it."""
        room = self._room_of.get(peer.peer_id)
        if room is not None and self._policy == REPLACE:
            self._joins[peer.peer_id] = self._spawn(self._hold(room, peer.peer_id))

    async def _hold(self, room: str, peer_id: str) -> None:
        while peer_id in self._room_of:
            try:
                await self._backend.join(self._member(room, peer_id, HOLDS), UNBOUNDED)
            except SignalingError:  # noqa: PERF203 - it is tried once a second
                await asyncio.sleep(AGAIN)
            else:
                return

    def _others(self, room: str, peer_id: str) -> bool:
        return any(entry.member.peer_id != peer_id for entry in self._backend.known(room).entries)

    def losers(self, room: str) -> list[Peer]:
        """Return the connections here that don't count; those whose claim is not decided yet are not among them."""
        claims = self._claims.get(room)
        if claims is None:
            return []
        members = [entry.member for entry in self._backend.known(room).entries]
        if self._policy == REFUSE:
            outdone = members[1:]
        else:
            last = max((at for at, member in enumerate(members) if member.role == HOLDS), default=0)
            outdone = members[:last]
        decided = claims.keys() - self._undecided
        return [claims[member.peer_id] for member in outdone if member.peer_id in decided]

    def release(self, peer: Peer, reason: Reason) -> None:
        """Let a peer that is gone be its user's connection no more."""
        room = self._forget(peer.peer_id)
        if room is not None:
            self._spawn(self._leave(room, peer.peer_id, reason))

    async def _leave(self, room: str, peer_id: str, reason: Reason) -> None:
        join = self._joins.pop(peer_id, None)
        if join is not None:
            await asyncio.wait([join])
        await self._backend.leave(room, peer_id, reason)

    def _forget(self, peer_id: str) -> str | None:
        room = self._room_of.pop(peer_id, None)
        if room is not None:
            claims = self._claims[room]
            del claims[peer_id]
            if not claims:
                del self._claims[room]
        return room

    async def settled(self) -> None:
        """Wait until those that are gone have left their users' rooms."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
