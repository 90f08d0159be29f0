"""The way of a signal, from its sender to its target on this node or another one.

    `send` ──┬── the target is here ──────────────▶ it hears the signal
             └── `Backend.relay` ··· `arrive` ────▶ it hears the signal

Each signal goes by `send`, whether it came the quick way, in its turn, or before its sender's first join. What
arrives from another node goes by `arrive`.
"""

from __future__ import annotations

from functools import partial

from walkie_signal.backends.base import Backend
from walkie_signal.core.registry import Registry
from walkie_signal.errors import SignalingError
from walkie_signal.node.answers import Answers
from walkie_signal.node.peers import Peer, Peers
from walkie_signal.wire.event_packets import Event


class Signals:
    """Carries out the signals of one node's peers."""

    def __init__(self, *, backend: Backend, registry: Registry, peers: Peers, answers: Answers) -> None:
        self._backend = backend
        self._registry = registry
        self._answers = answers
        self._peer = peers.get

    def send(self, peer: Peer, target_id: str, text: str, ack_id: int | None) -> bool:
        """Send a signal's frame; returns false if no peer with that id shares a room with the sender.

        The sender is answered as soon as it is known whether the target's node was reached.
        """
        target = self._peer(target_id)
        if target is None:
            return self._relay(peer, target_id, text, ack_id)
        if not self._registry.share_room(peer.peer_id, target_id):
            return False
        target.hear(text)
        if ack_id is not None:
            peer.confirm(ack_id)
        return True

    def _relay(self, peer: Peer, target_id: str, text: str, ack_id: int | None) -> bool:
        target = self._registry.fellow(peer.peer_id, target_id)
        if target is None or target.node == self._backend.node_id:
            return False
        self._backend.relay(target, peer.peer_id, text, partial(self._relayed, peer, ack_id))
        return True

    def _relayed(self, peer: Peer, ack_id: int | None, reached: bool) -> None:  # noqa: FBT001 - as `relay` has it
        if reached:
            peer.confirm(ack_id)
        else:
            away = SignalingError("unavailable", "the other peer can't be reached now", retryAfterMs=1000)
            self.fail(peer, ack_id, away)

    def arrive(self, room: str, target_id: str, text: str) -> None:
        """Let a target hear a signal of another node, if it is still in the room that it shared with the sender."""
        target = self._peer(target_id)
        if target is not None and self._registry.is_in(target_id, room):
            target.hear(text)

    def fail(self, peer: Peer, ack_id: int | None, error: Exception) -> None:
        """Answer a signal that could not be sent, after its turn."""
        self._answers.fail(peer, Event("signal", (), ack_id, 0, None), error)
