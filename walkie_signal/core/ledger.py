"""What a store does in each step: it orders the changes of its rooms, and of the values beside them.

    none ──join, or settle with members──▶ with members ──the last member goes──▶ none
    none ──settle that writes back nobody──▶ without members ──join──▶ with members
                                                     └──after `STAYS`──▶ none

There are three rules for this file:

1. A step is one call. It returns its answer and what is published, in order; a step that changes nothing publishes
   nothing. Steps of one ledger are never under way together.
2. Time is an argument, in microseconds. It decides when a room begins, since when a member is one, which version a
   value gets, and how long something stays without members; nothing else.
3. The scripts of the store on Redis do the same (`backends/redis/scripts`); a test plays the same steps to both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from heapq import heappop, heappush

from walkie_signal.core.changes import Left, Member, Reason
from walkie_signal.core.replicas import NOWHERE, Entered, Entry, RoomEvent, Roster, Settled, Swapped, Version
from walkie_signal.core.values import ABSENT, Outcome, Value, check_value

STAYS = 20_000_000
"""Microseconds for which a room stays that a node has written back without members: others have to see this too."""


Published = tuple[str, Version, RoomEvent]
"""What those hear who follow a room: its name, the version that it has now, and the event."""

_version: Callable[[tuple[int, int]], Version] = partial(tuple.__new__, Version)
_entry: Callable[[tuple[Member, int]], Entry] = partial(tuple.__new__, Entry)
"""These make what each join makes; the named tuples' own constructors take twice as long."""


class _Room:
    """A room as the ledger has it; its epoch is 0 while there are only values."""

    __slots__ = ("entries", "epoch", "name", "number", "settled", "until", "values")

    def __init__(self, name: str) -> None:
        self.name = name
        self.epoch = self.number = self.until = 0
        self.entries: dict[str, Entry] = {}
        self.settled: frozenset[str] = frozenset()
        self.values: dict[str, Value] = {}


