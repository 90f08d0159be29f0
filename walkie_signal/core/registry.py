"""The rooms that a node follows, and the index of the peers in them.

There are two rules for this file: the index only changes together with the rooms, except when a peer steps out, and
a room without members is not kept.

    not a member ──Joined──▶ member ──step_out──▶ stepping out ──Left──▶ not a member
                               │  ▲                     │
                               │  └──────step_in────────┘
                               └──────────Left──────────▶ not a member

A peer that steps out is listed until its `Left` is ordered, but it hears nothing of that room and shares it with
nobody. So a move is one step for the peer that moves, however long the store takes for its second half.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from walkie_signal.core.changes import EFFECTS, Change, Member
from walkie_signal.core.rooms import Room


class Registry:
    """Rooms by name, and the names of a peer's rooms."""

    def __init__(self) -> None:
        self._rooms: dict[str, Room] = {}
        self._rooms_of: dict[str, dict[str, None]] = {}
        self._stepping_out: dict[str, dict[str, None]] = {}

    def __iter__(self) -> Iterator[Room]:
        return iter(self._rooms.values())

    @property
    def listed(self) -> int:
        """How many peers are listed in some room, those that are stepping out among them."""
        return len(self._rooms_of.keys() | self._stepping_out.keys())

    def room(self, name: str) -> Room:
        """Return the room of that name; an empty one if there is none."""
        room = self._rooms.get(name)
        return Room(name) if room is None else room

    def member(self, room: str, peer_id: str) -> Member | None:
        """Return a peer as that room knows it, or ``None`` if the peer is not in the room."""
        there = self._rooms.get(room)
        return None if there is None else there.get(peer_id)

    def rooms_of(self, peer_id: str) -> tuple[str, ...]:
        """Return the names of the rooms that a peer is in, in the order in which it joined them."""
        return tuple(self._rooms_of.get(peer_id, ()))

    def listed_in(self, peer_id: str) -> tuple[str, ...]:
        """Return the names of the rooms that list a peer, including those that it steps out of."""
        return (*self._rooms_of.get(peer_id, ()), *self._stepping_out.get(peer_id, ()))

    def is_in(self, peer_id: str, room: str) -> bool:
        """Tell whether a peer is in a room and is not stepping out of it."""
        return room in self._rooms_of.get(peer_id, ())

    def hearing(self, room: str, peer_ids: Iterable[str]) -> Iterable[str]:
        """Return the given members without those that are stepping out of the room."""
        if not self._stepping_out:
            return peer_ids
        return [peer_id for peer_id in peer_ids if self.is_in(peer_id, room)]

    def step_out(self, peer_id: str, room: str) -> None:
        """Record that a member is about to leave; does nothing if the peer is not a member."""
        if self.is_in(peer_id, room):
            self._leave(room, peer_id)
            self._stepping_out.setdefault(peer_id, {})[room] = None

    def step_in(self, peer_id: str, room: str) -> None:
        """Record that a member which was about to leave has joined again."""
        if room in self._stepping_out.get(peer_id, ()):
            self._leave(room, peer_id)
            self._rooms_of.setdefault(peer_id, {})[room] = None

    def share_room(self, peer_id: str, other: str) -> bool:
        """Tell whether there is a room that both peers are in."""
        rooms_of = self._rooms_of
        try:  # each signal comes here, and `get` with a default is slower
            theirs = rooms_of[other]
            for room in rooms_of[peer_id]:
                if room in theirs:
                    return True
        except KeyError:  # one of them is in no room
            pass
        return False

    def fellow(self, peer_id: str, other: str) -> Member | None:
        """Return the member `other` from a room that both peers are in; ``None`` if there is no such room."""
        theirs = self._rooms_of.get(other, ())
        for room in self._rooms_of.get(peer_id, ()):
            if room in theirs:
                return self._rooms[room].get(other)
        return None

    def forget(self, name: str) -> None:
        """Drop a room and its members from the index; does nothing if there is no such room."""
        for member in list(self.room(name)):
            self._leave(name, member.peer_id)
        self._rooms.pop(name, None)

    def apply(self, change: Change) -> Room:
        """Make a change in its room; returns that room.

        Raises:
            LookupError: The peer that left is not a member; nothing has changed.
        """
        room = self.room(change.room)
        member = room.apply(change)
        if EFFECTS[type(change)].listed:
            self._rooms[room.name] = room
            if room.name not in self._stepping_out.get(member.peer_id, ()):
                self._rooms_of.setdefault(member.peer_id, {})[room.name] = None
            return room
        self._leave(room.name, member.peer_id)
        if not room:
            del self._rooms[room.name]
        return room

    def _leave(self, room: str, peer_id: str) -> None:
        index = self._rooms_of if self.is_in(peer_id, room) else self._stepping_out
        rooms = index[peer_id]
        del rooms[room]
        if not rooms:
            del index[peer_id]
