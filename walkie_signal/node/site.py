"""What this node does for its backend: it makes the ordered changes, and does what other nodes ask for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from typing_extensions import assert_never

from walkie_signal.backends.base import Backend
from walkie_signal.core import payloads
from walkie_signal.core.changes import EFFECTS, Change, Joined, Left, Member, Reason
from walkie_signal.core.deliveries import deliveries_of, introductions_to
from walkie_signal.core.facts import Facts, MemberJoined, MemberLeft
from walkie_signal.core.registry import Registry
from walkie_signal.core.rooms import Room
from walkie_signal.node.announcements import Announcements
from walkie_signal.node.fanout import Fanout
from walkie_signal.node.peers import Peer, Peers
from walkie_signal.wire.events import Event


@dataclass(frozen=True, slots=True)
class Joining:
    """A join that is under way.

    Attributes:
        peer: The peer that joins.
        event: The event to answer.
        leaving: The rooms that the join takes the peer out of, in the same step.
    """

    peer: Peer
    event: Event
    leaving: tuple[str, ...]


class NodeSite:
    """A node, as its backend calls it.

    Args:
        backend: The backend, which knows the node's present incarnation.
        registry: The rooms; nothing else changes them.
        peers: The peers of this node.
        announcements: The paces of peers that join their room again.
        fanout: Tells the peers.
        facts: Where the joins and leaves of this node's own peers are told.
        end: Closes a peer's connection for good, with the reason for its rooms.

    Attributes:
        joining: The joins under way, by peer and room: each is answered when it is applied.
    """

    def __init__(
        self,
        *,
        backend: Backend,
        registry: Registry,
        peers: Peers,
        announcements: Announcements,
        fanout: Fanout,
        facts: Facts,
        end: Callable[[Peer, Reason], None],
    ) -> None:
        self.joining: dict[tuple[str, str], Joining] = {}
        self._backend = backend
        self._registry = registry
        self._peers = peers
        self._announcements = announcements
        self._fanout = fanout
        self._facts = facts
        self._end = end

    def apply(self, change: Change) -> None:
        """Make a change that the backend has ordered: the joiner gets its ack first, then all are told."""
        peer_id, listed = change.peer_id, EFFECTS[type(change)].listed
        before = self._registry.member(change.room, peer_id)
        room = self._registry.apply(change)
        joining = self.joining.pop((peer_id, room.name), None) if listed else None
        if joining is not None and not joining.peer.gone:
            self._registry.step_in(peer_id, room.name)
            for left in joining.leaving:
                self._registry.step_out(peer_id, left)
            self._acknowledge(joining, room)
        self._fanout.deliver(room.name, deliveries_of(change, room))
        if joining is not None:
            self._introduce(joining.peer, room)
        if not listed:
            self._announcements.forget(peer_id, room.name)
        if room.get(peer_id) != before:
            self._fanout.roster_changed(room.name)
        elif joining is not None:
            self._fanout.tell_roster(room.name, joining.peer)
        self._tell_facts(change, before)

    def join_again(self, joining: Joining, room_name: str) -> None:
        """Answer a member that joins its room again while the others are not to hear of it yet."""
        room = self._registry.room(room_name)
        self._acknowledge(joining, room)
        self._introduce(joining.peer, room)
        self._fanout.tell_roster(room_name, joining.peer)

    def _acknowledge(self, joining: Joining, room: Room) -> None:
        peer_id = joining.peer.peer_id
        joining.peer.ack(joining.event.ack_id, payloads.joined(room.name, peer_id, room.others(peer_id)))

    def _introduce(self, peer: Peer, room: Room) -> None:
        joiner = room.get(peer.peer_id)
        if joiner is not None:
            self._fanout.introduce(peer, introductions_to(joiner, room))

    def _tell_facts(self, change: Change, before: Member | None) -> None:
        here = self._backend.node_id
        if isinstance(change, Joined):
            if before is None and change.member.node == here:
                self._facts.tell(MemberJoined, change.member)
        elif isinstance(change, Left):
            if before is not None and before.node == here:
                self._facts.tell(MemberLeft, before, change.reason)
        else:
            assert_never(change)

    def forget(self, room: str) -> None:
        """Drop a room that has no members here."""
        self._registry.forget(room)
        self._fanout.roster_changed(room)

    def hand_over(self, room: str, peer_id: str, text: str) -> None:
        """Send a peer a signal's frame if it is still in the room that it shared with the sender."""
        peer = self._peers.get(peer_id)
        if peer is not None and self._registry.is_in(peer_id, room):
            peer.hear(text)

    def tell(self, user_id: str, text: str) -> None:
        """Send each connection of a user a frame."""
        for peer in self._peers.of_user(user_id):
            peer.hear(text)

    def kick(self, peer_id: str) -> None:
        """Close a peer's connection for good."""
        peer = self._peers.get(peer_id)
        if peer is not None:
            self._end(peer, "kicked")

    def lost(self, member: Member) -> None:
        """Tell of a dead node's member that this node has removed."""
        self._facts.tell(MemberLeft, member, "node_lost")

    def fenced(self) -> None:
        """Send every peer away, so that they come back as new peers."""
        for peer in self._peers:
            self._fanout.farewell(peer)
            self._end(peer, "node_lost")
