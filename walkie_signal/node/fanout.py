"""Sends deliveries to the peers of this node; other nodes send to theirs."""

from __future__ import annotations

from collections.abc import Iterable

from walkie_signal.core.deliveries import Delivery
from walkie_signal.core.registry import Registry
from walkie_signal.node.peers import Peer, Peers


class Fanout:
    """Knows which peers of this node hear what is told in a room."""

    def __init__(self, registry: Registry, peers: Peers) -> None:
        self._registry = registry
        self._peers = peers

    def deliver(self, room: str, deliveries: Iterable[Delivery]) -> None:
        """Send each delivery about a room, in order."""
        for delivery in deliveries:
            peers = self._hearers(room, delivery.recipients)
            if peers:
                self._peers.tell(peers, delivery.event, delivery.payload)

    def deliver_latest(self, room: str, delivery: Delivery) -> int:
        """Send what outdates the last such delivery about a room; returns how many bytes it has for all of them."""
        peers = self._hearers(room, delivery.recipients)
        if not peers:
            return 0
        text = self._peers.tell_latest(room, peers, delivery.event, delivery.payload)
        return len(peers) * (len(text) if text.isascii() else len(text.encode()))

    def _hearers(self, room: str, peer_ids: Iterable[str]) -> list[Peer]:
        """Return the given members that are on this node and are not stepping out of the room."""
        hearing = self._registry.hearing(room, peer_ids)
        return [peer for peer_id in hearing if (peer := self._peers.get(peer_id)) is not None]
