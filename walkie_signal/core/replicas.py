"""A node's copy of a room that other nodes change too. The versions of the changes keep it current.

    unknown ──adopt a roster──▶ known ──take the next change──▶ known
       ▲                          │
       └────── a change is missing, or `doubt` ──────┘

There are two rules for this file:

1. Whatever happened meanwhile, adopting a roster gives the *difference* as changes. So the same rules hold for a
   node that was always there and for one that was cut off.
2. A roster from a store that has lost its memory removes no members of other nodes: those that it lacks are held
   until their node has settled, or until `release` is called because that node has had enough time.

The values beside a room follow its changes too. A value of another node that such a store lacks is held likewise.

A node knows best which members it has itself. If it has taken one out, or never let it in, it does not take it in
only because the store still lists it. Such members are in `refused`, and the node has the store take them out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from typing_extensions import assert_never

from walkie_signal.core.changes import Change, Joined, Left, Member, Reason
from walkie_signal.core.values import Value


class Version(NamedTuple):
    """The place of a change in the order of its room.

    Attributes:
        epoch: When the room began, by the store's clock in microseconds. A later room of the same name has a
            greater epoch, unless that clock was set back meanwhile.
        number: How many changes the room has had.
    """

    epoch: int
    number: int


NOWHERE = Version(0, 0)
"""The version of a room that does not exist."""


class Entry(NamedTuple):
    """A member, and the time when it became one, in microseconds of the store's clock."""

    member: Member
    since: int


