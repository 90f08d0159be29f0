"""How peers join rooms, and what a joiner hears when its join is applied."""

from __future__ import annotations

from typing import NamedTuple

from walkie_signal.backends.base import Backend
from walkie_signal.core import payloads
from walkie_signal.core.changes import Member
from walkie_signal.core.deliveries import introductions_to
from walkie_signal.core.identity import Identity
from walkie_signal.core.peer_events import JoinRoom
from walkie_signal.core.registry import Registry
from walkie_signal.core.rooms import Room
from walkie_signal.errors import SignalingError
from walkie_signal.host import Host
from walkie_signal.node.announcements import Announcements
from walkie_signal.node.early import Early
from walkie_signal.node.leaving import Leaves
from walkie_signal.node.limits import Limits
from walkie_signal.node.peers import Announcement, Peer, Peers
from walkie_signal.node.rosters import Statuses
from walkie_signal.settings.rooms import RoomSettings
from walkie_signal.wire.event_packets import Event


class Joining(NamedTuple):
    """A join that is under way.

    Attributes:
        peer: The peer that joins.
        event: The event to answer.
        leaving: The rooms that the join takes the peer out of, in the same step.
    """

    peer: Peer
    event: Event
    leaving: tuple[str, ...]


class Joins:
    """Carries out the joins of one node's peers.

    Attributes:
        under_way: The joins that the backend is asked to order, by peer and room.
    """

    def __init__(
        self,
        settings: RoomSettings,
        *,
        host: Host,
        backend: Backend,
        registry: Registry,
        peers: Peers,
        early: Early,
        limits: Limits,
        announcements: Announcements,
        statuses: Statuses,
        leaves: Leaves,
    ) -> None:
        self.under_way: dict[tuple[str, str], Joining] = {}
        self._settings = settings
        self._host = host
        self._backend = backend
        self._registry = registry
        self._peers = peers
        self._early = early
        self._limits = limits
        self._announcements = announcements
        self._statuses = statuses
        self._leaves = leaves

    @property
    def announcements(self) -> int:
        """How many members have a pace for their announcements."""
        return self._announcements.kept

    async def join(self, peer: Peer, event: Event, message: JoinRoom) -> None:
        """Make a peer a member, and take it out of the room that it moves from.

        Raises:
            SignalingError: ``forbidden``, ``too_many_rooms``, ``room_full``, ``rate_limited``, ``unavailable``,
                ``internal``.
        """
        self._early.join_begins(peer)
        try:
            leaving = await self._enter(peer, event, message)
            await self._leaves.quit(peer, leaving, "left")
        finally:
            self._early.join_ends(peer)

    async def _enter(self, peer: Peer, event: Event, message: JoinRoom) -> tuple[str, ...]:
        """Make a peer a member, which also answers the event; returns the rooms that the peer steps out of."""
        if peer.gone:
            return ()
        self._limits.begin_join(peer)
        identity = peer.identity or Identity(message.user_id, message.role)
        if not identity.allows(message.room) or not await self._host.authorize(identity, message.room):
            raise SignalingError("forbidden", "you may not join this room")
        if peer.gone:
            return ()
        member = Member(peer.peer_id, message.room, identity.role, identity.user_id, self._backend.node_id)
        joining = Joining(peer, event, self._rooms_to_leave(peer, message.room))
        if self._changes_nothing(member) and not self._announcements.now(peer, message.room):
            room = self._registry.room(message.room)
            self._limits.weigh_join(peer, len(room))
            self._ack(joining, room)
            self.introduce(peer, room)
            self._statuses.tell(message.room, peer)
            return ()
        is_empty = not self._registry.room(message.room)
        if is_empty:
            await self._check_new_room(peer, message.room)
        key = (peer.peer_id, message.room)
        self.under_way[key] = joining
        try:
            await self._backend.join(member, self._settings.room_capacity)
        finally:
            self.under_way.pop(key, None)
        room = self._registry.room(message.room)
        self._limits.weigh_join(peer, len(room))
        first = next(iter(room), None)
        if is_empty and first is not None and first.peer_id == peer.peer_id:
            self._limits.count_new_room(peer)
        peer.has_joined = True
        if not peer.gone:
            self._peers.speaks_for(peer, identity)
        return joining.leaving

    async def _check_new_room(self, peer: Peer, room: str) -> None:
        """Refuse a join that would make one more room than an address may; other nodes may have members there."""
        refusal = self._limits.refusal_of_new_room(peer)
        if refusal is not None and not await self._backend.roster(room):
            raise refusal

    def _changes_nothing(self, member: Member) -> bool:
        known = self._registry.member(member.room, member.peer_id)
        return known == member and self._registry.is_in(member.peer_id, member.room)

    async def announce(self, peer: Peer, announcement: Announcement) -> None:
        """Announce a member once more; if that can't be done now, try again when the next interval is over."""
        room = announcement.room
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

    def applied(self, peer_id: str, room: Room) -> Peer | None:
        """Answer the join under way that has just been applied; returns its peer, or ``None`` if nobody waits."""
        joining = self.under_way.pop((peer_id, room.name), None)
        if joining is None or joining.peer.gone:
            return None
        self._registry.step_in(peer_id, room.name)
        for left in joining.leaving:
            self._registry.step_out(peer_id, left)
        self._ack(joining, room)
        return joining.peer

    def forget(self, peer_id: str, room: str) -> None:
        """Keep nothing of a peer that has left a room."""
        self._announcements.forget(peer_id, room)

    @staticmethod
    def _ack(joining: Joining, room: Room) -> None:
        peer, ack_id = joining.peer, joining.event.ack_id
        if ack_id is not None:
            peer.ack(ack_id, payloads.joined(room.name, peer.peer_id, room.others(peer.peer_id)))

    @staticmethod
    def introduce(peer: Peer, room: Room) -> None:
        """Let a joiner, which has its ack, hear of each other member."""
        joiner = room.get(peer.peer_id)
        if joiner is not None:
            peer.tell_all("new_peer", introductions_to(joiner, room))
