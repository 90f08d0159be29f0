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
        listed: The peers that are listed in some room, including those that are stepping out.
        waiting: The items that wait behind another one of their peer.
        early: The peers whose signals wait for their first join.
        joining: The joins under way.
        hooks: The peers with a hook under way.
        rosters: The rooms that have a pace for their roster.
        announcements: The members that have a pace for their announcements.
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
