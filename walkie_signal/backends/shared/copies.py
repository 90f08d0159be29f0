"""The copy that a node keeps of a room which it follows, with the node's own members in it.

For each room the node keeps the members that it *wants* there: its own peers that have joined. The store is made to
agree with that. What the store says about the members of other nodes is believed.

There are two rules for this file: only a copy writes its own fields, and its state only changes by a step in
`states.TRANSITIONS`.
"""

from __future__ import annotations

import asyncio
import math

from walkie_signal.backends.shared.incarnation import Incarnation
from walkie_signal.backends.shared.states import TRANSITIONS, State, Step
from walkie_signal.backends.shared.store import StoreError
from walkie_signal.core.changes import Change, Joined, Member, Reason
from walkie_signal.core.replicas import Entry, Replica, RoomEvent, Roster, Version
from walkie_signal.core.transitions import state_after
from walkie_signal.core.values import Value

PAUSE = 0.1
"""Least seconds between two readings of a room in order to heal it: what others publish may cause any number."""


class RoomCopy:
    """The copy of one room.

    Args:
        room: The name of the room.
        incarnation: The node that keeps it.
        heard: Done when its changes are heard.

    Attributes:
        room: The name of the room.
        entry: Returns the entry of a member by its peer id, or ``None``.
        state: Its state, which is a step of `TRANSITIONS` behind the last one.
        heard: Done when its changes are heard.
        wanted: This node's members.
        changing: The joins and leaves that the store has been asked for, by peer; each is done when applied.
        read_at: When it was last read in order to heal it, on the loop's clock.
        idle_since: The time since which it has had no members here; ``None`` while it has some.
    """

    __slots__ = (
        "_incarnation", "_replica", "changing", "entry", "heard", "idle_since", "read_at", "room", "state",
        "wanted",
    )  # fmt: skip

    def __init__(self, room: str, incarnation: Incarnation, heard: asyncio.Future[None]) -> None:
        self._incarnation = incarnation
        self._replica = Replica(room, self._refuses)
        self.room = room
        self.entry = self._replica.entry
        self.state = State.RESTING
        self.heard = heard
        self.wanted: dict[str, Member] = {}
        self.changing: dict[str, asyncio.Future[None]] = {}
        self.read_at = -math.inf
        self.idle_since: float | None = None

    def _refuses(self, member: Member) -> bool:
        return member.node == self._incarnation.id and member.peer_id not in self.wanted

    def _change_state(self, step: Step) -> None:
        self.state = state_after(TRANSITIONS, self.state, step)

    # What it knows

    @property
    def version(self) -> Version | None:
        """The version of the last change; ``None`` while changes are missing."""
        return self._replica.version

    @property
    def lacks_changes(self) -> bool:
        """Whether changes are missing that no join or leave under way is about to bring."""
        return self._replica.version is None and not self.changing

    @property
    def healing(self) -> bool:
        """Whether it is to be read, or being read."""
        return self.state in (State.DUE, State.READING)

    def entries_of(self, node: str) -> list[Entry]:
        """Return a node's members."""
        return self._replica.entries_of(node)

    def peers(self) -> list[str]:
        """Return the ids of all members."""
        return self._replica.peers()

    def roster(self) -> Roster:
        """Return the room as it is known here."""
        return self._replica.roster()

    def own(self) -> dict[str, Entry | None]:
        """Return what the store is to say of this node's members; ``None`` where it may know better already."""
        members: dict[str, Entry | None] = {}
        for peer_id in self.wanted:
            entry = self.entry(peer_id)
            if peer_id in self.changing:
                members[peer_id] = None
            elif entry is not None and entry.member.node == self._incarnation.id:
                members[peer_id] = entry
        return members

    def own_values(self) -> list[Value]:
        """Return the values that this node swapped last."""
        return self._replica.values_of(self._incarnation.id)

    def holds(self, key: str) -> bool:
        """Tell whether the store lacks a value only because its node has not written it back yet."""
        return self._replica.holds(key)

    def is_missed_in(self, roster: Roster) -> bool:
        """Tell whether a roster lacks a member of this node that nobody here has taken out."""
        listed = {entry.member.peer_id for entry in roster.entries}
        own = self.wanted.keys() - self.changing.keys()
        return any(peer_id not in listed and self.entry(peer_id) is not None for peer_id in own)

    def is_ahead_of(self, roster: Roster) -> bool:
        """Tell whether the store has forgotten changes; see `Replica.is_ahead_of`."""
        return self._replica.is_ahead_of(roster)

    # Its changes: each method returns those that have to be made here

    def hear(self, version: Version, event: RoomEvent | None) -> list[Change]:
        """Take a change that the store has published."""
        return self._replica.take(version, event)

    def adopt(self, roster: Roster, *, hold: bool) -> list[Change]:
        """Take a roster as the store has it; see `Replica.adopt`."""
        self._change_state(Step.ADOPT)
        changes = self._replica.adopt(roster, hold=hold)
        joined = {change.member.peer_id for change in changes if isinstance(change, Joined)}
        for peer_id, applied in self.changing.items():
            known = self.entry(peer_id)
            carried_out = known is not None and known.member == self.wanted.get(peer_id)
            if known is not None and carried_out and peer_id not in joined and not applied.done():
                # A join that changes nothing makes no difference in the roster
                changes.append(Joined(known.member))
        return changes

    def withdraw(self, peer_id: str, reason: Reason) -> list[Change]:
        """Take out a member of this node without the store."""
        return self._replica.withdraw(peer_id, reason)

    def release(self) -> list[Change]:
        """Take out the members whose node has not written them back."""
        return self._replica.release()

    def refused(self) -> list[Member]:
        """Return the members of this node that the store has and that are not wanted, once each."""
        refused, self._replica.refused = self._replica.refused, []
        return [member for member in refused if member.peer_id not in self.changing]

    def take_over(self, roster: Roster) -> None:
        """Take in the members of a room that this node has kept alone."""
        self.wanted.update((entry.member.peer_id, entry.member) for entry in roster.entries)
        self._replica.adopt(roster)
        self.rest()

    # The joins and leaves of this node's peers

    def join(self, member: Member) -> Member | None:
        """Want a member, and begin to wait for its join; returns the member that was wanted before."""
        before = self.wanted.get(member.peer_id)
        self.wanted[member.peer_id] = member
        self._begin(member.peer_id)
        return before

    def take_back(self, member: Member, before: Member | None) -> None:
        """Want the member again that was wanted before a join that has failed."""
        if self.wanted.get(member.peer_id) is not member:
            return  # meanwhile this node has become another
        del self.wanted[member.peer_id]
        if before is not None:
            self.wanted[member.peer_id] = before

    def leave(self, peer_id: str) -> bool:
        """Want a member no more, and begin to wait for its leave; returns whether it was wanted."""
        if self.wanted.pop(peer_id, None) is None:
            return False
        self._begin(peer_id)
        return True

    def _begin(self, peer_id: str) -> None:
        self.changing[peer_id] = asyncio.get_running_loop().create_future()

    def applied(self, peer_id: str) -> None:
        """Record that the join or the leave of a peer has been made here, so that nobody waits for it any more."""
        waiting = self.changing.get(peer_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def end(self, peer_id: str) -> None:
        """Stop waiting for a join or a leave."""
        del self.changing[peer_id]
        self.rest()

    def fail(self) -> None:
        """Let all joins and leaves under way fail, because the store is away."""
        for applied in self.changing.values():
            if not applied.done():
                applied.set_exception(StoreError())
                applied.exception()

    def abandon(self) -> None:
        """Want no members any more, because this incarnation has been given up."""
        self.wanted.clear()
        self.rest()

    # Following

    def use(self) -> None:
        """Record that a member is about to join here."""
        self.idle_since = None

    def rest(self) -> None:
        """Record since when the room has no members here, if it has none."""
        if not self.wanted and not self.changing:
            self.idle_since = asyncio.get_running_loop().time()

    def hear_anew(self, heard: asyncio.Future[None]) -> None:
        """Hear the changes on a new connection; some may have been missed in between."""
        self._replica.doubt()
        self.heard = heard

    # Healing

    def doubt(self) -> bool:
        """Record that it has to be read; returns whether somebody has to begin with that."""
        begins = not self.healing
        self._change_state(Step.DOUBT)
        return begins

    def pause(self) -> float:
        """Return the seconds until it may be read; none are left if the number is not above 0."""
        return self.read_at + PAUSE - asyncio.get_running_loop().time()

    def read(self) -> None:
        """Record that the reading begins: what is heard from now on waits for it."""
        self._change_state(Step.READ)
        self.read_at = asyncio.get_running_loop().time()
        self._replica.doubt()

    def answered(self) -> None:
        """Record that the reading is over; if it still lacks changes, it is to be read once more."""
        self._change_state(Step.ANSWER if self._replica.version is not None else Step.DOUBT)

    def give_up(self) -> None:
        """Record that it can't be read now: whoever restores will read it."""
        self._change_state(Step.FAIL)

    def set_aside(self) -> None:
        """Record that the room can't be changed or read for now, because its key is strange; the copy stays."""
        self._change_state(Step.SET_ASIDE)
        self._replica.doubt()
