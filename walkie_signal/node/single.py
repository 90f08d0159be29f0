"""Which connection of a user counts, where it may only have one: its connections are the members of a room.

    replace: the member that joined last counts      refuse: the room has one place, and who joined first counts

So one order decides for all nodes. Should a room have more members than that, because the store had lost its memory
or a node was cut off from it, then each node parts from those of its own that don't count.
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
from walkie_signal.settings.identity import ALLOW, REFUSE

UNBOUNDED = 1_000_000
"""The capacity of a user's room in which the last one counts."""


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
            raise
        finally:
            self._undecided.discard(peer.peer_id)
        if peer in self.losers(room):
            raise SignalingError("already_connected", "a later connection of this user has replaced this one")

    async def _join(self, room: str, peer_id: str) -> None:
        member = Member(peer_id, room, None, None, self._backend.node_id)
        try:
            await self._backend.join(member, 1 if self._policy == REFUSE else UNBOUNDED)
        except SignalingError as error:
            if error.code != "room_full" and not (self._policy == REFUSE and self._others(room, peer_id)):
                raise
            raise SignalingError(
                "already_connected",
                "this user has a connection already",
                retryAfterMs=round(self._gone_within * 1000),
            ) from None
        finally:
            del self._joins[peer_id]

    def _others(self, room: str, peer_id: str) -> bool:
        return any(entry.member.peer_id != peer_id for entry in self._backend.known(room).entries)

    def losers(self, room: str) -> list[Peer]:
        """Return the connections here that don't count; those whose claim is not decided yet are not among them."""
        claims = self._claims.get(room)
        entries = self._backend.known(room).entries if claims else ()
        if not claims or not entries:
            return []
        counts = entries[0 if self._policy == REFUSE else -1].member.peer_id
        decided = claims.keys() - self._undecided
        return [claims[peer_id] for peer_id in decided if peer_id != counts]

    def release(self, peer: Peer, reason: Reason) -> None:
        """Let a peer that is gone be its user's connection no more."""
        room = self._forget(peer.peer_id)
        if room is not None:
            self._spawn(self._leave(room, peer.peer_id, reason))

    async def _leave(self, room: str, peer_id: str, reason: Reason) -> None:
        if peer_id in self._joins:
            await asyncio.wait([self._joins[peer_id]])
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
