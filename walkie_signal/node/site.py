"""What the backend has this node do: make the changes that are ordered, and what other nodes ask for."""

from __future__ import annotations

from collections.abc import Callable

from walkie_signal.backends.base import Backend
from walkie_signal.core import payloads
from walkie_signal.core.deliveries import deliveries_of
from walkie_signal.core.packets import Event
from walkie_signal.core.registry import Registry
from walkie_signal.core.rooms import Change, Joined, Member, Reason
from walkie_signal.node.answers import Answers
from walkie_signal.node.fanout import Fanout
from walkie_signal.node.hooks import Hooks
from walkie_signal.node.peers import Peer, Peers


class NodeSite:
    """A node, as its backend calls it.

    Args:
        backend: Which tells the node's present incarnation.
        registry: The rooms, which nothing else changes.
        peers: Those of this node.
        answers: Of the joins under way.
        fanout: What tells the peers.
        hooks: What tells the host.
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
        answers: Answers,
        fanout: Fanout,
        hooks: Hooks,
        end: Callable[[Peer, Reason], None],
    ) -> None:
        self.joining: dict[tuple[str, str], Event] = {}
        self._backend = backend
        self._registry = registry
        self._peers = peers
        self._answers = answers
        self._fanout = fanout
        self._hooks = hooks
        self._end = end

    def apply(self, change: Change) -> None:
        """Take a change that the backend has ordered: the joiner's ack first, then what follows for all."""
        peer_id = change.member.peer_id if isinstance(change, Joined) else change.peer_id
        before = self._registry.member(change.room, peer_id)
        room = self._registry.apply(change)
        if isinstance(change, Joined):
            event, peer = self.joining.pop((peer_id, room.name), None), self._peers.get(peer_id)
            if event is not None and peer is not None:
                self._answers.ack(
                    peer, event.ack_id, payloads.joined(room.name, peer_id, room.others(peer_id))
                )
        self._fanout.deliver(deliveries_of(change, room))
        self._fanout.roster_changed(room.name)
        self._tell_host(change, before)

    def _tell_host(self, change: Change, before: Member | None) -> None:
        here = self._backend.node_id
        if isinstance(change, Joined):
            if before is None and change.member.node == here:
                self._hooks.joined(change.member)
        elif before is not None and before.node == here:
            self._hooks.left(before, change.reason)

    def forget(self, room: str) -> None:
        """Drop a room without members here."""
        self._registry.forget(room)
        self._fanout.roster_changed(room)

    def hand_over(self, peer_id: str, text: str) -> None:
        """Send a peer a frame."""
        peer = self._peers.get(peer_id)
        if peer is not None:
            peer.link.send(text)

    def tell(self, user_id: str, text: str) -> None:
        """Send each connection of a user a frame."""
        for peer in self._peers.of_user(user_id):
            peer.link.send(text)

    def kick(self, peer_id: str) -> None:
        """Close a peer's connection for good."""
        peer = self._peers.get(peer_id)
        if peer is not None:
            self._end(peer, "kicked")

    def lost(self, member: Member) -> None:
        """Tell the host of a member that this node has removed for a dead one."""
        self._hooks.left(member, "node_lost")

    def fenced(self) -> None:
        """Send every peer away, to come back as new ones."""
        for peer in self._peers:
            self._fanout.farewell(peer)
            self._end(peer, "node_lost")
