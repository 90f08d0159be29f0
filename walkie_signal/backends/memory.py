"""The backend of a service with one node: the default, and the specification of the others."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from walkie_signal.backends.base import Done, Site
from walkie_signal.core.changes import Change, Joined, Left, Member, Reason
from walkie_signal.core.identity import UserId
from walkie_signal.core.rooms import Room
from walkie_signal.errors import SignalingError


class MemoryBackend:
    """Changes are in order because one event loop makes them, and they are applied at once."""

    name = "memory"
    shared = False

    def __init__(self) -> None:
        self.node_id = ""
        self._rooms: dict[str, Room] = {}
        self._site: Site | None = None

    @property
    def ready(self) -> bool:
        """Whether the backend is started."""
        return self._site is not None

    async def start(self, site: Site) -> None:
        """Begin to order changes."""
        self.node_id = secrets.token_hex(8)
        self._site = site

    async def close(self) -> None:
        """Forget every room."""
        self._site = None
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

    def relay(self, target: Member, from_id: str, text: str, done: Done) -> None:  # noqa: ARG002
        """Answer that there is no other node."""
        done(False)  # noqa: FBT003 - see `Done`

    def present(self, peer_id: str, user_id: UserId | None) -> None:
        """Do nothing: the node itself knows its peers."""

    def absent(self, peer_id: str, user_id: UserId | None) -> None:
        """Do nothing."""

    async def tell(self, user_id: UserId, text: str) -> int:  # noqa: ARG002
        """Return 0: there is no other node."""
        return 0

    async def kick(self, peer_id: str) -> bool:  # noqa: ARG002
        """Return false: there is no other node."""
        return False

    def _order(self, room: Room, change: Change) -> None:
        if self._site is None:
            raise SignalingError("unavailable", "the service is closed", retryAfterMs=1000)
        room.apply(change)
        if room:
            self._rooms[room.name] = room
        else:
            del self._rooms[room.name]
        self._site.apply(change)
