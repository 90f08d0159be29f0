"""What the events of a peer do."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from functools import partial

from walkie_signal.backends.base import Backend
from walkie_signal.core import payloads
from walkie_signal.core.identity import Identity
from walkie_signal.core.messages import JoinRoom, LeaveRoom, SignalTo, read_message
from walkie_signal.core.packets import Event, event_text
from walkie_signal.core.registry import Registry
from walkie_signal.core.rooms import Member, Reason
from walkie_signal.errors import SignalingError
from walkie_signal.host import Host
from walkie_signal.node.answers import OK, Answers
from walkie_signal.node.peers import Departure, Item, Peer, Peers
from walkie_signal.node.site import NodeSite
from walkie_signal.settings import Settings

log = logging.getLogger("walkie_signal")


class Events:
    """Carries out the events of one node's peers; `prefix` is `packets.prefix_of` the namespace."""

    def __init__(
        self,
        *,
        prefix: str,
        settings: Settings,
        host: Host,
        backend: Backend,
        registry: Registry,
        peers: Peers,
        answers: Answers,
        site: NodeSite,
    ) -> None:
        self._prefix = prefix
        self._settings = settings
        self._host = host
        self._backend = backend
        self._registry = registry
        self._peers = peers
        self._answers = answers
        self._site = site

    def work(self, peer: Peer, item: Item) -> Awaitable[None] | None:
        """Do what an item of a peer's queue asks for, at once or in what is returned."""
        if isinstance(item, Departure):
            return self._depart(peer, item.reason)
        try:
            message = read_message(item, self._settings)
            if isinstance(message, SignalTo):
                self._signal(peer, item, message)
                return None
        except Exception as error:  # noqa: BLE001 - every fault becomes an answer
            self._answers.fail(peer, item, error)
            return None
        return self._change(peer, item, message)

    def speaks_for(self, peer: Peer, identity: Identity) -> None:
        """Take note of whom a peer speaks for."""
        if peer.user_id != identity.user_id:
            self._backend.absent(peer.peer_id, peer.user_id)
            self._backend.present(peer.peer_id, identity.user_id)
        self._peers.speaks_for(peer, identity.user_id)

    # Signals

    def relay(self, peer: Peer, target_id: str, text: str, ack_id: int | None) -> bool:
        """Hand a signal's frame over to the node of its target; returns whether that is another one's peer.

        The sender is answered when it is known whether that node was reached.
        """
        target = self._registry.fellow(peer.peer_id, target_id)
        if target is None or target.node == self._backend.node_id:
            return False
        self._backend.relay(target, peer.peer_id, text, partial(self._relayed, peer, ack_id))
        return True

    def _relayed(self, peer: Peer, ack_id: int | None, reached: bool) -> None:  # noqa: FBT001 - as `relay` has it
        if reached:
            if ack_id is not None:
                self._answers.ack(peer, ack_id, OK)
        else:
            error = SignalingError("unavailable", "the other peer can't be reached now", retryAfterMs=1000)
            self._answers.fail(peer, Event("signal", (), ack_id, 0, None), error)

    def _signal(self, peer: Peer, event: Event, message: SignalTo) -> None:
        if not self._registry.rooms_of(peer.peer_id):
            raise SignalingError("not_in_room", "join a room first")
        text = event_text(self._prefix, "signal", payloads.signal(peer.peer_id, message.signal))
        if self.relay(peer, message.target_id, text, event.ack_id):
            return
        target = self._peers.get(message.target_id)
        if target is None or not self._registry.share_room(peer.peer_id, message.target_id):
            raise SignalingError("peer_not_found", "no such peer in a room of yours")
        target.link.send(text)
        self._answers.ack(peer, event.ack_id, OK)

    # Rooms

    async def _change(self, peer: Peer, event: Event, message: JoinRoom | LeaveRoom) -> None:
        try:
            if isinstance(message, JoinRoom):
                await self._join(peer, event, message)
            else:
                await self._leave(peer, message)
                self._answers.ack(peer, event.ack_id, OK)
        except Exception as error:  # noqa: BLE001 - every fault becomes an answer
            self._answers.fail(peer, event, error)

    async def _join(self, peer: Peer, event: Event, message: JoinRoom) -> None:
        if peer.gone:
            return
        identity = peer.identity or Identity(message.user_id, message.role)
        if not await self._host.authorize(identity, message.room):
            raise SignalingError("forbidden", "you may not join this room")
        if peer.gone:
            return
        leaving = self._rooms_to_leave(peer, message.room)
        node = self._backend.node_id
        member = Member(peer.peer_id, message.room, identity.role, identity.user_id, node)
        key = (peer.peer_id, message.room)
        self._site.joining[key] = event
        try:
            await self._backend.join(member, self._settings.room_capacity)
        finally:
            self._site.joining.pop(key, None)
        if not peer.gone:
            self.speaks_for(peer, identity)
        for room in leaving:
            await self._backend.leave(room, peer.peer_id, "left")

    def _rooms_to_leave(self, peer: Peer, room: str) -> tuple[str, ...]:
        """Tell what a join takes a peer out of: its only room, where it may be in one."""
        rooms = self._registry.rooms_of(peer.peer_id)
        if room in rooms or len(rooms) < self._settings.rooms_per_peer:
            return ()
        if self._settings.rooms_per_peer == 1:
            return rooms
        raise SignalingError("too_many_rooms", "you are in as many rooms as a peer may be")

    async def _leave(self, peer: Peer, message: LeaveRoom) -> None:
        rooms = self._registry.rooms_of(peer.peer_id)
        if message.room is not None:
            if message.room not in rooms:
                raise SignalingError("not_in_room", "you are not in this room")
            rooms = (message.room,)
        for room in rooms:
            await self._backend.leave(room, peer.peer_id, "left")

    async def _depart(self, peer: Peer, reason: Reason) -> None:
        for room in self._registry.rooms_of(peer.peer_id):
            try:
                await self._backend.leave(room, peer.peer_id, reason)
            except Exception:  # noqa: PERF203 - one room that fails keeps no other
                log.exception("a peer that is gone could not be taken out of its room")
