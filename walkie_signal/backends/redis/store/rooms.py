"""The rooms in Redis: their members, and how their changes are ordered and heard."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence

from walkie_signal.backends.redis import scripts
from walkie_signal.backends.redis.store.keys import EXPIRY, Keys, pairs_of, text_of
from walkie_signal.backends.shared.records import (
    read_entries,
    read_roster,
    write_entry,
    write_member,
    write_value,
)
from walkie_signal.backends.shared.store import StrangeKeyError
from walkie_signal.bounded_log import BoundedLog
from walkie_signal.core.changes import Member, Reason
from walkie_signal.core.replicas import Entry, Roster, Version
from walkie_signal.core.values import Value
from walkie_signal.errors import room_full

log = logging.getLogger("walkie_signal.redis")

_LINES = BoundedLog(log)


class StoredRooms(Keys):
    """The rooms of all nodes."""

    # Their changes

    def follow(self, room: str) -> asyncio.Future[None]:
        """Begin to hear the changes of a room; the returned future is done once they are heard."""
        return self._uplink.listening.subscribe(self._names.room(room))

    def unfollow(self, room: str) -> None:
        """Stop hearing the changes of a room; nothing is raised."""
        self._uplink.listening.unsubscribe(self._names.room(room))

    def channel(self, room: str) -> bytes:
        """Return the channel on which the changes of a room are heard."""
        return self._names.room(room).encode()

    async def join(self, member: Member, capacity: int, *, reads: bool) -> Roster | None:
        """Make a peer a member, or announce it again; returns the room as it is then, if `reads`.

        Raises:
            SignalingError: ``room_full`` if the room has `capacity` members and the peer is not one of them.
        """
        keys = self._names.room_and_values(member.room)
        arguments = (EXPIRY, member.peer_id, write_member(member), capacity, int(reads))
        asked = self._uplink.run(scripts.JOIN, keys, *arguments)
        found = await (self._remembered(asked, keys[0]) if reads else self._answer(asked, keys[0]))
        if found is None:
            raise room_full(capacity)
        return self._adopted(member.room, *found) if reads else None

    async def leave(self, room: str, peer_id: str, node: str, reason: Reason) -> bool:
        """Take a member out; returns whether it was one, and of that node."""
        keys = self._names.room_and_values(room)
        asked = self._uplink.run(scripts.LEAVE, keys, EXPIRY, peer_id, node, reason)
        return bool(await self._answer(asked, keys[0]))

    async def settle(
        self,
        room: str,
        node: str,
        members: Mapping[str, Entry | None],
        values: Sequence[Value],
        *,
        writes_back: bool,
    ) -> Roster:
        """Make a node's members of a room exactly `members`; returns the room as it is then.

        Args:
            room: Its name.
            node: The node.
            members: By peer, what the room is to say of it; ``None`` leaves that as it is, if it lists the peer.
            values: Values beside the room to write back where Redis has none, or an older one.
            writes_back: Whether to record there that the node has settled since Redis lost its memory.
        """
        listed = [text for value in values for text in (value.key, write_value(value))]
        for peer_id, entry in members.items():
            listed += (peer_id, "" if entry is None else write_entry(entry))
        keys = self._names.room_and_values(room)
        arguments = (EXPIRY, node, "disconnected", int(writes_back), len(values))
        asked = self._uplink.run(scripts.SETTLE, keys, *arguments, *listed)
        stored, beside, _ = await self._remembered(asked, keys[0])
        return self._adopted(room, stored, beside)

    async def remove(self, room: str, node: str) -> list[Member]:
        """Take all members of a dead node out of a room; returns those that were still there."""
        keys = self._names.room_and_values(room)
        asked = self._uplink.run(scripts.SETTLE, keys, EXPIRY, node, "node_lost", 0, 0)
        _, _, removed = await self._answer(asked, keys[0])
        return [entry.member for entry in read_entries(room, pairs_of(removed))]

    # What they say

    async def touch(self, room: str) -> Version:
        """Keep a room from expiring; returns its version."""
        keys = self._names.room_and_values(room)
        stored = await self._answer(self._uplink.run(scripts.TOUCH, keys, EXPIRY), keys[0])
        return self._roster(room, [] if stored is None else [b"", stored]).version

    async def roster(self, room: str) -> Roster:
        """Return a room."""
        return self._roster(room, await self._read("HGETALL", self._names.room(room)))

    async def names(self) -> list[str]:
        """Return the names of the rooms that have members."""
        nodes = await self._answer(self._uplink.ask("ZRANGE", self._names.nodes, 0, -1))
        keys = [self._names.rooms_of(text_of(node)) for node in nodes]
        listed = await asyncio.gather(*(self._read("SMEMBERS", key) for key in keys))
        names = sorted({text_of(room) for rooms in listed for room in rooms})
        lengths = await asyncio.gather(*map(self._length, names))
        return [room for room, length in zip(names, lengths, strict=True) if length > 1]

    async def _length(self, room: str) -> int:
        """Return how many fields a room's hash has; 0 if its key is strange, because nobody can be in it then."""
        try:
            length: int = await self._read("HLEN", self._names.room(room))
        except StrangeKeyError:
            length = 0
        return length

    def _adopted(self, room: str, flat: list[bytes], beside: list[bytes]) -> Roster:
        roster = self._roster(room, flat, beside)
        self._strange.mended(self._names.room(room))
        return roster

    def _roster(self, room: str, flat: Sequence[bytes], beside: Sequence[bytes] = ()) -> Roster:
        """Read a room's hash and the values beside it, as Redis returns them."""
        fields = dict(pairs_of(flat))
        try:
            roster = read_roster(room, fields, dict(pairs_of(beside)))
        except ValueError as error:
            self._strange.tell(self._names.room(room))
            raise StrangeKeyError(str(error)) from None
        unread = len(fields) - len(roster.entries) - 1
        if unread > 0:
            message = "room %r: %d members can't be read"
            _LINES.write(logging.WARNING, "members that can't be read", message, room, unread)
        return roster
