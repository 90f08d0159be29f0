"""A room: who is in it, and how that changes.

There are two rules for this file:

1. A room only changes by an ordered `Change`. All nodes that apply the same changes in the same order have the same
   room, and so does a node that catches up later.
2. An impossible change is refused, and the room stays as it was.

    not a member ──Joined──▶ member ──Left──▶ not a member
                               │  ▲
                               └──┘ Joined again: another role or user id
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from walkie_signal.core.identity import UserId

Reason = Literal["left", "disconnected", "timeout", "kicked", "overflow", "expired", "replaced", "node_lost"]
"""Why a peer is no longer in a room."""


@dataclass(frozen=True, slots=True)
class Member:
    """A peer as a room knows it.

    Attributes:
        peer_id: The id by which other peers address it.
        room: The room's name.
        role: The role as announced; ``None`` if none was given.
        user_id: The user id as announced; ``None`` if none was given.
        node: The id of the node that holds its connection; a node that starts again has a new id.
    """

    peer_id: str
    room: str
    role: str | None
    user_id: UserId | None
    node: str


@dataclass(frozen=True, slots=True)
class Joined:
    """A peer has become a member, or is announced again with another role or user id."""

    member: Member

    @property
    def room(self) -> str:
        """The room that changes."""
        return self.member.room


@dataclass(frozen=True, slots=True)
class Left:
    """A member is gone."""

    room: str
    peer_id: str
    reason: Reason


Change = Joined | Left


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
        try:
            return self._members.pop(change.peer_id)
        except KeyError:
            raise LookupError("no member with that peer id") from None
