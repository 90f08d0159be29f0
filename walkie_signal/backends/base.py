"""The port that each backend fills, and what it asks of the node it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from walkie_signal.core.identity import UserId
from walkie_signal.core.rooms import Change, Member, Reason

Done = Callable[[bool], None]
"""Told once, at once or later, whether another node has been reached."""


class Site(Protocol):
    """A node, as its backend calls it. None of it waits, and none of it raises."""

    def apply(self, change: Change) -> None:
        """Make a change that has been ordered, and tell whoever is here of it."""

    def forget(self, room: str) -> None:
        """Drop what is known of a room without members here; its changes are not followed any more."""

    def hand_over(self, peer_id: str, from_id: str, text: str) -> None:
        """Send a peer of this node the text of a signal that comes from a peer of another node."""

    def tell(self, user_id: str, text: str) -> None:
        """Send the text of a frame to each connection here that speaks for a user."""

    def kick(self, peer_id: str) -> None:
        """Close a peer's connection for good."""

    def lost(self, member: Member) -> None:
        """Take note that this node has removed a member of a node that is dead."""

    def fenced(self) -> None:
        """Close every connection: this node was silent for so long that others have taken its peers out."""


class Backend(Protocol):
    """The order of changes, and the truth about rosters, for one namespace of the whole service."""

    @property
    def name(self) -> str:
        """How the command and the log name it."""

    @property
    def shared(self) -> bool:
        """Whether several nodes see the same rooms through it."""

    @property
    def node_id(self) -> str:
        """This node, in its present incarnation; drawn by `start`, in the process that serves."""

    @property
    def ready(self) -> bool:
        """Whether changes can be ordered now."""

    async def start(self, site: Site) -> None:
        """Begin to order changes; each that concerns this node goes to `site`, in order and once."""

    async def close(self) -> None:
        """End what `start` began, and leave nothing of this node behind. Nothing is applied afterwards."""

    # Rooms

    async def join(self, member: Member, capacity: int) -> None:
        """Make a peer of this node a member, or announce it again; applied here when this returns.

        Raises:
            SignalingError: ``room_full`` where the room has `capacity` members and the peer is none of them;
                ``unavailable`` where the change can't be ordered now. Nothing has changed then.
        """

    async def leave(self, room: str, peer_id: str, reason: Reason) -> None:
        """Take a member of this node out; applied here when this returns. Does nothing where it is no member."""

    async def rooms(self) -> Sequence[str]:
        """Return the names of the rooms that have members, on any node.

        Raises:
            SignalingError: ``unavailable``.
        """

    async def roster(self, room: str) -> Sequence[Member]:
        """Return the members of a room, on any node, in the order of their joining.

        Raises:
            SignalingError: ``unavailable``.
        """

    # Other nodes

    def relay(self, target: Member, from_id: str, text: str, done: Done) -> None:
        """Hand the text of a frame over to another node, for a peer of its.

        Args:
            target: The peer, as a room knows it that the sender is in too.
            from_id: The sender, a peer of this node.
            text: The frame.
            done: Told whether the node has been reached.
        """

    def present(self, peer_id: str, user_id: UserId | None) -> None:
        """Take note that a connection is here, and for whom it speaks; ``None`` for nobody known."""

    def absent(self, peer_id: str, user_id: UserId | None) -> None:
        """Take note that a connection is not here any more, or does not speak for that user any more."""

    async def tell(self, user_id: UserId, text: str) -> int:
        """Send the text of a frame to a user's connections on other nodes; returns how many there are.

        Raises:
            SignalingError: ``unavailable``.
        """

    async def kick(self, peer_id: str) -> bool:
        """Kick a peer of another node; returns whether there is one.

        Raises:
            SignalingError: ``unavailable``.
        """
