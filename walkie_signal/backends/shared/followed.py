"""The rooms that this node follows, and what its copies of them owe the store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator

from walkie_signal.backends.shared.copies import RoomCopy
from walkie_signal.backends.shared.incarnation import Incarnation
from walkie_signal.backends.shared.records import read_room_message
from walkie_signal.backends.shared.store import NodeStore, RoomStore
from walkie_signal.bounded_log import BoundedLog
from walkie_signal.core.changes import Change, Left, Member, Reason
from walkie_signal.core.replicas import NOWHERE, Entry, Roster

log = logging.getLogger("walkie_signal.store")

FOLLOWED_FOR = 10.0
"""Seconds for which a room is still followed when it has no members here."""


class FollowedRooms:
    """The followed rooms of one node.

    Args:
        rooms: The rooms in the store.
        nodes: The nodes in the store, each with a list of its rooms.
        incarnation: This node.
        apply: Makes a change here.
        changed: Called with a room whose members or values may be others now.
        forget: Called with a room that is not followed any more.
        owing: Called when something was added to `owed`.

    Attributes:
        owed: Members that still have to leave the store, by room and peer, each with its node and reason.
        holding: Whether members may only be missing in the store because they have not been written back yet.
    """

    def __init__(
        self,
        rooms: RoomStore,
        nodes: NodeStore,
        incarnation: Incarnation,
        *,
        apply: Callable[[Change], None],
        changed: Callable[[str], None],
        forget: Callable[[str], None],
        owing: Callable[[], None],
    ) -> None:
        self.owed: dict[tuple[str, str], tuple[str, Reason]] = {}
        self.holding = False
        self._rooms = rooms
        self._nodes = nodes
        self._incarnation = incarnation
        self._apply = apply
        self._changed = changed
        self._forget = forget
        self._owing = owing
        self._lines = BoundedLog(log)
        self._by_room: dict[str, RoomCopy] = {}
        self.get = self._by_room.get
        """Returns a room by its name, or ``None`` if it is not followed."""
        self._by_channel: dict[bytes, RoomCopy] = {}

    def __len__(self) -> int:
        return len(self._by_room)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._by_room))

    def entry(self, room: str, peer_id: str) -> Entry | None:
        """Return the entry of a member, or ``None``."""
        copy = self._by_room.get(room)
        return None if copy is None else copy.entry(peer_id)

    def known(self, room: str) -> Roster:
        """Return a room as it is known here; see `Backend.known`."""
        copy = self._by_room.get(room)
        return Roster(NOWHERE) if copy is None else copy.roster()

    def members_of(self, node: str) -> set[tuple[str, str]]:
        """Return the members of a node, by room and peer."""
        copies = self._by_room.items()
        return {(room, each.member.peer_id) for room, copy in copies for each in copy.entries_of(node)}

    # Following

    def follow(self, room: str) -> RoomCopy:
        """Begin to follow a room, or go on following it.

        Raises:
            StoreError: The store is away.
        """
        copy = self._by_room.get(room)
        if copy is None:
            copy = RoomCopy(room, self._incarnation, self._rooms.follow(room))
            self._by_room[room] = self._by_channel[self._rooms.channel(room)] = copy
            self._nodes.list_rooms([room], self._by_room)
        copy.use()
        return copy

    def list_all(self) -> None:
        """Write each room into this node's list of rooms."""
        if self._by_room:
            self._nodes.list_rooms(self._by_room, self._by_room)

    def sweep(self, now: float) -> None:
        """Stop following the rooms that have long had no members here."""
        for room, copy in list(self._by_room.items()):
            idle = copy.idle_since
            if idle is not None and now - idle > FOLLOWED_FOR and not copy.healing:
                self._unfollow(room)

    def _unfollow(self, room: str) -> None:
        del self._by_room[room], self._by_channel[self._rooms.channel(room)]
        self._rooms.unfollow(room)
        self._nodes.unlist_room(room)
        self._forget(room)

    def take_over(self, room: str, roster: Roster) -> None:
        """Follow a room that this node has kept alone; its members have been told of one another already."""
        heard = asyncio.get_running_loop().create_future()
        copy = self._by_room[room] = self._by_channel[self._rooms.channel(room)] = RoomCopy(
            room, self._incarnation, heard
        )
        copy.take_over(roster)

    # Changes

    def hear(self, channel: bytes, data: bytes) -> RoomCopy | None:
        """Take what was published on a room's channel; returns the copy if it has to be read again."""
        copy = self._by_channel.get(channel)
        if copy is None:
            return None
        try:
            change = read_room_message(copy.room, data)
        except ValueError as error:
            line = "room %r: a change can't be read: %s"
            self._lines.write(logging.WARNING, "changes that can't be read", line, copy.room, error)
            return copy
        known = copy.version is not None
        self.make(copy, copy.hear(*change))
        return copy if copy.version is None and (known or not copy.changing) else None

    def adopt(self, copy: RoomCopy, roster: Roster) -> None:
        """Take a roster as the store has it."""
        settled = roster.settled | self._incarnation.earlier  # which have nothing to write back
        self.make(copy, copy.adopt(roster._replace(settled=settled), hold=self.holding))

    def make(self, copy: RoomCopy, changes: list[Change]) -> None:
        """Make changes here."""
        for change in changes:
            self._apply(change)
            if isinstance(change, Left):
                copy.applied(change.peer_id)
            elif change.member.node == self._incarnation.id:
                copy.applied(change.member.peer_id)
                self.owed.pop((copy.room, change.member.peer_id), None)
        for member in copy.refused():
            # A join that was answered `unavailable` was carried out after all, or a leave has not been yet
            if (member.room, member.peer_id) not in self.owed:
                self.owe(member, "left")
        self._changed(copy.room)

    def owe(self, member: Member, reason: Reason) -> None:
        """Record that a member still has to leave the store."""
        self.owed[member.room, member.peer_id] = (member.node, reason)
        self._owing()

    # The end

    def down(self) -> None:
        """Tell all that wait for a change that it can't be ordered."""
        for copy in self._by_room.values():
            copy.fail()

    def abandon(self) -> None:
        """Want no members any more, because this incarnation has been given up."""
        self.owed.clear()
        for copy in self._by_room.values():
            copy.abandon()

    def clear(self) -> None:
        """Follow nothing."""
        self._by_room.clear()
        self._by_channel.clear()
        self.owed.clear()
