"""What this node does for its backend: it makes the ordered changes, and does what other nodes ask for."""

from __future__ import annotations

from typing_extensions import assert_never

from walkie_signal.backends.base import Backend
from walkie_signal.core.changes import EFFECTS, Change, Joined, Left, Member
from walkie_signal.core.deliveries import deliveries_of
from walkie_signal.core.facts import Facts, MemberJoined, MemberLeft
from walkie_signal.core.own_rooms import REVOCATIONS_ROOM
from walkie_signal.core.registry import Registry
from walkie_signal.node.fanout import Fanout
from walkie_signal.node.joining import Joins
from walkie_signal.node.parting import Partings
from walkie_signal.node.peers import Peers
from walkie_signal.node.revoking import Revocations
from walkie_signal.node.rosters import Statuses
from walkie_signal.node.signals import Signals
from walkie_signal.node.single import Singles


class NodeSite:
    """A node, as its backend calls it.

    Args:
        backend: The backend, which knows the node's present incarnation.
        registry: The rooms; nothing else changes them.
        peers: The peers of this node.
        joins: Answers the joins under way.
        signals: Takes what arrives from other nodes.
        fanout: Tells the members.
        statuses: Tells them the roster.
        facts: Where the joins and leaves of this node's own peers are told.
        partings: Parts from peers that have to go.
        singles: Knows which connections of a user count.
        revocations: Knows who was revoked.
    """

    def __init__(
        self,
        *,
        backend: Backend,
        registry: Registry,
        peers: Peers,
        joins: Joins,
        signals: Signals,
        fanout: Fanout,
        statuses: Statuses,
        facts: Facts,
        partings: Partings,
        singles: Singles,
        revocations: Revocations,
    ) -> None:
        self._backend = backend
        self._registry = registry
        self._peers = peers
        self._joins = joins
        self._signals = signals
        self._fanout = fanout
        self._statuses = statuses
        self._facts = facts
        self._partings = partings
        self._singles = singles
        self._revocations = revocations

    def apply(self, change: Change) -> None:
        """Make a change that the backend has ordered: first the joiner gets its ack, then all others are told.

        The joiner hears of them last: that takes as long as all the others, who should not wait for it.
        """
        peer_id, listed = change.peer_id, EFFECTS[type(change)].listed
        before = self._registry.member(change.room, peer_id)
        room = self._registry.apply(change)
        joiner = self._joins.applied(peer_id, room) if listed else None
        self._fanout.deliver(room.name, deliveries_of(change, room))
        if joiner is not None:
            self._joins.introduce(joiner, room)
        if not listed:
            self._joins.forget(peer_id, room.name)
        if room.get(peer_id) != before:
            self._statuses.changed(room.name)
        elif joiner is not None:
            self._statuses.tell(room.name, joiner)
        self._tell_facts(change, before)

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

    def look(self, room: str) -> None:
        """Part from peers that may not stay any more, by what a room of the service's own says now."""
        if room == REVOCATIONS_ROOM:
            self._revocations.look()
        for peer in self._singles.losers(room):
            self._partings.end(peer, "replaced")

    def forget(self, room: str) -> None:
        """Drop a room that has no members here."""
        self._registry.forget(room)
        self._statuses.changed(room)

    def hand_over(self, room: str, peer_id: str, text: str) -> None:
        """Let a peer hear a signal from another node."""
        self._signals.arrive(room, peer_id, text)

    def tell(self, user_id: str, text: str) -> None:
        """Send each connection of a user a frame."""
        for peer in self._peers.of_user(user_id):
            peer.hear(text)

    def kick(self, peer_id: str) -> None:
        """Close a peer's connection for good."""
        peer = self._peers.get(peer_id)
        if peer is not None:
            self._partings.end(peer, "kicked")

    def lost(self, member: Member) -> None:
        """Tell of a dead node's member that this node has removed."""
        self._facts.tell(MemberLeft, member, "node_lost")

    def fenced(self) -> None:
        """Send every peer away, so that they come back as new peers."""
        for peer in self._peers:
            self._partings.farewell(peer)
            self._partings.end(peer, "node_lost")
