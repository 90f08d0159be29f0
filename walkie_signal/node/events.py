"""What the events of a peer do."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Iterable

from walkie_signal.backends.base import Backend
from walkie_signal.core.changes import Member, Reason
from walkie_signal.core.identity import Identity
from walkie_signal.core.messages import JoinRoom, LeaveRoom, SignalTo, read_message
from walkie_signal.core.registry import Registry
from walkie_signal.errors import SignalingError
from walkie_signal.host import Host
from walkie_signal.node.announcements import Announcements
from walkie_signal.node.answers import OK, Answers
from walkie_signal.node.peers import Announcement, Departure, Item, Peer, Peers
from walkie_signal.node.signals import Signals
from walkie_signal.node.site import Joining, NodeSite
from walkie_signal.settings import Settings
from walkie_signal.wire.events import Event

log = logging.getLogger("walkie_signal")


class Events:
    """Carries out the events of one node's peers."""

    def __init__(
        self,
        *,
        settings: Settings,
        host: Host,
        backend: Backend,
        registry: Registry,
        peers: Peers,
        answers: Answers,
        announcements: Announcements,
        signals: Signals,
        site: NodeSite,
    ) -> None:
        self._settings = settings
        self._host = host
        self._backend = backend
        self._registry = registry
        self._peers = peers
        self._answers = answers
        self._announcements = announcements
        self._signals = signals
        self._site = site

    def work(self, peer: Peer, item: Item) -> Awaitable[None] | None:
        """Do what an item of a peer's queue asks for, at once or in the awaitable that this returns."""
        if isinstance(item, Departure):
            return self._depart(peer, item.reason)
        if isinstance(item, Announcement):
            return self._announce(peer, item.room)
        try:
            message = read_message(item, self._settings)
            if isinstance(message, SignalTo):
                self._signals.carry_out(peer, item, message)
                return None
        except Exception as error:  # noqa: BLE001 - every fault becomes an answer
            self._answers.fail(peer, item, error)
            return None
        return self._change(peer, item, message)

    def forget(self, peer: Peer) -> None:
        """Keep nothing for a peer that is gone."""
        self._signals.forget(peer)

    # Rooms

    async def _change(self, peer: Peer, event: Event, message: JoinRoom | LeaveRoom) -> None:
        try:
            if isinstance(message, JoinRoom):
                await self._join(peer, event, message)
            else:
                await self._leave(peer, message)
                peer.ack(event.ack_id, OK)
        except Exception as error:  # noqa: BLE001 - every fault becomes an answer
            self._answers.fail(peer, event, error)

    async def _join(self, peer: Peer, event: Event, message: JoinRoom) -> None:
        self._signals.join_begins(peer)
        try:
            leaving = await self._enter(peer, event, message)
            await self._quit(peer, leaving, "left")
        finally:
            self._signals.join_ends(peer)

    async def _enter(self, peer: Peer, event: Event, message: JoinRoom) -> tuple[str, ...]:
        """Make a peer a member, which also answers the event; returns the rooms that the peer steps out of."""
        if peer.gone:
            return ()
        identity = peer.identity or Identity(message.user_id, message.role)
        if not await self._host.authorize(identity, message.room):
            raise SignalingError("forbidden", "you may not join this room")
        if peer.gone:
            return ()
        member = Member(peer.peer_id, message.room, identity.role, identity.user_id, self._backend.node_id)
        joining = Joining(peer, event, self._rooms_to_leave(peer, message.room))
        if self._changes_nothing(member) and not self._announcements.now(peer, message.room):
            self._site.join_again(joining, message.room)
            return ()
        key = (peer.peer_id, message.room)
        self._site.joining[key] = joining
        try:
            await self._backend.join(member, self._settings.room_capacity)
        finally:
            self._site.joining.pop(key, None)
        peer.has_joined = True
        if not peer.gone:
            self._peers.speaks_for(peer, identity)
        return joining.leaving

    def _changes_nothing(self, member: Member) -> bool:
        known = self._registry.member(member.room, member.peer_id)
        return known == member and self._registry.is_in(member.peer_id, member.room)

    async def _announce(self, peer: Peer, room: str) -> None:
        """Announce a member once more; if that can't be done now, try again when the next interval is over."""
        member = self._registry.member(room, peer.peer_id)
        if peer.gone or member is None or not self._registry.is_in(peer.peer_id, room):
            return
        try:
            await self._backend.join(member, self._settings.room_capacity)
        except SignalingError:
            self._announcements.now(peer, room)

    def _rooms_to_leave(self, peer: Peer, room: str) -> tuple[str, ...]:
        """Return the rooms that a join takes a peer out of: its only room, if it may only be in one."""
        rooms = self._registry.rooms_of(peer.peer_id)
        if room in rooms or len(rooms) < self._settings.rooms_per_peer:
            return ()
        if self._settings.rooms_per_peer == 1:
            return rooms
        raise SignalingError("too_many_rooms", "you are already in as many rooms as a peer may join")

    async def _leave(self, peer: Peer, message: LeaveRoom) -> None:
        rooms = self._registry.rooms_of(peer.peer_id)
        if message.room is not None:
            if message.room not in rooms:
                raise SignalingError("not_in_room", "you are not in this room")
            rooms = (message.room,)
        for room in rooms:
            await self._backend.leave(room, peer.peer_id, "left")

    async def _depart(self, peer: Peer, reason: Reason) -> None:
        await self._quit(peer, self._registry.listed_in(peer.peer_id), reason)

    async def _quit(self, peer: Peer, rooms: Iterable[str], reason: Reason) -> None:
        """Take a peer out of rooms that it hears nothing of any more; a failure can't be answered, only logged."""
        for room in rooms:
            try:
                await self._backend.leave(room, peer.peer_id, reason)
            except Exception:  # noqa: PERF203 - the other rooms must go on if one fails
                log.exception("a peer could not be taken out of a room that it has left")
