"""How deliveries reach the peers of this node: each payload encoded once, each roster at its pace."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable

from walkie_signal.core.deliveries import Delivery
from walkie_signal.core.pacing import Pace
from walkie_signal.core.packets import event_text
from walkie_signal.core.payloads import room_status
from walkie_signal.core.registry import Registry
from walkie_signal.node.peers import Peer, Peers
from walkie_signal.settings import Settings


class Fanout:
    """Sends to whichever recipients are on this node; the others are another node's business."""

    def __init__(self, prefix: str, registry: Registry, peers: Peers, settings: Settings) -> None:
        self._prefix = prefix
        self._registry = registry
        self._peers = peers
        self._status_interval = settings.status_interval
        self._drain_spread = settings.drain_spread
        self._paces: dict[str, Pace] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def deliver(self, deliveries: Iterable[Delivery]) -> None:
        """Send each delivery, in order."""
        for delivery in deliveries:
            peers = [peer for each in delivery.recipients if (peer := self._peers.get(each)) is not None]
            if not peers:
                continue
            text = event_text(self._prefix, delivery.event, delivery.payload)
            for peer in peers:
                peer.link.send(text)

    def roster_changed(self, room: str) -> None:
        """Tell the new roster of a room, now or when its pace allows."""
        if not self._registry.room(room):
            self._forget(room)
            return
        loop = asyncio.get_running_loop()
        pace = self._paces.setdefault(room, Pace(self._status_interval))
        wait = pace.changed(loop.time())
        if wait == 0 and not self._tell(room):
            self._forget(room)  # nobody here was told, so that it is no reason for the next to wait
        elif wait:
            self._timers[room] = loop.call_later(wait, self._due, room)

    def farewell(self, peer: Peer) -> None:
        """Tell a peer that its connection is about to close, and when to come back: not all at once."""
        later = {"retryAfterMs": round(random.uniform(0, self._drain_spread) * 1000)}  # noqa: S311 - no secret
        peer.link.send(event_text(self._prefix, "server_draining", later))

    def close(self) -> None:
        """Tell nothing any more."""
        for room in list(self._paces):
            self._forget(room)

    def _due(self, room: str) -> None:
        del self._timers[room]
        self._paces[room].tell(asyncio.get_running_loop().time())
        self._tell(room)

    def _tell(self, room: str) -> bool:
        """Tell the roster to who is here; returns whether anybody is."""
        members = list(self._registry.room(room))
        peers = [peer for member in members if (peer := self._peers.get(member.peer_id)) is not None]
        if peers:
            text = event_text(self._prefix, "room_status", room_status(room, members))
            for peer in peers:
                peer.link.send_latest(room, text)
        return bool(peers)

    def _forget(self, room: str) -> None:
        self._paces.pop(room, None)
        timer = self._timers.pop(room, None)
        if timer is not None:
            timer.cancel()
