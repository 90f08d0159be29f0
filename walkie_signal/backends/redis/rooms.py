"""How peers of this node join and leave: Redis orders the change, and the room's channel brings it back."""

from __future__ import annotations

import asyncio

from walkie_signal.backends.redis.followed import EXPIRY, Followed, FollowedRooms
from walkie_signal.backends.redis.healing import Healing
from walkie_signal.backends.redis.messages import write_member
from walkie_signal.backends.redis.scripts import JOIN, LEAVE
from walkie_signal.backends.redis.uplink import Failed, Uplink, unavailable
from walkie_signal.core.changes import Member, Reason
from walkie_signal.errors import SignalingError

CHANGE_TIMEOUT = 1.8
"""Seconds within which a change has to be ordered and brought back by the room's channel."""


class Rooms:
    """Orders the changes of one node's members."""

    def __init__(self, uplink: Uplink, followed: FollowedRooms, healing: Healing) -> None:
        self._uplink = uplink
        self._followed = followed
        self._healing = healing

    async def join(self, member: Member, capacity: int) -> None:
        """Make a peer a member, or announce it again; see `Backend.join`."""
        self._uplink.check()
        followed = self._followed.follow(member.room)
        before = followed.wanted.get(member.peer_id)
        followed.wanted[member.peer_id] = member
        applied = followed.changing[member.peer_id] = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait_for(self._order_join(followed, member, capacity), CHANGE_TIMEOUT)
        except (*Failed, SignalingError) as error:
            if applied.done() and not applied.cancelled() and applied.exception() is None:
                return  # the join was ordered, and only the answer was lost
            self._take_back(followed, member, before)
            self._followed.on_owed()
            if isinstance(error, asyncio.TimeoutError):
                self._healing.heal(member.room)
            raise (error if isinstance(error, SignalingError) else unavailable()) from None
        finally:
            del followed.changing[member.peer_id]
            self._followed.rest(followed)
            if followed.lacks_changes:
                self._healing.heal(member.room)

    @staticmethod
    def _take_back(followed: Followed, member: Member, before: Member | None) -> None:
        """Want the member again that was wanted before a join that has failed."""
        if followed.wanted.get(member.peer_id) is not member:
            return  # meanwhile this node has become another
        del followed.wanted[member.peer_id]
        if before is not None:
            followed.wanted[member.peer_id] = before

    async def _order_join(self, followed: Followed, member: Member, capacity: int) -> None:
        await asyncio.shield(followed.subscribed)
        room, unknown = member.room, followed.replica.version is None
        arguments = (EXPIRY, member.peer_id, write_member(member), capacity, int(unknown))
        asked = self._healing.run(JOIN, room, *arguments)
        answer = await (self._healing.remembered(asked) if unknown else asked)
        if answer is None:
            raise SignalingError("room_full", f"the room has {capacity} members already")
        if unknown:
            self._followed.adopt(followed, self._followed.roster_of(room, *answer))
        elif followed.replica.version is None:
            self._healing.heal(room)
        await followed.changing[member.peer_id]

    async def leave(self, room: str, peer_id: str, reason: Reason) -> None:
        """Take a member out, even if Redis can't order it now; see `Backend.leave`."""
        followed = self._followed.get(room)
        if followed is None or followed.wanted.pop(peer_id, None) is None:
            return
        entry, node = followed.replica.entry(peer_id), self._uplink.node_id
        followed.changing[peer_id] = asyncio.get_running_loop().create_future()
        try:
            self._uplink.check()
            await asyncio.wait_for(self._order_leave(followed, peer_id, node, reason), CHANGE_TIMEOUT)
        except (*Failed, SignalingError):
            if entry is not None:
                self._followed.owe(entry.member, reason)
        finally:
            del followed.changing[peer_id]
        self._followed.make(followed, followed.replica.withdraw(peer_id, reason))
        self._followed.rest(followed)
        if followed.lacks_changes:
            self._healing.heal(room)

    async def _order_leave(self, followed: Followed, peer_id: str, node: str, reason: Reason) -> None:
        if await self._healing.run(LEAVE, followed.replica.room, EXPIRY, peer_id, node, reason):
            await followed.changing[peer_id]
