"""Signals in their turn: they are sent, or wait for their sender's first join. The bounds are in `core.early`."""

from __future__ import annotations

from walkie_signal.clock import Clock
from walkie_signal.core.early import EarlySignal, EarlySignals
from walkie_signal.core.peer_events import SignalTo
from walkie_signal.core.registry import Registry
from walkie_signal.errors import SignalingError
from walkie_signal.node.peers import Peer, Peers
from walkie_signal.node.signals import Signals
from walkie_signal.wire.event_packets import Event
from walkie_signal.wire.relays import signal_text


class Early:
    """Keeps the signals of one node's peers that have not joined a room yet."""

    def __init__(self, registry: Registry, peers: Peers, signals: Signals, clock: Clock) -> None:
        self._registry = registry
        self._peer = peers.get
        self._signals = signals
        self._clock = clock
        self._waiting: dict[str, EarlySignals] = {}

    @property
    def peers(self) -> int:
        """How many peers have signals that wait."""
        return len(self._waiting)

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
            early.stop(self._clock.now)
            self._await_expiry(peer, early)

    def join_ends(self, peer: Peer) -> None:
        """Carry out the waiting signals if the join succeeded; otherwise they go on waiting."""
        early = self._waiting.get(peer.peer_id)
        if early is None or peer.gone:
            return
        if not peer.has_joined:
            early.go_on(self._clock.now)
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
        if self._waiting.pop(peer.peer_id, None) is not None:
            self._clock.drop(("early", peer.peer_id))

    def _keep(self, peer: Peer, target_id: str, text: str, ack_id: int | None) -> bool:
        early = self._waiting.setdefault(peer.peer_id, EarlySignals())
        kept = early.add(EarlySignal(target_id, text, ack_id), self._clock.now)
        if not early:
            self.forget(peer)
        else:
            self._await_expiry(peer, early)
        return kept

    def _await_expiry(self, peer: Peer, early: EarlySignals) -> None:
        """Let the first signal expire when it has waited too long, unless a join is under way."""
        now, key = self._clock.now, ("early", peer.peer_id)
        wait = early.wait(now)
        if wait is None:
            self._clock.drop(key)
        else:
            self._clock.at(now + wait, key, self._expire)

    def _expire(self, key: tuple[str, str], now: float) -> None:
        peer, early = self._peer(key[1]), self._waiting.get(key[1])
        if peer is None or early is None:
            return
        for signal in early.expire(now):
            self._signals.fail(peer, signal.ack_id, SignalingError("not_in_room", "join a room first"))
        if early:
            self._await_expiry(peer, early)
        else:
            self.forget(peer)
