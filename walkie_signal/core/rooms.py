"""A room: who is in it, and how that changes.

There are two rules for this file:

1. A room only changes by an ordered `Change`. All nodes that apply the same changes in the same order have the same
   room, and so does a node that catches up later.
2. An impossible change is refused, and the room stays as it was.
"""

from __future__ import annotations

from collections.abc import Iterator

from typing_extensions import assert_never

from walkie_signal.core.changes import Change, Joined, Left, Member


class Room:
    """The members of a room, in the order in which they joined."""

    __slots__ = ("_members", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._members: dict[str, Member] = {}

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members.values())

    def __contains__(self, peer_id: str) -> bool:
        return peer_id in self._members

    def get(self, peer_id: str) -> Member | None:
        """Return the member with that id, or ``None``."""
        return self._members.get(peer_id)

    def others(self, peer_id: str) -> list[Member]:
        """Return every member but one."""
        return [member for member in self if member.peer_id != peer_id]

    def apply(self, change: Change) -> Member:
        """Make one change; returns the member that it is about.

        Raises:
            ValueError: The change is of another room.
            LookupError: The peer that left is not a member.
        """
        if change.room != self.name:
            raise ValueError("a change of another room")
        if isinstance(change, Joined):
            self._members[change.member.peer_id] = change.member
            return change.member
        if isinstance(change, Left):
            try:
                return self._members.pop(change.peer_id)
            except KeyError:
                raise LookupError("no member with that peer id") from None
        assert_never(change)
