"""How a room changes: each change is data, and `EFFECTS` is the table of what each kind of change does.

    not a member ──Joined──▶ member ──Left──▶ not a member
                               │  ▲
                               └──┘ Joined again: another role or user id

There are two rules for this file: a change says by itself all that a node needs in order to make it, and whoever
treats the kinds of changes differently ends with `assert_never`, so that a new kind is forgotten nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from walkie_signal.core.identity import UserId

Reason = Literal[
    "left", "disconnected", "timeout", "kicked", "overflow", "limited", "expired", "replaced", "node_lost"
]
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


class Joined(NamedTuple):
    """A peer has become a member, or is announced again with another role or user id."""

    member: Member

    @property
    def room(self) -> str:
        """The room that changes."""
        return self.member.room

    @property
    def peer_id(self) -> str:
        """The peer that the change is about."""
        return self.member.peer_id


class Left(NamedTuple):
    """A member is gone."""

    room: str
    peer_id: str
    reason: Reason


Change = Joined | Left


class Effect(NamedTuple):
    """What a kind of change does. The host of a peer hears when it is newly listed, and when it is not any more.

    Attributes:
        listed: Whether the room lists the peer afterwards.
        told: The event that every other member hears.
    """

    listed: bool
    told: Literal["new_peer", "peer_disconnected"]


EFFECTS: Mapping[type[Change], Effect] = {
    Joined: Effect(listed=True, told="new_peer"),
    Left: Effect(listed=False, told="peer_disconnected"),
}
