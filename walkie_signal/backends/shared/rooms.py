"""How peers of this node join and leave: the store orders the change, and the room's channel brings it back.

The store also answers which rooms there are, and who is in one, whether or not this node follows it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from walkie_signal.backends.shared.copies import RoomCopy
from walkie_signal.backends.shared.followed import FollowedRooms
from walkie_signal.backends.shared.healing import Healing
from walkie_signal.backends.shared.incarnation import Incarnation
from walkie_signal.backends.shared.store import Failed, RoomStore, StrangeKeyError
from walkie_signal.backends.shared.uplink import Uplink, unavailable
from walkie_signal.core.changes import Member, Reason
from walkie_signal.core.emits import is_stored_name
from walkie_signal.errors import SignalingError

CHANGE_TIMEOUT = 1.8
"""Seconds within which a change has to be ordered and brought back by the room's channel."""


class Rooms:
    """Orders the changes of one node's members."""

    def __init__(
        self,
        store: RoomStore,
        uplink: Uplink,
        incarnation: Incarnation,
        followed: FollowedRooms,
        healing: Healing,
    ) -> None:
        self._store = store
        self._uplink = uplink
        self._incarnation = incarnation
        self._followed = followed
        self._healing = healing

    async def join(self, member: Member, capacity: int) -> None:
        """Make a peer a member, or announce it again; see `Backend.join`."""
        self._uplink.check()
        if member.node != self._incarnation.id:
            raise unavailable()
        copy = self._followed.follow(member.room)
        before = copy.join(member)
        applied = copy.changing[member.peer_id]
        try:
            await asyncio.wait_for(self._order_join(copy, member, capacity), CHANGE_TIMEOUT)
        except (*Failed, SignalingError) as error:
            if applied.done() and not applied.cancelled() and applied.exception() is None:
                return  # the join was ordered, and only the answer was lost
            copy.take_back(member, before)
            self._healing.pay_soon()
            if isinstance(error, StrangeKeyError):
                copy.set_aside()
            if isinstance(error, asyncio.TimeoutError):
                self._healing.heal(member.room)
            raise (error if isinstance(error, SignalingError) else unavailable()) from None
        finally:
            copy.end(member.peer_id)
            if copy.lacks_changes:
                self._healing.heal(member.room)

    async def _order_join(self, copy: RoomCopy, member: Member, capacity: int) -> None:
        await asyncio.shield(copy.heard)
        roster = await self._store.join(member, capacity, reads=copy.version is None)
        if roster is not None and not copy.is_missed_in(roster):
            self._followed.adopt(copy, roster)
        elif copy.version is None:
            self._healing.heal(member.room)
        await copy.changing[member.peer_id]

    async def leave(self, room: str, peer_id: str, reason: Reason) -> None:
        """Take a member out, even if the store can't order it now; see `Backend.leave`."""
        copy = self._followed.get(room)
        if copy is None or not copy.leave(peer_id):
            return
        entry, node = copy.entry(peer_id), self._incarnation.id
        try:
            self._uplink.check()
            await asyncio.wait_for(self._order_leave(copy, peer_id, node, reason), CHANGE_TIMEOUT)
        except (*Failed, SignalingError) as error:
            if isinstance(error, StrangeKeyError):
                copy.set_aside()
            if entry is not None:
                self._followed.owe(entry.member, reason)
        finally:
            copy.end(peer_id)
        self._followed.make(copy, copy.withdraw(peer_id, reason))
        if copy.lacks_changes:
            self._healing.heal(room)

    async def _order_leave(self, copy: RoomCopy, peer_id: str, node: str, reason: Reason) -> None:
        if await self._store.leave(copy.room, peer_id, node, reason):
            await copy.changing[peer_id]

    async def names(self) -> Sequence[str]:
        """Return the names of the rooms that have members; see `Backend.rooms`."""
        self._uplink.check()
        try:
            return [name for name in await self._store.names() if not is_stored_name(name)]
        except Failed:
            raise unavailable() from None

    async def roster(self, room: str) -> Sequence[Member]:
        """Return the members of a room; see `Backend.roster`."""
        self._uplink.check()
        try:
            return [entry.member for entry in (await self._store.roster(room)).entries]
        except Failed:
            raise unavailable() from None
