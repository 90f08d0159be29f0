"""What the events of a peer do, and what the host may ask and order.

    connection ── open ──▶ admit ──▶ receive … ──▶ disconnect
                    │                                  ▲
                    └────────── disconnect ────────────┘

A connection that is refused, or gone before it was admitted, takes the lower way.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Awaitable
from typing import Any

from walkie_signal.backends.base import Backend
from walkie_signal.core import payloads
from walkie_signal.core.deliveries import deliveries_of
from walkie_signal.core.identity import Identity, UserId
from walkie_signal.core.messages import CLIENT_EVENTS, JoinRoom, LeaveRoom, SignalTo, read_message
from walkie_signal.core.packets import (
    RESERVED_EVENTS,
    Event,
    disconnect_text,
    event_text,
    prefix_of,
    read_event,
)
from walkie_signal.core.ports import Link
from walkie_signal.core.registry import Registry
from walkie_signal.core.relays import Relays
from walkie_signal.core.rooms import Change, Joined, Member, Reason
from walkie_signal.core.values import fault_of
from walkie_signal.errors import SignalingError
from walkie_signal.host import Host
from walkie_signal.node.answers import OK, Answers
from walkie_signal.node.fanout import Fanout
from walkie_signal.node.hooks import Hooks
from walkie_signal.node.peers import Departure, Item, Peer, Peers
from walkie_signal.node.siblings import warn_of_siblings
from walkie_signal.settings import Settings

log = logging.getLogger("walkie_signal")


class Node:
    """One process's part of the signaling service of one namespace."""

    def __init__(self, namespace: str, settings: Settings, backend: Backend, host: Host) -> None:
        self.node_id = secrets.token_hex(8)
        self.backend = backend
        self.settings = settings
        self._namespace = namespace
        self._prefix = prefix_of(namespace)
        self._host = host
        self._registry = Registry()
        self._peers = Peers()
        self.answers = Answers(self._prefix)
        self._relays = Relays(self._prefix, settings)
        self._fanout = Fanout(self._prefix, self._registry, self._peers, settings.status_interval)
        self._hooks = Hooks(host)
        self._joining: dict[tuple[str, str], Event] = {}
        self._starting: asyncio.Task[None] | None = None
        self._closed = False

    # The life of the node

    async def start(self) -> None:
        """Start the backend; after `close`, begin anew."""
        self._closed = False
        await self.ensure_started()

    async def ensure_started(self) -> None:
        """Start the backend where nobody has; who comes while it starts waits for it.

        Raises:
            SignalingError: ``unavailable`` where the node is closed.
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
        if not self.backend.shared:
            warn_of_siblings()
        await self.backend.start(self._apply)

    def drain(self) -> None:
        """Tell each peer that this node is about to close, and let nobody in from now on."""
        if self._closed:
            return
        self._closed = True
        for peer in self._peers:
            later = {"retryAfterMs": round(random.uniform(0, self.settings.drain_spread) * 1000)}  # noqa: S311
            peer.link.send(event_text(self._prefix, "server_draining", later))

    async def close(self) -> None:
        """Tell each peer, take it out of its rooms, close its connection, and end what `start` began."""
        self.drain()
        if self._starting is None:
            return
        peers = list(self._peers)
        for peer in peers:
            peer.link.close()
            self.disconnect(peer.peer_id, "disconnected")
        for peer in peers:
            await peer.settled()
        await self._hooks.settled()
        self._fanout.close()
        await self.backend.close()
        self._host.close()
        self._starting = None

    # The life of a connection

    def open(self, peer_id: str, link: Link) -> Peer:
        """Take note of a connection that is not admitted yet; its events wait."""
        peer = Peer(peer_id, link, self._work, self._relays.head(peer_id))
        self._peers.add(peer)
        return peer

    def admit(self, peer: Peer, identity: Identity | None) -> None:
        """Begin to carry out a peer's events; `identity` is ``None`` where nothing asks for proof."""
        peer.identity = identity
        if identity is not None:
            self._peers.speaks_for(peer, identity.user_id)
        peer.admit()

    def peer(self, peer_id: str) -> Peer | None:
        """Return the connection with that id, or ``None`` where this node holds none."""
        return self._peers.get(peer_id)

    def take(self, peer: Peer, text: str) -> bool:
        """Carry out an event by the text of its frame; returns false for any that is not one of ours.

        A plain signal with nothing before it takes the quick way.

        Raises:
            ProtocolViolation: It is a malformed event of this namespace.
        """
        plain = self._relays.read(text) if peer.idle else None
        if plain is not None:
            ack_id, target_id, value = plain
            target = self._peers.get(target_id)
            if target is not None and self._registry.share_room(peer.peer_id, target_id):
                target.link.send(f"{peer.head}{value}}}]")
                if ack_id:
                    self.answers.ack(peer, int(ack_id), OK)
                return True
        event = read_event(text, self._namespace, self.settings.nesting_depth)
        if event is None or event.name not in CLIENT_EVENTS:
            return False
        self.receive(peer, event)
        return True

    def receive(self, peer: Peer, event: Event) -> None:
        """Carry out an event, behind the peer's earlier ones."""
        if peer.waiting >= self.settings.queued_events:
            error = SignalingError("rate_limited", "too many events wait", retryAfterMs=1000)
            self.answers.fail(peer, event, error)
        elif event.fault is not None or event.size > self.settings.event_bytes:
            peer.post(event._replace(arguments=()))  # it is refused in its turn: until then nothing is held
        else:
            peer.post(event)

    def disconnect(self, peer_id: str, reason: Reason) -> Peer | None:
        """Take note that a connection is over: its peer leaves its rooms, and has when it is settled.

        Returns that peer, or ``None`` the second time.
        """
        peer = self._peers.get(peer_id)
        if peer is not None:
            peer.gone = True
            self._peers.remove(peer)
            peer.post(Departure(reason))
        return peer

    # What the host may ask and order

    async def rooms(self) -> list[str]:
        """Return the names of the rooms with members."""
        return sorted(await self.backend.rooms())

    async def roster(self, room: str) -> list[Member]:
        """Return the members of a room."""
        return list(await self.backend.roster(room))

    async def send(self, user_id: UserId, event: str, *arguments: Any) -> int:
        """Send an event of the host's to each connection of a user; returns how many there are."""
        if event in RESERVED_EVENTS:
            raise ValueError(f"{event!r} is reserved by Socket.IO")
        if (fault := fault_of(arguments, self.settings.nesting_depth + 1)) is not None:
            raise ValueError(f"the data can't be sent: {fault}")
        text = event_text(self._prefix, event, *arguments)
        peers = self._peers.of_user(user_id)
        for peer in peers:
            peer.link.send(text)
        return len(peers)

    async def kick(self, peer_id: str) -> bool:
        """Take a peer out of its rooms and close its connection for good; returns whether there was one."""
        peer = self._peers.get(peer_id)
        if peer is None:
            return False
        peer.link.send(disconnect_text(self._prefix))
        peer.link.close()
        self.disconnect(peer_id, "kicked")
        await peer.settled()
        return True

    # What an event does

    def _work(self, peer: Peer, item: Item) -> Awaitable[None] | None:
        if isinstance(item, Departure):
            return self._depart(peer, item.reason)
        try:
            message = read_message(item, self.settings)
            if isinstance(message, SignalTo):
                self._signal(peer, message)
                self.answers.ack(peer, item.ack_id, OK)
                return None
        except Exception as error:  # noqa: BLE001 - every fault becomes an answer
            self.answers.fail(peer, item, error)
            return None
        return self._change(peer, item, message)

    async def _change(self, peer: Peer, event: Event, message: JoinRoom | LeaveRoom) -> None:
        try:
            if isinstance(message, JoinRoom):
                await self._join(peer, event, message)
            else:
                await self._leave(peer, message)
                self.answers.ack(peer, event.ack_id, OK)
        except Exception as error:  # noqa: BLE001 - every fault becomes an answer
            self.answers.fail(peer, event, error)

    def _signal(self, peer: Peer, message: SignalTo) -> None:
        if not self._registry.rooms_of(peer.peer_id):
            raise SignalingError("not_in_room", "join a room first")
        target = self._peers.get(message.target_id)
        if target is None or not self._registry.share_room(peer.peer_id, message.target_id):
            raise SignalingError("peer_not_found", "no such peer in a room of yours")
        target.link.send(event_text(self._prefix, "signal", payloads.signal(peer.peer_id, message.signal)))

    async def _join(self, peer: Peer, event: Event, message: JoinRoom) -> None:
        if peer.gone:
            return
        identity = peer.identity or Identity(message.user_id, message.role)
        if not await self._host.authorize(identity, message.room):
            raise SignalingError("forbidden", "you may not join this room")
        if peer.gone:
            return
        leaving = self._rooms_to_leave(peer, message.room)
        member = Member(peer.peer_id, message.room, identity.role, identity.user_id, self.node_id)
        key = (peer.peer_id, message.room)
        self._joining[key] = event
        try:
            await self.backend.join(member, self.settings.room_capacity)
        finally:
            self._joining.pop(key, None)
        if not peer.gone:
            self._peers.speaks_for(peer, identity.user_id)
        for room in leaving:
            await self.backend.leave(room, peer.peer_id, "left")

    def _rooms_to_leave(self, peer: Peer, room: str) -> tuple[str, ...]:
        """Tell what a join takes a peer out of: its only room, where it may be in one."""
        rooms = self._registry.rooms_of(peer.peer_id)
        if room in rooms or len(rooms) < self.settings.rooms_per_peer:
            return ()
        if self.settings.rooms_per_peer == 1:
            return rooms
        raise SignalingError("too_many_rooms", "you are in as many rooms as a peer may be")

    async def _leave(self, peer: Peer, message: LeaveRoom) -> None:
        rooms = self._registry.rooms_of(peer.peer_id)
        if message.room is not None:
            if message.room not in rooms:
                raise SignalingError("not_in_room", "you are not in this room")
            rooms = (message.room,)
        for room in rooms:
            await self.backend.leave(room, peer.peer_id, "left")

    async def _depart(self, peer: Peer, reason: Reason) -> None:
        for room in self._registry.rooms_of(peer.peer_id):
            try:
                await self.backend.leave(room, peer.peer_id, reason)
            except Exception:  # noqa: PERF203 - one room that fails keeps no other
                log.exception("a peer that is gone could not be taken out of its room")

    def _apply(self, change: Change) -> None:
        """Take a change that the backend has ordered: the joiner's ack first, then what follows for all."""
        peer_id = change.member.peer_id if isinstance(change, Joined) else change.peer_id
        before = self._registry.member(change.room, peer_id)
        room = self._registry.apply(change)
        if isinstance(change, Joined):
            event, peer = self._joining.pop((peer_id, room.name), None), self._peers.get(peer_id)
            if event is not None and peer is not None:
                self.answers.ack(
                    peer, event.ack_id, payloads.joined(room.name, peer_id, room.others(peer_id))
                )
        self._fanout.deliver(deliveries_of(change, room))
        self._fanout.roster_changed(room.name)
        self._tell_host(change, before)

    def _tell_host(self, change: Change, before: Member | None) -> None:
        if isinstance(change, Joined):
            if before is None and change.member.node == self.node_id:
                self._hooks.joined(change.member)
        elif before is not None and before.node == self.node_id:
            self._hooks.left(before, change.reason)
