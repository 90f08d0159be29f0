"""What nodes share, as its users see it, by noun; and what it may fail with.

    StoreError                 it has not carried out a request
    ├── RefusedError           it has answered that it won't
    │   └── StrangeKeyError    because somebody else has written there
    └── the store's own error for a connection that has ended

Who uses a store catches `Failed`, and need not know which store it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from walkie_signal.core.changes import Member, Reason
from walkie_signal.core.replicas import Entry, RoomEvent, Roster, Version
from walkie_signal.core.values import Value


class StoreError(Exception):
    """The store has not carried out a request; the text says why if that is known."""


class RefusedError(StoreError):
    """The store has refused a request."""


class StrangeKeyError(RefusedError):
    """Where the store keeps something there is a value that no node writes."""


Failed = (StoreError, asyncio.TimeoutError)
"""The exceptions of a request that the store did not carry out, or has not answered in time."""


class RoomStore(Protocol):
    """The rooms of all nodes. What is awaited raises one of `Failed` if it is not carried out."""

    def follow(self, room: str) -> asyncio.Future[None]:
        """Begin to hear the changes of a room; the returned future is done once they are heard.

        Raises:
            StoreError: The store is away.
        """

    def unfollow(self, room: str) -> None:
        """Stop hearing the changes of a room."""

    def channel(self, room: str) -> bytes:
        """Return the channel on which the changes of a room are heard."""

    def read(self, room: str, data: bytes) -> tuple[Version, RoomEvent | None] | None:
        """Read a change as it was heard; ``None`` if it can't be read, which the log says."""

    async def join(self, member: Member, capacity: int, *, reads: bool) -> Roster | None:
        """Make a peer a member, or announce it again; returns the room as it is then, if `reads`.

        Raises:
            SignalingError: ``room_full`` if the room has `capacity` members and the peer is not one of them.
        """

    async def leave(self, room: str, peer_id: str, node: str, reason: Reason) -> bool:
        """Take a member out; returns whether it was one, and of that node."""

    async def settle(
        self, room: str, members: Mapping[str, Entry | None], values: Sequence[Value], *, writes_back: bool
    ) -> Roster:
        """Make this node's members of a room exactly `members`; returns the room as it is then.

        Args:
            room: Its name.
            members: By peer, what the room is to say of it; ``None`` leaves that as it is, if it lists the peer.
            values: Values beside the room to write back where the store has none, or an older one.
            writes_back: Whether to record there that this node has settled since the store lost its memory.
        """

    async def remove(self, room: str, node: str) -> list[Member]:
        """Take all members of a dead node out of a room; returns those that were still there."""

    async def touch(self, room: str) -> Version:
        """Keep a room from being dropped as a leftover; returns its version."""


class NodeStore(Protocol):
    """This node's list of the rooms that it has members in; nothing is awaited, and nothing raised."""

    def list_rooms(self, rooms: Iterable[str], following: Collection[str]) -> None:
        """List rooms as this node's own.

        Args:
            rooms: The rooms to list, at least one.
            following: All rooms that this node has, in case that list has to be replaced.
        """

    def unlist_room(self, room: str) -> None:
        """Take a room out of this node's list."""

    def touch_list(self) -> None:
        """Keep this node's list of rooms from being dropped as a leftover."""
