"""The life of a node, and of each connection on it.

    connection ── open ──▶ admit ──▶ events … ──▶ disconnect
                    │                                  ▲
                    └────────── disconnect ────────────┘

A connection that is refused, or that ends before it is admitted, takes the lower way.
"""

from __future__ import annotations

import asyncio
import logging
import time

from walkie_signal.backends.base import Backend
from walkie_signal.clock import Clock
from walkie_signal.core.changes import Reason
from walkie_signal.core.facts import Facts
from walkie_signal.core.identity import Identity
from walkie_signal.core.ports import Link
from walkie_signal.core.registry import Registry
from walkie_signal.errors import SignalingError
from walkie_signal.host import Host
from walkie_signal.node.announcements import Announcements
from walkie_signal.node.answers import Answers
from walkie_signal.node.census import Census
from walkie_signal.node.early import Early
from walkie_signal.node.fanout import Fanout
from walkie_signal.node.gate import Gate
from walkie_signal.node.hooks import Hooks
from walkie_signal.node.joining import Joins
from walkie_signal.node.leaving import Leaves
from walkie_signal.node.limits import Limits
from walkie_signal.node.orders import Orders
from walkie_signal.node.parting import Partings
from walkie_signal.node.peers import Peer, Peers
from walkie_signal.node.refreshing import Refreshes
from walkie_signal.node.revoking import Revocations
from walkie_signal.node.rosters import Statuses
from walkie_signal.node.siblings import part_from_siblings, warn_of_siblings
from walkie_signal.node.signals import Signals
from walkie_signal.node.single import Singles
from walkie_signal.node.site import NodeSite
from walkie_signal.node.verifying import Verifier
from walkie_signal.refusal_log import RefusalLog
from walkie_signal.settings import Settings

log = logging.getLogger("walkie_signal")

TICK = 0.01
"""Seconds by which something of a node may be late: of the shortest of its times, `status_interval`, 5 %."""


