"""The rooms that a node follows, and the index of the peers in them.

Two rules for this file: the index changes with the rooms and never by itself, and a room without members is not
kept.
"""

from __future__ import annotations

from collections.abc import Iterator

from walkie_signal.core.rooms import Change, Joined, Member, Room


class Registry:
    """Rooms by name, and the names of a peer's rooms."""

    def __init__(self) -> None:
        self._rooms: dict[str, Room] = {}
        self._rooms_of: dict[str, dict[str, None]] = {}

    def __iter__(self) -> Iterator[Room]:
        return iter(self._rooms.values())

    def room(self, name: str) -> Room:
        """Return the room of that name; an empty one where there is none."""
        return self._rooms.get(name) or Room(name)

    def member(self, room: str, peer_id: str) -> Member | None:
        """Return a peer as that room knows it, or ``None`` where it is not in it."""
        return self.room(room).get(peer_id)

    def rooms_of(self, peer_id: str) -> tuple[str, ...]:
        """Return the names of the rooms that a peer is in, in the order of its joining."""
        return tuple(self._rooms_of.get(peer_id, ()))

    def share_room(self, peer_id: str, other: str) -> bool:
        """Tell whether there is a room that both are in."""
        theirs = self._rooms_of.get(other, ())
        for room in self._rooms_of.get(peer_id, ()):  # noqa: SIM110 - a signal's way: any() takes longer than all of this
            if room in theirs:
                return True
        return False

    def fellow(self, peer_id: str, other: str) -> Member | None:
        """Return the other of two peers as a room knows it that both are in; ``None`` where there is none."""
        theirs = self._rooms_of.get(other, ())
        for room in self._rooms_of.get(peer_id, ()):
            if room in theirs:
                return self._rooms[room].get(other)
        return None

    def forget(self, name: str) -> None:
        """Drop a room and what it says of its members; does nothing where there is none."""
        for member in list(self.room(name)):
            self._leave(name, member.peer_id)
        self._rooms.pop(name, None)

    def apply(self, change: Change) -> Room:
        """Make a change in its room; returns that room.

        Raises:
            LookupError: The peer that left is no member; nothing has changed.
        """
        room = self.room(change.room)
        member = room.apply(change)
        if isinstance(change, Joined):
            self._rooms[room.name] = room
            self._rooms_of.setdefault(member.peer_id, {})[room.name] = None
            return room
        self._leave(room.name, member.peer_id)
        if not room:
            del self._rooms[room.name]
        return room

    def _leave(self, room: str, peer_id: str) -> None:
        rooms = self._rooms_of[peer_id]
        del rooms[room]
        if not rooms:
            del self._rooms_of[peer_id]
