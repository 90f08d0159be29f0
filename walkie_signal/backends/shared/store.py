"""What nodes share, as its users see it, by noun; and what it may fail with.

    StoreError                 it has not carried out a request
    ├── RefusedError           it has answered that it won't
    │   └── StrangeKeyError    because somebody else has written there
    └── LostError              the connection has ended

Who uses a store catches `Failed`, and need not know which store it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from walkie_signal.core.changes import Member, Reason
from walkie_signal.core.replicas import Entry, Roster, Version
from walkie_signal.core.values import Outcome, Value

MEMORY_LOST = "it has lost its memory"
"""Why an uplink is given up when the store has."""


class StoreError(Exception):
    """The store has not carried out a request; the text says why if that is known."""


class RefusedError(StoreError):
    """The store has refused a request."""


class StrangeKeyError(RefusedError):
    """Where the store keeps something there is a value that no node writes."""


class LostError(ConnectionError, StoreError):
    """The connection ended before the store answered; the text says why if that is known."""


Failed = (StoreError, asyncio.TimeoutError)
"""The exceptions of a request that the store did not carry out, or has not answered in time."""


class Place(NamedTuple):
    """What is entered about a connection: that it is there, or that it speaks for a user.

    Attributes:
        peer_id: The connection's id.
        user_id: The user, or ``None``.
    """

    peer_id: str
    user_id: str | None


class Renewal(NamedTuple):
    """What the store answers to a beat.

    Attributes:
        generation: The generation of its data.
        now: Its time, in microseconds.
        alive: Whether this node is still one; if not, others remove it, or have done so.
        silent: The other nodes that have not renewed their lease lately, each with the time when it did, as the
            store writes it.
        renewed: When this node renewed its lease before; 0 if it never has.
        dead: The nodes of which the store itself knows that they have ended; their lease need not have run out.
    """

    generation: str
    now: float
    alive: bool
    silent: dict[str, str]
    renewed: float
    dead: frozenset[str] = frozenset()


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

    async def join(self, member: Member, capacity: int, *, reads: bool) -> Roster | None:
        """Make a peer a member, or announce it again; returns the room as it is then, if `reads`.

        Raises:
            SignalingError: ``room_full`` if the room has `capacity` members and the peer is not one of them.
        """

    async def leave(self, room: str, peer_id: str, node: str, reason: Reason) -> bool:
        """Take a member out; returns whether it was one, and of that node."""

    async def settle(
        self,
        room: str,
        node: str,
        members: Mapping[str, Entry | None],
        values: Sequence[Value],
        *,
        writes_back: bool,
    ) -> Roster:
        """Make a node's members of a room exactly `members`; returns the room as it is then.

        Args:
            room: Its name.
            node: This node, or one that is dead and can't write its members back any more.
            members: By peer, what the room is to say of it; ``None`` leaves that as it is, if it lists the peer.
            values: Values beside the room to write back where the store has none, or an older one.
            writes_back: Whether to record there that the node has settled since the store lost its memory.
        """

    async def remove(self, room: str, node: str) -> list[Member]:
        """Take all members of a dead node out of a room; returns those that were still there."""

    async def touch(self, room: str) -> Version:
        """Keep a room from being dropped as a leftover; returns its version."""

    async def roster(self, room: str) -> Roster:
        """Return a room."""

    async def names(self) -> list[str]:
        """Return the names of the rooms that have members."""


class NodeStore(Protocol):
    """The nodes that share the store, of which this is one. What is awaited raises one of `Failed`."""

    async def check_rights(self) -> None:
        """Try what a node needs.

        Raises:
            SignalingError: The store refuses some of it; the message says what.
        """

    async def beat(self) -> Renewal:
        """Renew this node's lease, and enter the node if the store does not know it yet.

        Raises:
            SignalingError: The store holds the rooms of a release that this one can't read.
        """

    async def claim(self, node: str, renewed: str) -> bool:
        """Claim the removal of a node that has been silent since `renewed`; returns whether this node may do it."""

    async def forget(self, node: str) -> None:
        """Remove a node that has no members any more, and its list of rooms."""

    async def rooms_of(self, node: str) -> list[str]:
        """Return the rooms that a node has listed."""

    # This node's list of the rooms that it has members in; nothing is awaited, and nothing raised

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


class ValueStore(Protocol):
    """The values beside all rooms. What is awaited raises one of `Failed`."""

    async def read(self, room: str, key: str) -> Value:
        """Return a value; `ABSENT` if there is none."""

    async def swap(
        self, room: str, key: str, version: int, text: str, *, member: str | None, keep: int
    ) -> Outcome:
        """Give a value another text if it still has that version.

        Args:
            room: The room.
            key: What the value is called.
            version: The version that the value must have.
            text: The new text.
            member: The peer that has to be a member, or ``None``.
            keep: For how many milliseconds the value stays without a room.
        """


class ChannelStore(Protocol):
    """The channels of the nodes: what is published on one reaches the node that it belongs to, or nobody."""

    def own(self) -> bytes:
        """Return the channel of this node."""

    async def listen(self) -> None:
        """Begin to hear this node's own channel, and wait until it is heard; raises one of `Failed`."""

    async def publish(self, node: str, message: bytes) -> bool:
        """Send a node a message; returns whether it was reached. Raises one of `Failed`."""

    def route(self, node: str) -> Any:
        """Return what `send` needs to know of a node; it is the store's own."""

    def send(self, route: Any, message: str, answer: Callable[[Any], None]) -> None:
        """Send a node a message; `answer` gets the number of nodes that were reached, or an exception."""


class PlaceStore(Protocol):
    """Where peers and users are: each connection, and the node that it is on."""

    def enter(self, place: Place) -> None:
        """Enter that a connection is on this node; nothing is raised."""

    def remove(self, place: Place, removed: Callable[[bool], None] = ...) -> None:
        """Take an entry out; nothing is raised. `removed` is called with whether there is none any more."""

    async def caught_up(self) -> None:
        """Wait until the store has carried out what it was asked for before; raises one of `Failed`."""

    async def nodes_of_peer(self, peer_id: str) -> dict[str, str]:
        """Return the node of a connection, by its peer id; empty if there is no such connection."""

    async def nodes_of_user(self, user_id: str) -> dict[str, str]:
        """Return the node of each connection of a user, by peer id."""


class Store(Protocol):
    """A store as one node sees it, by noun.

    Requests are carried out in the order of the calls, because each method sends its own before it waits for
    anything.
    """

    @property
    def rooms(self) -> RoomStore:
        """The rooms of all nodes."""

    @property
    def nodes(self) -> NodeStore:
        """The nodes."""

    @property
    def channels(self) -> ChannelStore:
        """What the nodes send one another."""

    @property
    def places(self) -> PlaceStore:
        """Where peers and users are."""

    @property
    def values(self) -> ValueStore:
        """What stands beside rooms."""
