"""The life of a node, and of each connection on it.

    connection ── open ──▶ admit ──▶ receive … ──▶ disconnect
                    │                                  ▲
                    └────────── disconnect ────────────┘

A connection that is refused, or that ends before it is admitted, takes the lower way.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from walkie_signal.backends.base import Backend
from walkie_signal.core.changes import Reason
from walkie_signal.core.facts import Facts
from walkie_signal.core.identity import Identity
from walkie_signal.core.messages import CLIENT_EVENTS
from walkie_signal.core.ports import Link
from walkie_signal.core.registry import Registry
from walkie_signal.errors import SignalingError
from walkie_signal.host import Host
from walkie_signal.node.announcements import Announcements
from walkie_signal.node.answers import OK, Answers
from walkie_signal.node.events import Events
from walkie_signal.node.fanout import Fanout
from walkie_signal.node.hooks import Hooks
from walkie_signal.node.orders import Orders
from walkie_signal.node.peers import Departure, Peer, Peers
from walkie_signal.node.siblings import part_from_siblings, warn_of_siblings
from walkie_signal.node.signals import Signals
from walkie_signal.node.site import NodeSite
from walkie_signal.refusals import Refusals
from walkie_signal.settings import Settings
from walkie_signal.wire.events import Event, memory_of, prefix_of, read_event, read_size
from walkie_signal.wire.relays import Relays

log = logging.getLogger("walkie_signal")


class Node:
    """One process's part of the signaling service of one namespace.

    Attributes:
        host_hears: Tells whether the host has a handler for an event; the adapter sets it.
    """

    host_hears: Callable[[str], bool] = staticmethod(lambda _name: True)

    def __init__(self, namespace: str, settings: Settings, backend: Backend, host: Host) -> None:
        self.backend = backend
        self.settings = settings
        self._namespace = namespace
        self._host = host
        self._registry = Registry()
        self._peers = Peers(namespace, backend)
        self._relays = Relays(prefix_of(namespace), settings)
        self._fanout = Fanout(self._registry, self._peers, settings)
        self.facts = Facts()
        self._hooks = Hooks(host, self.facts)
        Refusals(log).listen(self.facts)
        self.answers = Answers(self.facts)
        self._orders = Orders(settings, backend, self._peers, self._end)
        announcements = Announcements(settings.announce_interval)
        self._signals = Signals(
            backend=backend, registry=self._registry, peers=self._peers, answers=self.answers
        )
        self._site = NodeSite(
            backend=backend,
            registry=self._registry,
            peers=self._peers,
            announcements=announcements,
            fanout=self._fanout,
            facts=self.facts,
            end=self._end,
        )
        self._events = Events(
            settings=settings,
            host=host,
            backend=backend,
            registry=self._registry,
            peers=self._peers,
            answers=self.answers,
            announcements=announcements,
            signals=self._signals,
            site=self._site,
        )
        self._starting: asyncio.Task[None] | None = None
        self._closed = False
        self._ran = self._warned = False

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
        if not self.backend.shared:
            warn_of_siblings()
        await self.backend.start(self._site)

    @property
    def ready(self) -> bool:
        """Whether a peer that connects now can join a room."""
        return self.backend.ready and not self._closed

    def drain(self) -> None:
        """Tell each peer that this node is about to close, and refuse new connections from now on."""
        if not self._closed:
            self._closed = True
            peers = list(self._peers)
            for peer in peers:
                self._fanout.farewell(peer)
            spread = self.settings.drain_spread
            log.info("draining: peers told to come back within %g s: %d", spread, len(peers))

    def farewell(self, peer: Peer) -> None:
        """Tell a peer that its connection is about to close, unless all peers have been told already."""
        if not self._closed:
            self._fanout.farewell(peer)

    async def close(self) -> None:
        """Tell each peer, take it out of its rooms and close its connection, then end what `start` began."""
        self.drain()
        if self._starting is None:
            return
        begun = time.monotonic()
        peers = list(self._peers)
        for peer in peers:
            self._end(peer, "disconnected")
        for peer in peers:
            await peer.settled()
        await self._hooks.settled()
        self._fanout.close()
        await self.backend.close()
        self._host.close()
        if not self.backend.shared:
            part_from_siblings()
        self._starting = None
        if peers:  # if there are none, the server has closed the connections and counts them, as `serve` does
            log.info("closed: peers disconnected in %.1f s: %d", time.monotonic() - begun, len(peers))

    # The life of a connection

    def open(self, peer_id: str, link: Link) -> Peer:
        """Record a peer that is not admitted yet; its events wait."""
        return self._peers.open(peer_id, link, self._events.work)

    def admit(self, peer: Peer, identity: Identity | None) -> None:
        """Begin to carry out a peer's events; `identity` is ``None`` if the host has no `authenticate`."""
        self._peers.admit(peer, identity)

    def take(self, peer: Peer, text: str) -> bool:
        """Carry out an event, given as the text of its frame; returns false if the event is not one of ours.

        A plain signal takes the quick way if no earlier event waits.

        Raises:
            ProtocolViolation: It is a malformed event of this namespace.
        """
        plain = self._relays.read(text) if peer.idle else None
        if plain is not None:
            ack_id, target_id, value = plain
            target = self._peers.get(target_id)
            if target is not None and self._registry.share_room(peer.peer_id, target_id):
                target.hear(f"{peer.head}{value}}}]")
                if ack_id:
                    peer.ack(int(ack_id), OK)
                return True
            if target is None and self._signals.relay(
                peer, target_id, f"{peer.head}{value}}}]", int(ack_id) if ack_id else None
            ):
                return True
        too_large = len(text) > self.settings.event_bytes
        is_full = self._is_full(peer, 0 if too_large else len(text))
        if is_full or too_large:
            event = read_size(text, self._namespace)  # it is refused without being parsed
        else:
            event = read_event(text, self._namespace, self.settings.nesting_depth)
        if event is None or (event.name not in CLIENT_EVENTS and self.host_hears(event.name)):
            return False
        if is_full:
            self._refuse(peer, event)
        else:
            self.receive(peer, event)
        return True

    def _is_full(self, peer: Peer, size: int) -> bool:
        """Tell whether so many events of a peer wait that another one of that size may not."""
        settings = self.settings
        return peer.waiting > 0 and (
            peer.waiting >= settings.queued_events or peer.waiting_bytes + size > settings.queued_bytes
        )

    def _refuse(self, peer: Peer, event: Event) -> None:
        error = SignalingError("rate_limited", "too many events wait", retryAfterMs=1000)
        self.answers.fail(peer, event, error)

    def receive(self, peer: Peer, event: Event) -> None:
        """Carry out an event, after the peer's earlier ones."""
        if event.fault is not None or event.size > self.settings.event_bytes:
            # It will be refused in its turn, so its arguments need not be kept until then
            event = event._replace(arguments=(), text=None)
        if self._is_full(peer, memory_of(event)):
            self._refuse(peer, event)
        else:
            peer.post(event)

    def peer(self, peer_id: str) -> Peer | None:
        """Return the peer with that id, or ``None`` if this node has none."""
        return self._peers.get(peer_id)

    def disconnect(self, peer_id: str, reason: Reason) -> Peer | None:
        """Record that a connection is over: its peer leaves its rooms, and has left them when it is settled.

        Returns that peer, or ``None`` the second time.
        """
        peer = self._peers.get(peer_id)
        if peer is not None:
            peer.gone = True
            self._peers.remove(peer)
            self._events.forget(peer)
            peer.post(Departure(reason))
        return peer

    def _end(self, peer: Peer, reason: Reason) -> None:
        """Close a peer's connection from this side, and take the peer out of its rooms."""
        peer.close(for_good=reason == "kicked")
        self.disconnect(peer.peer_id, reason)
