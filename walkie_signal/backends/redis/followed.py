"""The rooms that this node follows: a copy of each, and this node's own members in it.

For each room the node keeps the members that it *wants* there: its own peers that have joined. Redis is made to
agree with that (`healing`). What Redis says about the members of other nodes is believed.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from walkie_signal.backends.base import Site
from walkie_signal.backends.redis.messages import read_room_message, read_roster
from walkie_signal.backends.redis.names import Names
from walkie_signal.backends.redis.strange import StrangeKeys, is_strange
from walkie_signal.backends.redis.uplink import Uplink, unavailable
from walkie_signal.backends.redis.wire import Lost, ignore, packed
from walkie_signal.bounded_log import BoundedLog
from walkie_signal.core.changes import Change, Joined, Left, Member, Reason
from walkie_signal.core.replicas import Entry, Replica, Roster

log = logging.getLogger("walkie_signal.redis")

EXPIRY = 3_600_000
"""Milliseconds after which Redis drops what no node renews: it removes leftovers, but no node counts as dead."""

LINGER = 10.0
"""Seconds for which a room is still followed when it has no members here."""


class Followed:
    """A room that is followed.

    Attributes:
        replica: The copy.
        subscribed: Done when Redis has confirmed the subscription to its channel.
        wanted: This node's members.
        changing: The joins and leaves that Redis has been asked for, by peer; each is done when applied.
        healing: Whether the room is being healed.
        doubted: Whether the room has to be read once more.
        read_at: When the room was last read in order to heal it, on the loop's clock.
        aside: Whether the room's key is strange (see `strange`); it is tried again with each touch.
        idle_since: The time since which it has had no members here; ``None`` while it has some.
    """

    __slots__ = (
        "aside",
        "changing",
        "doubted",
        "healing",
        "idle_since",
        "read_at",
        "replica",
        "subscribed",
        "wanted",
    )

    def __init__(self, room: str, subscribed: asyncio.Future[None], uplink: Uplink) -> None:
        self.replica = Replica(
            room, lambda member: member.node == uplink.node_id and member.peer_id not in self.wanted
        )
        self.subscribed = subscribed
        self.wanted: dict[str, Member] = {}
        self.changing: dict[str, asyncio.Future[None]] = {}
        self.healing = self.doubted = self.aside = False
        self.read_at = -math.inf
        self.idle_since: float | None = None

    @property
    def lacks_changes(self) -> bool:
        """Whether changes are missing that no join or leave under way is about to bring."""
        return self.replica.version is None and not self.changing


class FollowedRooms:
    """The followed rooms of one node.

    Attributes:
        site: The node.
        on_change: Called with each change after it was made here.
        on_owed: Called when something was added to `owed`.
        owed: Members that still have to leave Redis, by room and peer, each with its node and reason.
        holding: Whether members may only be missing in Redis because they have not been written back yet.
    """

    def __init__(self, names: Names, uplink: Uplink, strange: StrangeKeys) -> None:
        self.site: Site
        self.on_change: Callable[[Change], None]
        self.on_owed: Callable[[], None]
        self.owed: dict[tuple[str, str], tuple[str, Reason]] = {}
        self.holding = False
        self._names = names
        self._uplink = uplink
        self._strange = strange
        self._lines = BoundedLog(log)
        self._by_room: dict[str, Followed] = {}
        self.get = self._by_room.get
        """Returns a room by its name, or ``None`` if it is not followed."""
        self._by_channel: dict[bytes, Followed] = {}

    def __len__(self) -> int:
        return len(self._by_room)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._by_room))

    def entry(self, room: str, peer_id: str) -> Entry | None:
        """Return the entry of a member, or ``None``."""
        followed = self._by_room.get(room)
        return None if followed is None else followed.replica.entry(peer_id)

    def members_of(self, node: str) -> set[tuple[str, str]]:
        """Return the members of a node, by room and peer."""
        rooms = self._by_room.items()
        return {(room, each.member.peer_id) for room, one in rooms for each in one.replica.entries_of(node)}

    # Following

    def follow(self, room: str) -> Followed:
        """Begin to follow a room, or go on following it.

        Raises:
            SignalingError: ``unavailable``.
        """
        followed = self._by_room.get(room)
        if followed is None:
            listening = self._uplink.listening
            if listening is None:
                raise unavailable()
            channel = self._names.room(room)
            followed = self._by_room[room] = Followed(room, listening.subscribe(channel), self._uplink)
            self._by_channel[channel.encode()] = followed
            self._uplink.post(packed("SADD", self._names.rooms_of(self._uplink.node_id), room), self._listed)
        followed.idle_since = None
        return followed

    def list_all(self) -> None:
        """Write each room into this node's set of rooms."""
        if self._by_room:
            key = self._names.rooms_of(self._uplink.node_id)
            self._uplink.post(packed("SADD", key, *self._by_room), self._listed)

    def _listed(self, answer: Any) -> None:
        """Replace the set of rooms if it is strange: it is this node's own, and its members are found by it."""
        key = self._names.rooms_of(self._uplink.node_id)
        self._strange.look(key, answer)
        if is_strange(answer) and self._by_room:
            self._uplink.post(packed("DEL", key), ignore)
            self._uplink.post(packed("SADD", key, *self._by_room), ignore)

    def rest(self, followed: Followed) -> None:
        """Record that a room may have no members here any more."""
        if not followed.wanted and not followed.changing:
            followed.idle_since = asyncio.get_running_loop().time()

    def sweep(self, now: float) -> None:
        """Stop following the rooms that have long had no members here."""
        for room, followed in list(self._by_room.items()):
            idle = followed.idle_since
            if idle is not None and now - idle > LINGER and not followed.healing:
                self._unfollow(room)

    def _unfollow(self, room: str) -> None:
        channel = self._names.room(room)
        del self._by_room[room], self._by_channel[channel.encode()]
        if self._uplink.listening is not None:
            self._uplink.listening.unsubscribe(channel)
        self._uplink.post(packed("SREM", self._names.rooms_of(self._uplink.node_id), room), ignore)
        self.site.forget(room)

    # Changes

    def hear(self, channel: bytes, data: bytes) -> Followed | None:
        """Take what was published on a room's channel; returns the room if it has to be read again."""
        followed = self._by_channel.get(channel)
        if followed is None:
            return None
        replica = followed.replica
        known = replica.version is not None
        try:
            version, event = read_room_message(replica.room, data)
        except ValueError as error:
            message = "room %r: a change can't be read: %s"
            self._lines.write(logging.WARNING, "changes that can't be read", message, replica.room, error)
            return followed
        self.make(followed, replica.take(version, event))
        return followed if replica.version is None and (known or not followed.changing) else None

    def adopt(self, followed: Followed, roster: Roster) -> None:
        """Take a roster as Redis has it."""
        followed.aside = False
        self._strange.mended(self._names.room(followed.replica.room))
        self.make(followed, followed.replica.adopt(roster, hold=self.holding))
        for peer_id, applied in list(followed.changing.items()):
            known = followed.replica.entry(peer_id)
            if known is not None and known.member == followed.wanted.get(peer_id) and not applied.done():
                # A join that changes nothing makes no difference in the roster, but it has been carried out
                self.make(followed, [Joined(known.member)])

    def roster_of(self, room: str, flat: list[bytes], values: Sequence[bytes] = ()) -> Roster:
        """Read a room's hash and the values beside it, as Redis returns them.

        Raises:
            ValueError: It is not a room's hash.
        """
        fields = _texts(flat)
        roster = read_roster(room, fields, _texts(values))
        unread = len(fields) - len(roster.entries) - 1
        if unread > 0:
            message = "room %r: %d members can't be read"
            self._lines.write(logging.WARNING, "members that can't be read", message, room, unread)
        return roster

    def make(self, followed: Followed, changes: list[Change]) -> None:
        """Make changes here."""
        for change in changes:
            self.site.apply(change)
            self.on_change(change)
            if isinstance(change, Left):
                _done(followed, change.peer_id)
            elif change.member.node == self._uplink.node_id:
                _done(followed, change.member.peer_id)
                self.owed.pop((followed.replica.room, change.member.peer_id), None)
        refused, followed.replica.refused = followed.replica.refused, []
        for member in refused:
            # A join that was answered `unavailable` was carried out after all, or a leave has not been yet
            if (member.room, member.peer_id) not in self.owed and member.peer_id not in followed.changing:
                self.owe(member, "left")

    def owe(self, member: Member, reason: Reason) -> None:
        """Record that a member still has to leave Redis."""
        self.owed[member.room, member.peer_id] = (member.node, reason)
        self.on_owed()

    # The end

    def down(self) -> None:
        """Tell all that wait for a change that it can't be ordered."""
        for followed in self._by_room.values():
            for applied in followed.changing.values():
                if not applied.done():
                    applied.set_exception(Lost())
                    applied.exception()

    def abandon(self) -> None:
        """Want no members any more, because this incarnation has been given up."""
        self.owed.clear()
        for followed in self._by_room.values():
            followed.wanted.clear()
            self.rest(followed)

    def clear(self) -> None:
        """Follow nothing."""
        self._by_room.clear()
        self._by_channel.clear()
        self.owed.clear()


def _texts(flat: Sequence[bytes]) -> dict[str, str]:
    texts = [text.decode("utf-8", "replace") for text in flat]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def _done(followed: Followed, peer_id: str) -> None:
    applied = followed.changing.get(peer_id)
    if applied is not None and not applied.done():
        applied.set_result(None)