class Node:
    """One process's part of the signaling service of one namespace.

    Attributes:
        gate: Where the events of its peers enter.
        verifier: Finds out who connects.
    """

    _starting: asyncio.Task[None] | None = None
    _closed = _ran = _warned = False

    def __init__(self, namespace: str, settings: Settings, backend: Backend, host: Host) -> None:
        self.backend, self._host = backend, host
        self._clock = clock = Clock(TICK)
        self.facts = facts = Facts()
        answers = Answers(facts)
        self._limits = limits = Limits(settings)
        self.verifier = Verifier(host, limits)
        self._registry = registry = Registry()
        self._peers = peers = Peers(namespace, backend)
        self._hooks = Hooks(host, facts)
        RefusalLog(log).listen(facts)
        fanout = Fanout(registry, peers)
        leaves = Leaves(backend, registry)
        signals = Signals(backend=backend, registry=registry, peers=peers, answers=answers)
        self._early = early = Early(registry, peers, signals, clock)
        self._statuses = statuses = Statuses(settings, registry, fanout, clock)
        self._singles = singles = Singles(settings, backend)
        self._partings = partings = Partings(
            settings, registry=registry, peers=peers, early=early, leaves=leaves, singles=singles, clock=clock
        )
        self._revocations = revocations = Revocations(settings, host, backend, peers, partings)
        self._joins = Joins(
            settings,
            host=host,
            backend=backend,
            registry=registry,
            peers=peers,
            early=early,
            limits=limits,
            announcements=Announcements(settings.announce_interval, peers, clock),
            statuses=statuses,
            leaves=leaves,
        )
        self.gate = self._gate_of(namespace, settings, answers, limits, signals=signals, leaves=leaves)
        self._site = self._site_of(signals, fanout)
        self._orders = Orders(settings, backend, peers, partings, revocations)

    def _gate_of(
        self,
        namespace: str,
        settings: Settings,
        answers: Answers,
        limits: Limits,
        *,
        signals: Signals,
        leaves: Leaves,
    ) -> Gate:
        return Gate(
            namespace,
            settings,
            answers,
            limits,
            signals,
            early=self._early,
            joins=self._joins,
            leaves=leaves,
            partings=self._partings,
            refreshes=Refreshes(self.verifier, self._registry, leaves, self._partings, self._revocations),
        )

    def _site_of(self, signals: Signals, fanout: Fanout) -> NodeSite:
        return NodeSite(
            backend=self.backend,
            registry=self._registry,
            peers=self._peers,
            joins=self._joins,
            signals=signals,
            fanout=fanout,
            statuses=self._statuses,
            facts=self.facts,
            partings=self._partings,
            singles=self._singles,
            revocations=self._revocations,
        )

    @property
    def orders(self) -> Orders:
        """The object that carries out the host's questions and orders.

        If nothing has started this node, it logs a warning, once: a host whose server runs another app than the one
        with signaling would otherwise only see that no peer is there.
        """
        if not (self._ran or self._warned):
            self._warned = True
            log.warning(
                "signaling is asked, but nothing has started it: no peer can be there. Run the app that "
                "attach() returned, or the app with SignalingMiddleware; `fastapi run` only finds the latter"
            )
        return self._orders

    def census(self) -> Census:
        """Count what this node holds now."""
        rooms, peers = list(self._registry), list(self._peers)
        return Census(
            peers=len(peers),
            users=self._peers.users,
            rooms=len(rooms),
            members=sum(map(len, rooms)),
            listed=self._registry.listed,
            waiting=sum(peer.waiting for peer in peers),
            early=self._early.peers,
            joining=len(self._joins.under_way),
            hooks=self._hooks.under_way,
            rosters=self._statuses.rosters,
            announcements=self._joins.announcements,
        )

    # The life of the node

    async def start(self) -> None:
        """Start the backend; after `close`, start it again."""
        self._closed = False
        await self.ensure_started()

    async def ensure_started(self) -> None:
        """Start the backend if nobody has; if it is starting, wait for it.

        Raises:
            SignalingError: ``unavailable`` if the node is closed.
        """
        if self._closed:
            raise SignalingError("unavailable", "the service is closed", retryAfterMs=1000)
        if self._starting is None:
            self._starting = asyncio.create_task(self._start())
        try:
            await asyncio.shield(self._starting)
        except Exception:
            self._starting = None
            raise

    async def _start(self) -> None:
        self._ran = True
        await self.backend.start(self._site)
        await self._revocations.known()
        if not self.backend.shared:
            warn_of_siblings()

    @property
    def ready(self) -> bool:
        """Whether a peer that connects now can join a room."""
        return self.backend.ready and not self._closed

    def drain(self) -> None:
        """Tell each peer that this node is about to close, and refuse new connections from now on."""
        if not self._closed:
            self._closed = True
            self._partings.drain()

    def farewell(self, peer: Peer) -> None:
        """Tell a peer that its connection is about to close, unless all peers have been told already."""
        if not self._closed:
            self._partings.farewell(peer)

    async def close(self) -> None:
        """Tell each peer, take it out of its rooms and close its connection, then end what `start` began."""
        self.drain()
        if self._starting is None:
            return
        begun = time.monotonic()
        peers = list(self._peers)
        for peer in peers:
            self._partings.end(peer, "disconnected")
        for peer in peers:
            await peer.settled()
        await self._singles.settled()
        self._revocations.close()
        await self._hooks.settled()
        self._statuses.close()
        await self.backend.close()
        self._host.close()
        if not self.backend.shared:
            part_from_siblings()
        self._starting = None
        if peers:  # if there are none, the server has closed the connections and counts them, as `serve` does
            log.info("closed: peers disconnected in %.1f s: %d", time.monotonic() - begun, len(peers))

    # The life of a connection

    def open(self, peer_id: str, link: Link, address: str | None = None) -> Peer:
        """Record a peer that is not admitted yet, from an address if that is known; its events wait."""
        return self._peers.open(peer_id, link, address, self.gate.work)

    def begin_again(self, peer: Peer, former: Peer) -> None:
        """Let a peer go on with the allowances of the one before it on its connection; this counts as a join.

        Raises:
            LimitReached: There were too many.
        """
        peer.go_on_from(former)
        self._limits.begin_join(peer)

    async def accept(self, peer: Peer, identity: Identity | None) -> None:
        """See whether a peer may be admitted as its user; `admit` has to follow at once.

        Raises:
            SignalingError: ``unauthorized`` if the user was revoked; ``rate_limited`` if it has too many
                connections here; ``already_connected`` if another connection of the user is the one that counts;
                ``unavailable`` if that is not known.
        """
        if identity is None or identity.user_id is None:
            return
        self._revocations.check(identity)
        self._limits.check_connections(len(self._peers.of_user(identity.user_id)))
        await self._singles.claim(peer, identity.user_id)
        self._revocations.check(identity)  # it may have been revoked meanwhile

    def admit(self, peer: Peer, identity: Identity | None) -> None:
        """Begin to carry out a peer's events; `identity` is ``None`` if the host has no `authenticate`."""
        self._peers.admit(peer, identity)
        self._singles.hold(peer)
        self._partings.expect_end(peer)

    def peer(self, peer_id: str) -> Peer | None:
        """Return the peer with that id, or ``None`` if this node has none."""
        return self._peers.get(peer_id)

    def disconnect(self, peer_id: str, reason: Reason) -> Peer | None:
        """Record that a connection is over: its peer leaves its rooms, and has left them when it is settled.

        Returns that peer, or ``None`` the second time.
        """
        return self._partings.part(peer_id, reason)