@dataclass(frozen=True, slots=True)
class Entered:
    """A peer has become a member, or is announced again."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Settled:
    """A node has said which members it has in the room: exactly these.

    Attributes:
        node: The node's id.
        reason: Why its members that are not listed are gone.
        entries: Its members.
    """

    node: str
    reason: Reason
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Swapped:
    """A value beside the room has another text."""

    value: Value


RoomEvent = Entered | Left | Settled | Swapped


class Roster(NamedTuple):
    """A room as the store has it.

    Attributes:
        version: The version of its last change; `NOWHERE` if the room does not exist.
        entries: Its members.
        settled: The nodes that have written their members back since the store lost its memory.
        values: The values beside it.
    """

    version: Version
    entries: tuple[Entry, ...] = ()
    settled: frozenset[str] = frozenset()
    values: tuple[Value, ...] = ()


class Replica:
    """The copy of one room.

    Args:
        room: Its name.
        refuses: Tells whether a member belongs to this node, but is not in the room as far as this node knows.

    Attributes:
        version: The version of its last change; ``None`` while unknown.
        values: The values beside it, by their keys.
        refused: The members that were not taken in; the caller deals with them and clears the list.
    """

    __slots__ = (
        "_early",
        "_entries",
        "_held",
        "_held_values",
        "_latest",
        "_passed_over",
        "_refuses",
        "entry",
        "refused",
        "room",
        "values",
        "version",
    )

    def __init__(self, room: str, refuses: Callable[[Member], bool] = lambda _: False) -> None:
        self.room = room
        self.refused: list[Member] = []
        self._refuses = refuses
        self.version: Version | None = None
        self._latest = self._passed_over = NOWHERE
        self._entries: dict[str, Entry] = {}
        self.entry = self._entries.get
        """Returns the entry of a member by its peer id, or ``None``."""
        self._held: set[str] = set()
        self.values: dict[str, Value] = {}
        self._held_values: set[str] = set()
        self._early: list[tuple[Version, RoomEvent | None]] = []

    def __len__(self) -> int:
        return len(self._entries)

    def entries_of(self, node: str) -> list[Entry]:
        """Return a node's members."""
        return [entry for entry in self._entries.values() if entry.member.node == node]

    def peers(self) -> list[str]:
        """Return the ids of all members."""
        return list(self._entries)

    def roster(self) -> Roster:
        """Return the room as it is known here, in the order in which its members joined."""
        entries = tuple(sorted(self._entries.values(), key=lambda each: (each.since, each.member.peer_id)))
        return Roster(self.version or NOWHERE, entries, values=tuple(self.values.values()))

    def values_of(self, node: str) -> list[Value]:
        """Return the values that a node swapped last; none if the room has no members, for they may have ended."""
        return [value for value in self.values.values() if value.node == node] if self._entries else []

    def holds(self, key: str) -> bool:
        """Tell whether the store lacks a value only because its node has not written it back yet."""
        return key in self._held_values

    def take(self, version: Version, event: RoomEvent | None) -> list[Change]:
        """Take an event that the store has published; returns what changes here.

        An event that was seen already changes nothing. If an earlier event is missing, or while the copy is
        unknown, the event is kept until a roster is adopted. ``None`` is an event of an unknown kind; its version
        counts, unless another event has the same one: then the first was not the store's, and changes are missing.
        """
        known = self.version
        if known is not None and version.epoch == known.epoch and version.number <= known.number:
            if event is None or version != self._passed_over:
                return []
        # Once a room has lost its last member, only the store knows which of its values are still there
        elif known is not None and self._follows(version, known) and (self._entries or not self.values):
            self.version = self._latest = version
            if event is None:
                self._passed_over = version
            return self._carry_out(event)
        self.version = None
        self._early.append((version, event))
        return []

    def _follows(self, version: Version, known: Version) -> bool:
        if version.epoch == known.epoch:
            return version.number == known.number + 1
        return version.number == 1 and not self._entries

    def is_ahead_of(self, roster: Roster) -> bool:
        """Tell whether a store that gives this roster now has forgotten changes of the room that it once gave."""
        return roster.version.epoch == self._latest.epoch and roster.version.number < self._latest.number

    def adopt(self, roster: Roster, *, hold: bool = False) -> list[Change]:
        """Take a roster as the store has it; returns the difference, in the order of joining.

        Args:
            roster: The roster.
            hold: Whether members may only be missing because they have not been written back yet. If so, the
                missing members of nodes that have not settled are held.
        """
        if self.version is not None and roster.version <= self.version:
            return []
        entries = {entry.member.peer_id: entry for entry in roster.entries}
        lived = bool(self._entries)  # the values beside a room that had ended may be gone with it
        missing = {peer_id for peer_id in self._entries if peer_id not in entries}
        if hold:
            self._held |= {each for each in missing if self._entries[each].member.node not in roster.settled}
        changes = self._differ(sorted(missing - self._held), entries, "disconnected")
        self._adopt_values(roster, hold=hold and lived)
        self.version = self._latest = roster.version
        early, self._early = self._early, []
        for version, event in early:
            if version > roster.version:
                changes += self.take(version, event)
        return changes

    def _adopt_values(self, roster: Roster, *, hold: bool) -> None:
        before, self.values = self.values, {value.key: value for value in roster.values}
        self._held_values.clear()
        for key, value in before.items() if hold else ():
            stored = self.values.get(key)
            if (stored is None or stored.version < value.version) and value.node not in roster.settled:
                self.values[key] = value
                self._held_values.add(key)

    def doubt(self) -> None:
        """Record that changes may have been missed, so that a roster has to be adopted."""
        self.version = None
        self._early.clear()

    def release(self) -> list[Change]:
        """Remove the members and the values that are held, because their node has not come back."""
        for key in self._held_values:
            del self.values[key]
        self._held_values.clear()
        gone = [peer_id for peer_id in self._held if peer_id in self._entries]
        self._held.clear()
        return self._differ(gone, {}, "node_lost")

    def withdraw(self, peer_id: str, reason: Reason) -> list[Change]:
        """Take out a member of this node without the store, when the store can't order it."""
        return self._differ([peer_id] if peer_id in self._entries else [], {}, reason)

    def _carry_out(self, event: RoomEvent | None) -> list[Change]:
        if event is None:
            return []
        if isinstance(event, Entered):
            return self._differ([], {event.entry.member.peer_id: event.entry}, "left", again=True)
        if isinstance(event, Left):
            return self.withdraw(event.peer_id, event.reason)
        if isinstance(event, Settled):
            return self._settle(event)
        if isinstance(event, Swapped):
            self.values[event.value.key] = event.value
            self._held_values.discard(event.value.key)
            return []
        assert_never(event)

    def _settle(self, event: Settled) -> list[Change]:
        listed = {entry.member.peer_id: entry for entry in event.entries}
        before = [entry.member.peer_id for entry in self.entries_of(event.node)]
        return self._differ([each for each in before if each not in listed], listed, event.reason)

    def _differ(
        self, gone: Iterable[str], here: Mapping[str, Entry], reason: Reason, *, again: bool = False
    ) -> list[Change]:
        """Take some members out and others in; returns the changes, with `again` also for members as they were."""
        changes: list[Change] = []
        for peer_id in gone:
            del self._entries[peer_id]
            self._held.discard(peer_id)
            changes.append(Left(self.room, peer_id, reason))
        for peer_id, entry in sorted(here.items(), key=lambda each: each[1].since):
            self._held.discard(peer_id)
            known = self._entries.get(peer_id)
            if known is None and self._refuses(entry.member):
                self.refused.append(entry.member)
            elif again or known != entry:
                self._entries[peer_id] = entry
                changes.append(Joined(entry.member))
        return changes
