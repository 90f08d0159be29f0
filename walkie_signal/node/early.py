"""Signals in their turn: they are sent, or wait for their sender's first join. The bounds are in `core.early`."""

from __future__ import annotations

import asyncio

from walkie_signal.core.early import EarlySignal, EarlySignals
from walkie_signal.core.messages import SignalTo
from walkie_signal.core.registry import Registry
from walkie_signal.errors import SignalingError
from walkie_signal.node.peers import Peer
from walkie_signal.node.signals import Signals
from walkie_signal.wire.events import Event
from walkie_signal.wire.relays import signal_text


class Early:
    """Keeps the signals of one node's peers that have not joined a room yet."""

    def __init__(self, registry: Registry, signals: Signals) -> None:
        self._registry = registry
        self._signals = signals
        self._waiting: dict[str, EarlySignals] = {}
        self._expiries: dict[str, asyncio.TimerHandle] = {}

    def carry_out(self, peer: Peer, event: Event, message: SignalTo) -> None:
        """Send a signal, or let it wait for its sender's first join.

        Raises:
            SignalingError: ``not_in_room``, ``peer_not_found``.
        """
        text = signal_text(peer.head, message.value)
        if self._registry.rooms_of(peer.peer_id):
            self._send(peer, message.target_id, text, event.ack_id)
        elif peer.has_joined or peer.gone or not self._keep(peer, message.target_id, text, event.ack_id):
            raise SignalingError("not_in_room", "join a room first")

    def _send(self, peer: Peer, target_id: str, text: str, ack_id: int | None) -> None:
        if not self._signals.send(peer, target_id, text, ack_id):
            raise SignalingError("peer_not_found", "no peer with this targetId shares a room with you")

    def join_begins(self, peer: Peer) -> None:
        """Let the waiting signals wait for as long as this join takes."""
        early = self._waiting.get(peer.peer_id)
        if early is not None:
            early.stop(asyncio.get_running_loop().time())
            self._await_expiry(peer, early)

    def join_ends(self, peer: Peer) -> None:
        """Carry out the waiting signals if the join succeeded; otherwise they go on waiting."""
        early = self._waiting.get(peer.peer_id)
        if early is None or peer.gone:
            return
        if not peer.has_joined:
            early.go_on(asyncio.get_running_loop().time())
            self._await_expiry(peer, early)
            return
        self.forget(peer)
        for signal in early.take_all():
            try:
                self._send(peer, signal.target_id, signal.text, signal.ack_id)
            except Exception as error:  # noqa: BLE001, PERF203 - every fault becomes an answer
                self._signals.fail(peer, signal.ack_id, error)

    def forget(self, peer: Peer) -> None:
        """Keep nothing of a peer."""
        self._waiting.pop(peer.peer_id, None)
        expiry = self._expiries.pop(peer.peer_id, None)
        if expiry is not None:
            expiry.cancel()

    def _keep(self, peer: Peer, target_id: str, text: str, ack_id: int | None) -> bool:
        early = self._waiting.setdefault(peer.peer_id, EarlySignals())
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
            self._signals.fail(peer, signal.ack_id, SignalingError("not_in_room", "join a room first"))
        if early:
            self._await_expiry(peer, early)
        else:
            self.forget(peer)
