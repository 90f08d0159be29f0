"""How much a node holds at one moment: tests see by it that nothing is left, and metrics may tell it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Census:
    """Counts of a node; once all its peers have gone, each is 0.

    Attributes:
        peers: The peers that it has.
        users: The users that these speak for.
        rooms: The rooms that it follows.
        members: The members of these rooms, on any node.
        listed: The peers that are listed in some room, those among them that are stepping out.
        waiting: The items that wait behind another one of their peer.
        early: The peers of whom signals wait for the first join.
        joining: The joins under way.
        hooks: The peers of whom a hook is under way.
        rosters: The rooms of whose roster it is kept when it was told.
        announcements: The same of what is told of peers that joined a room again.
    """

    peers: int
    users: int
    rooms: int
    members: int
    listed: int
    waiting: int
    early: int
    joining: int
    hooks: int
    rosters: int
    announcements: int
