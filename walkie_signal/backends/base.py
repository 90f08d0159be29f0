"""The port that each backend implements, and what a backend asks of its node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from walkie_signal.core.changes import Change, Member, Reason
from walkie_signal.core.identity import UserId
from walkie_signal.core.ports import OtherNodes
from walkie_signal.core.replicas import Roster
from walkie_signal.core.values import Outcome, Value

Done = Callable[[bool], None]
"""Called exactly once, at once or later, with whether another node was reached."""


class Site(Protocol):
    """A node, as its backend calls it. No method waits or raises."""

    def apply(self, change: Change) -> None:
        """Make a change that has been ordered, and tell the peers here about it."""

    def look(self, room: str) -> None:
        """Look at a room that no peer can ask for: its members or values may be others now; see `Backend.known`."""

    def forget(self, room: str) -> None:
        """Drop what is known about a room without members here; its changes are not followed any more."""

    def hand_over(self, room: str, peer_id: str, text: str) -> None:
        """Send a peer of this node the text of a signal from a member of `room` on another node."""

    def tell(self, user_id: str, text: str) -> None:
        """Send the text of a frame to each connection here that speaks for a user."""

    def kick(self, peer_id: str) -> None:
        """Close a peer's connection for good."""

    def lost(self, member: Member) -> None:
        """Record that this node has removed a member of a dead node."""

    def fenced(self) -> None:
        """Close every connection: this node was silent for so long that others have removed its peers."""


class Backend(Protocol):
    """Decides the order of changes, and knows the rosters, for one namespace of the whole service."""

    @property
    def name(self) -> str:
        """The name of the backend in the command's output and in the log."""

    @property
    def shared(self) -> bool:
        """Whether several nodes see the same rooms through it."""

    @property
    def node_id(self) -> str:
        """The id of this node in its present incarnation; `start` draws it, in the process that serves."""

    @property
    def ready(self) -> bool:
        """Whether changes can be ordered now."""

    @property
    def others(self) -> OtherNodes:
        """The other nodes, as the host's server sees them."""

    async def start(self, site: Site) -> None:
        """Begin to order changes; `site` gets each change that concerns this node, in order and once."""

    async def close(self) -> None:
        """End what `start` began, and leave nothing of this node behind. Nothing is applied afterwards."""

    # Rooms

    async def join(self, member: Member, capacity: int) -> None:
        """Make a peer of this node a member, or announce it again; this is applied here before it returns.

        Raises:
            SignalingError: ``room_full`` if the room has `capacity` members and the peer is not one of them;
                ``unavailable`` if the change can't be ordered now. In both cases nothing has changed.
        """

    async def leave(self, room: str, peer_id: str, reason: Reason) -> None:
        """Take a member of this node out; the change is applied here before this returns.

        If the peer is not a member, nothing happens.
        """

    async def rooms(self) -> Sequence[str]:
        """Return the names of the rooms that have members, on any node.

        Raises:
            SignalingError: ``unavailable``.
        """

    async def roster(self, room: str) -> Sequence[Member]:
        """Return the members of a room, on any node, in the order in which they joined.

        Raises:
            SignalingError: ``unavailable``.
        """

    def known(self, room: str) -> Roster:
        """Return a room as this node knows it, without asking others; it is empty if nobody here is in it."""

    # Values beside rooms

    async def read(self, room: str, key: str) -> Value:
        """Return a value beside a room; `ABSENT`, whose version is 0, if there is none.

        Raises:
            SignalingError: ``unavailable``.
        """

    async def swap(
        self, room: str, key: str, version: int, text: str, *, member: str | None = None, keep: float = 0
    ) -> Outcome:
        """Give a value beside a room another text; a value that was absent gets its first one.

        Args:
            room: The room.
            key: What the value is called, in one word.
            version: The version of the value that the caller has read.
            text: The new text, of at most `MOST_BYTES`.
            member: The peer that has to be a member; ``None`` if it doesn't matter who is there.
            keep: For how many seconds from now the value stays without members; with 0 it goes with the last one.

        Returns:
            ``swapped``; ``lost`` if the value has another version; ``gone`` if the peer is no member, or if there
            are no members and `keep` is 0. Unless it is ``swapped``, nothing has changed.

        Raises:
            ValueError: The store takes no such key or text.
            SignalingError: ``unavailable``; the swap may have been carried out.
        """

    # Other nodes

    def relay(self, target: Member, from_id: str, text: str, done: Done) -> None:
        """Pass the text of a frame on to another node, for one of its peers.

        Args:
            target: The recipient, as a room that it shares with the sender knows it.
            from_id: The sender, a peer of this node.
            text: The frame.
            done: Called with whether the node was reached.
        """

    def present(self, peer_id: str, user_id: UserId | None) -> None:
        """Record that a connection is here, and which user it speaks for; ``None`` if that is not known."""

    def absent(self, peer_id: str, user_id: UserId | None) -> None:
        """Record that a connection is not here any more, or does not speak for that user any more."""

    async def tell(self, user_id: UserId, text: str) -> int:
        """Send the text of a frame to a user's connections on other nodes; returns how many there are.

        Raises:
            SignalingError: ``unavailable``.
        """

    async def connections(self, user_id: UserId) -> int:
        """Return how many connections a user has on other nodes; those of a node that has just died may be counted.

        Raises:
            SignalingError: ``unavailable``.
        """

    async def kick(self, peer_id: str) -> bool:
        """Kick a peer of another node; returns whether there is one.

        Raises:
            SignalingError: ``unavailable``.
        """