class Ledger:
    """The rooms of a store."""

    def __init__(self) -> None:
        self._rooms: dict[str, _Room] = {}
        self._ending: list[tuple[int, str]] = []

    # Members

    def join(self, member: Member, capacity: int, now: int) -> tuple[bool, list[Published]]:
        """Make a peer a member, or announce it again; the answer is false if the room is full."""
        room = self._room(member.room, now)
        known = room.entries.get(member.peer_id)
        if known is None and len(room.entries) >= capacity:
            return False, []
        entry = room.entries[member.peer_id] = _entry((member, now if known is None else known.since))
        return True, [(room.name, self._save(room, now), Entered(entry))]

    def leave(
        self, name: str, peer_id: str, node: str, reason: Reason, now: int
    ) -> tuple[bool, list[Published]]:
        """Take a member out; the answer says whether it was a member, of that node."""
        room = self._room(name, now)
        known = room.entries.get(peer_id)
        if known is None or known.member.node != node:
            return False, []
        del room.entries[peer_id]
        return True, [(name, self._save(room, now), Left(name, peer_id, reason))]

    def settle(
        self,
        name: str,
        node: str,
        reason: Reason,
        listed: Mapping[str, Entry | None],
        now: int,
        *,
        writes_back: Iterable[Value] | None = None,
    ) -> tuple[list[Entry], list[Published]]:
        """Make a node's members in a room exactly those that are listed; the answer is who was removed.

        Args:
            name: The room.
            node: The node.
            reason: Why its members that are not listed are gone.
            listed: Its members by their ids; ``None`` keeps a member as it is, if the peer is one.
            now: The time.
            writes_back: If the node does this because the store has lost its memory, the values that it writes
                back; each is taken if it is newer than the one that is there. Otherwise ``None``.
        """
        room = self._room(name, now)
        ours = [each for each in room.entries.values() if each.member.node == node]
        removed = [each for each in ours if each.member.peer_id not in listed]
        for each in removed:
            del room.entries[each.member.peer_id]
        changed = bool(removed) or writes_back is not None
        for peer_id, entry in listed.items():
            if entry is not None and room.entries.get(peer_id) != entry:
                room.entries[peer_id] = entry
                changed = True
        published: list[Published] = []
        if changed:
            entries = tuple(room.entries[peer_id] for peer_id in listed if peer_id in room.entries)
            if writes_back is not None:
                room.settled |= {node}
            version = self._save(room, now, 0 if writes_back is None else STAYS)
            published.append((name, version, Settled(node, reason, entries)))
        newer = [
            each for each in writes_back or () if room.values.get(each.key, ABSENT).version < each.version
        ]
        return removed, published + [self._put(room, value, now) for value in newer]

    # Values

    def read(self, name: str, key: str, now: int) -> Value:
        """Return a value, or `ABSENT`."""
        return self._room(name, now).values.get(key, ABSENT)

    def swap(
        self,
        name: str,
        key: str,
        version: int,
        text: str,
        now: int,
        *,
        node: str,
        member: str | None = None,
        keep: int = 0,
    ) -> tuple[Outcome, list[Published]]:
        """Give a value another text, if it still has the version that the caller knows.

        Args:
            name: The room.
            key: What the value is called there.
            version: The version that the caller knows; 0 if it knows none.
            text: The text.
            now: The time.
            node: The node that swaps.
            member: The peer that has to be a member.
            keep: For how many microseconds the value stays without members; 0 if it goes with the last one.

        Raises:
            ValueError: A store takes no such key or text.
        """
        check_value(key, text)
        room = self._room(name, now)
        if (member is not None and member not in room.entries) or not (room.epoch or keep):
            return "gone", []
        known = room.values.get(key, ABSENT)
        if known.version != version:
            return "lost", []
        # The versions go by the clock, so that no value of a later room has the version of an earlier one
        value = Value(key, max(version + 1, now), now + keep if keep else 0, node, text)
        return "swapped", [self._put(room, value, now)]

    # What there is

    def roster(self, name: str, now: int) -> Roster:
        """Return a room as it is, with the values beside it."""
        room = self._room(name, now)
        version = Version(room.epoch, room.number) if room.epoch else NOWHERE
        return Roster(version, tuple(room.entries.values()), room.settled, tuple(room.values.values()))

    def rooms(self, now: int) -> list[str]:
        """Return the names of the rooms that have members."""
        self._end_due(now)
        return [name for name, room in self._rooms.items() if room.entries]

    def rooms_of(self, node: str, now: int) -> list[str]:
        """Return the names of the rooms that a node has members in."""
        entries = ((name, self._rooms[name].entries.values()) for name in self.rooms(now))
        return [name for name, members in entries if any(each.member.node == node for each in members)]

    # How a room is kept

    def _room(self, name: str, now: int) -> _Room:
        if self._ending:
            self._end_due(now)
        room = self._rooms.get(name)
        return _Room(name) if room is None else room

    def _save(self, room: _Room, now: int, stays: int = 0) -> Version:
        """Count a change of the members, and keep the room, or end it."""
        if not room.epoch:
            room.epoch, room.number = now, 0
            self._rooms[room.name] = room
        room.number += 1
        version = _version((room.epoch, room.number))
        if not room.entries:
            room.until = now + stays
            if stays:
                heappush(self._ending, (room.until, room.name))
            else:
                self._end(room, now)
        return version

    def _put(self, room: _Room, value: Value, now: int) -> Published:
        """Keep a value, and count this as a change."""
        room.values[value.key] = value
        if room.epoch:
            room.number += 1
            return room.name, Version(room.epoch, room.number), Swapped(value)
        self._rooms[room.name] = room
        heappush(self._ending, (value.until, room.name))
        return room.name, Version(now, 1), Swapped(value)

    def _end_due(self, now: int) -> None:
        """End what stays no longer without members."""
        while self._ending and self._ending[0][0] <= now:
            room = self._rooms.get(heappop(self._ending)[1])
            if room is not None and not room.entries and room.until <= now:
                self._end(room, now)

    def _end(self, room: _Room, now: int) -> None:
        """End a room, but for the values that stay."""
        room.epoch, room.settled = 0, frozenset()
        room.values = {key: value for key, value in room.values.items() if value.until > now}
        if room.values:
            heappush(self._ending, (min(value.until for value in room.values.values()), room.name))
        else:
            self._rooms.pop(room.name, None)
