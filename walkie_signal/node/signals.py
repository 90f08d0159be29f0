"""The way of a signal, from its sender to its target on this node or another one.

    `send` ──┬── the target is here ──────────────▶ it hears the signal
             └── `Backend.relay` ··· `arrive` ────▶ it hears the signal

Each signal goes by `send`, whether it came the quick way, in its turn or before its sender's first join; for that
join it waits here. What arrives from another node goes by `arrive`.
"""

from __future__ import annotations

import asyncio
from functools import partial

from walkie_signal.backends.base import Backend
from walkie_signal.core.early import EarlySignal, EarlySignals
from walkie_signal.core.messages import SignalTo
from walkie_signal.core.registry import Registry
from walkie_signal.errors import SignalingError
from walkie_signal.node.answers import Answers
from walkie_signal.node.peers import Peer, Peers
from walkie_signal.wire.events import Event
from walkie_signal.wire.relays import signal_text


class Signals:
    """Carries out the signals of one node's peers."""

    def __init__(self, *, backend: Backend, registry: Registry, peers: Peers, answers: Answers) -> None:
        self._backend = backend
        self._registry = registry
        self._answers = answers
        self._peer = peers.get
        self._early: dict[str, EarlySignals] = {}
        self._expiries: dict[str, asyncio.TimerHandle] = {}

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
            self._fail(peer, ack_id, away)

    def arrive(self, room: str, target_id: str, text: str) -> None:
        """Let a target hear a signal of another node, if it is still in the room that it shared with the sender."""
        target = self._peer(target_id)
        if target is not None and self._registry.is_in(target_id, room):
            target.hear(text)

    def carry_out(self, peer: Peer, event: Event, message: SignalTo) -> None:
        """Relay a signal, or let it wait for its sender's first join.

        Raises:
            SignalingError: ``not_in_room``, ``peer_not_found``.
        """
        text = signal_text(peer.head, message.value)
        if self._registry.rooms_of(peer.peer_id):
            self._send_known(peer, message.target_id, text, event.ack_id)
        elif peer.has_joined or peer.gone or not self._keep(peer, message.target_id, text, event.ack_id):
            raise SignalingError("not_in_room", "join a room first")

    def _send_known(self, peer: Peer, target_id: str, text: str, ack_id: int | None) -> None:
        if not self.send(peer, target_id, text, ack_id):
            raise SignalingError("peer_not_found", "no peer with this targetId shares a room with you")

    def _fail(self, peer: Peer, ack_id: int | None, error: Exception) -> None:
        self._answers.fail(peer, Event("signal", (), ack_id, 0, None), error)

    # Before the first join

    def join_begins(self, peer: Peer) -> None:
        """Let the waiting signals wait for as long as this join takes."""
        early = self._early.get(peer.peer_id)
        if early is not None:
            early.stop(asyncio.get_running_loop().time())
            self._await_expiry(peer, early)

    def join_ends(self, peer: Peer) -> None:
        """Carry out the waiting signals if the join succeeded; otherwise they go on waiting."""
        early = self._early.get(peer.peer_id)
        if early is None or peer.gone:
            return
        if not peer.has_joined:
            early.go_on(asyncio.get_running_loop().time())
            self._await_expiry(peer, early)
            return
        self.forget(peer)
        for signal in early.take_all():
            try:
                self._send_known(peer, signal.target_id, signal.text, signal.ack_id)
            except Exception as error:  # noqa: BLE001, PERF203 - every fault becomes an answer
                self._fail(peer, signal.ack_id, error)

    def forget(self, peer: Peer) -> None:
        """Keep nothing of a peer."""
        self._early.pop(peer.peer_id, None)
        expiry = self._expiries.pop(peer.peer_id, None)
        if expiry is not None:
            expiry.cancel()

    def _keep(self, peer: Peer, target_id: str, text: str, ack_id: int | None) -> bool:
        early = self._early.setdefault(peer.peer_id, EarlySignals())
        kept = early.add(EarlySignal(target_id, text, ack_id), asyncio.get_running_loop().time())
        if not early:
            self.forget(peer)
        elif peer.peer_id not in self._expiries:
            self._await_expiry(peer, early)
        return kept

    def _await_expiry(self, peer: Peer, early: EarlySignals) -> None:
        """Set a timer for the time when the first signal has waited too long, unless the clock is stopped."""
        expiry = self._expiries.pop(peer.peer_id, None)
        if expiry is not None:
            expiry.cancel()
        loop = asyncio.get_running_loop()
        wait = early.wait(loop.time())
        if wait is not None:
            self._expiries[peer.peer_id] = loop.call_later(wait, self._expire, peer, early)

    def _expire(self, peer: Peer, early: EarlySignals) -> None:
        del self._expiries[peer.peer_id]
        for signal in early.expire(asyncio.get_running_loop().time()):
            self._fail(peer, signal.ack_id, SignalingError("not_in_room", "join a room first"))
        if early:
            self._await_expiry(peer, early)
        else:
            self.forget(peer)
