"""The backend of a service with one node: the default, and the specification of the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from walkie_signal.core.rooms import Change, Joined, Left, Member, Reason, Room
from walkie_signal.errors import SignalingError


class MemoryBackend:
    """Changes are in order because one event loop makes them, and are applied on the spot."""

    name = "memory"
    shared = False

    def __init__(self) -> None:
        self._rooms: dict[str, Room] = {}
        self._apply: Callable[[Change], None] | None = None

    async def start(self, apply: Callable[[Change], None]) -> None:
        """Begin to order changes."""
        self._apply = apply

    async def close(self) -> None:
        """Forget every room."""
        self._apply = None
        self._rooms.clear()

    async def join(self, member: Member, capacity: int) -> None:
        """Make a peer a member, or announce it again."""
        room = self._rooms.get(member.room) or Room(member.room)
        if member.peer_id not in room and len(room) >= capacity:
            raise SignalingError("room_full", f"the room has {capacity} members already")
        self._order(room, Joined(member))

    async def leave(self, room: str, peer_id: str, reason: Reason) -> None:
        """Take a member out."""
        kept = self._rooms.get(room)
        if kept is not None and peer_id in kept:
            self._order(kept, Left(room, peer_id, reason))

    async def rooms(self) -> Sequence[str]:
        """Return the names of the rooms that have members."""
        return list(self._rooms)

    async def roster(self, room: str) -> Sequence[Member]:
        """Return the members of a room."""
        return list(self._rooms.get(room, ()))

    def _order(self, room: Room, change: Change) -> None:
        if self._apply is None:
            raise SignalingError("unavailable", "the service is closed", retryAfterMs=1000)
        room.apply(change)
        if room:
            self._rooms[room.name] = room
        else:
            del self._rooms[room.name]
        self._apply(change)
