"""Sends deliveries to the peers of this node: each payload is encoded once, and each roster has its pace."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable

from walkie_signal.core.deliveries import Delivery
from walkie_signal.core.pacing import Pace
from walkie_signal.core.payloads import Payload, room_status
from walkie_signal.core.registry import Registry
from walkie_signal.node.peers import Peer, Peers
from walkie_signal.settings import Settings


class Fanout:
    """Sends to the recipients that are on this node; other nodes send to theirs."""

    def __init__(self, registry: Registry, peers: Peers, settings: Settings) -> None:
        self._registry = registry
        self._peers = peers
        self._settings = settings
        self._paces: dict[str, Pace] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def deliver(self, room: str, deliveries: Iterable[Delivery]) -> None:
        """Send each delivery about a room, in order."""
        for delivery in deliveries:
            peers = self._hearers(room, delivery.recipients)
            if peers:
                self._peers.tell(peers, delivery.event, delivery.payload)

    def introduce(self, peer: Peer, introductions: Iterable[Payload]) -> None:
        """Tell a joiner of each other member."""
        peer.tell("new_peer", *introductions)

    def roster_changed(self, room: str) -> None:
        """Tell the new roster of a room, now or when its pace allows."""
        if not self._registry.room(room):
            self._forget(room)
            return
        loop = asyncio.get_running_loop()
        pace = self._paces.get(room)
        if pace is None:
            pace = self._paces[room] = Pace(self._settings.status_interval, self._settings.status_bytes)
        wait = pace.changed(loop.time())
        if wait == 0 and not self._tell(room, pace):
            self._forget(room)  # nobody here was told, so the next one need not wait
        elif wait:
            self._timers[room] = loop.call_later(wait, self._due, room)

    def tell_roster(self, room: str, peer: Peer) -> None:
        """Tell the roster of a room to one peer; this does not delay the roster for the others."""
        self._peers.tell_latest(room, [peer], "room_status", self._roster(room))

    def farewell(self, peer: Peer) -> None:
        """Tell a peer that its connection is about to close, and when to come back: not all at the same time."""
        seconds = random.uniform(0, self._settings.drain_spread)  # noqa: S311 - no secret
        peer.tell("server_draining", {"retryAfterMs": round(seconds * 1000)})

    def close(self) -> None:
        """Cancel everything that is to be told later."""
        for room in list(self._paces):
            self._forget(room)

    def _due(self, room: str) -> None:
        del self._timers[room]
        pace = self._paces[room]
        pace.tell(asyncio.get_running_loop().time())
        self._tell(room, pace)

    def _tell(self, room: str, pace: Pace) -> bool:
        """Tell the roster to the members that are here; returns whether there are any."""
        peers = self._hearers(room, [member.peer_id for member in self._registry.room(room)])
        if peers:
            text = self._peers.tell_latest(room, peers, "room_status", self._roster(room))
            pace.weigh(len(peers) * (len(text) if text.isascii() else len(text.encode())))
        return bool(peers)

    def _roster(self, room: str) -> Payload:
        return room_status(room, self._registry.room(room))

    def _hearers(self, room: str, peer_ids: Iterable[str]) -> list[Peer]:
        """Return the given members that are on this node and are not stepping out of the room."""
        hearing = self._registry.hearing(room, peer_ids)
        return [peer for peer_id in hearing if (peer := self._peers.get(peer_id)) is not None]

    def _forget(self, room: str) -> None:
        self._paces.pop(room, None)
        timer = self._timers.pop(room, None)
        if timer is not None:
            timer.cancel()
