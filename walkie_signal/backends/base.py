"""The port that each backend fills."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from walkie_signal.core.rooms import Change, Member, Reason


class Backend(Protocol):
    """The order of changes, and the truth about rosters, for one namespace of the whole service."""

    name: str
    """How the command and the log name it."""

    shared: bool
    """Whether several nodes see the same rooms through it."""

    async def start(self, apply: Callable[[Change], None]) -> None:
        """Begin to order changes; each that concerns this node goes to `apply`, in order and once."""

    async def close(self) -> None:
        """End what `start` began. Nothing is applied afterwards."""

    async def join(self, member: Member, capacity: int) -> None:
        """Make a peer a member, or announce it again; applied here when this returns.

        Raises:
            SignalingError: ``room_full`` where the room has `capacity` members and the peer is none of them.
                Nothing has changed then.
        """

    async def leave(self, room: str, peer_id: str, reason: Reason) -> None:
        """Take a member out; applied here when this returns. Does nothing where it is no member."""

    async def rooms(self) -> Sequence[str]:
        """Return the names of the rooms that have members, on any node."""

    async def roster(self, room: str) -> Sequence[Member]:
        """Return the members of a room, on any node, in the order of their joining."""
