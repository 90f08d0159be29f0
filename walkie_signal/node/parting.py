"""How peers go for good: because their connection has ended, or because this node ends it."""

from __future__ import annotations

import logging
import random
from math import inf
from time import monotonic, time

from walkie_signal.clock import Clock
from walkie_signal.core.changes import Reason
from walkie_signal.core.registry import Registry
from walkie_signal.node.early import Early
from walkie_signal.node.leaving import Leaves
from walkie_signal.node.peers import Departure, Peer, Peers
from walkie_signal.node.single import Singles
from walkie_signal.settings.transport import TransportSettings

log = logging.getLogger("walkie_signal")

GRACE = 4.0
"""Seconds that a peer has to show a fresh token when its own has ended; it is closed within 5."""

IDENTITY, GRACE_TIME = "identity", "grace"
"""What the clock calls the two times."""

FOR_GOOD: tuple[Reason, ...] = ("kicked", "replaced")
"""The reasons for which a stock client is told to stay away: two devices would else replace each other for ever."""

DRAIN_TAKES = 10.0
"""Seconds within which all workers of a command drain."""


class Partings:
    """Parts one node from its peers."""

    def __init__(
        self,
        settings: TransportSettings,
        *,
        registry: Registry,
        peers: Peers,
        early: Early,
        leaves: Leaves,
        singles: Singles,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._peers = peers
        self._early = early
        self._leaves = leaves
        self._singles = singles
        self._clock = clock
        self._told, self._told_at = 0, -inf

    def farewell(self, peer: Peer) -> None:
        """Tell a peer that its connection is about to close, and when to come back: not all at the same time."""
        now = monotonic()
        if now - self._told_at > DRAIN_TAKES:
            self._told = 0
        self._told, self._told_at = self._told + 1, now
        seconds = random.uniform(0, self._settings.drain_spread)  # noqa: S311 - no secret
        peer.tell("server_draining", {"retryAfterMs": round(seconds * 1000)})

    def drain(self) -> None:
        """Tell every peer; those whose connection another worker carries may have been told just before."""
        for peer in list(self._peers):
            self.farewell(peer)
        told = self._told if monotonic() - self._told_at < DRAIN_TAKES else 0
        log.info("draining: peers told to come back within %g s: %d", self._settings.drain_spread, told)

    # Those whose identity ends

    def expect_end(self, peer: Peer) -> None:
        """Tell a peer when its identity has ended, and end it `GRACE` later, unless this is called again before."""
        self._forget_end(peer)
        expires_at = None if peer.identity is None else peer.identity.expires_at
        if expires_at is not None:
            left = max(0.0, expires_at - time())
            self._clock.at(self._clock.now + left, (IDENTITY, peer.peer_id), self._identity_ends)

    def _forget_end(self, peer: Peer) -> None:
        for kind in (IDENTITY, GRACE_TIME):
            self._clock.drop((kind, peer.peer_id))

    def _identity_ends(self, key: tuple[str, str], now: float) -> None:
        peer = self._peers.get(key[1])
        if peer is not None:
            peer.tell("token_expired", {"graceMs": round(GRACE * 1000)})
            self._clock.at(now + GRACE, (GRACE_TIME, peer.peer_id), self._grace_ends)

    def _grace_ends(self, key: tuple[str, str], _now: float) -> None:
        peer = self._peers.get(key[1])
        if peer is not None:
            self.end(peer, "expired")

    # All of them

    def end(self, peer: Peer, reason: Reason) -> None:
        """Close a peer's connection from this side, and take the peer out of its rooms."""
        peer.close(for_good=reason in FOR_GOOD)
        self.part(peer.peer_id, reason)

    def part(self, peer_id: str, reason: Reason) -> Peer | None:
        """Record that a peer is gone: it leaves its rooms, and has left them when it is settled.

        Returns that peer, or ``None`` the second time.
        """
        peer = self._peers.get(peer_id)
        if peer is not None:
            peer.gone = True
            self._peers.remove(peer)
            self._early.forget(peer)
            self._singles.release(peer, reason)
            self._forget_end(peer)
            peer.post(Departure(reason))
        return peer

    async def depart(self, peer: Peer, departure: Departure) -> None:
        """Take a peer that is gone out of its rooms: the last item of its queue."""
        await self._leaves.quit(peer, self._registry.listed_in(peer.peer_id), departure.reason)
