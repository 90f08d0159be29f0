"""What the keeper of a group keeps, and what it does in one step: the rooms, the nodes, and where peers are.

There are two rules for this file: a request is a verb of `STEPS` with its arguments, each a JSON value, and so is
its answer; and time is an argument, in microseconds of the keeper's clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from walkie_signal.backends.shared.records import read_entry, read_value, write_entry, write_value
from walkie_signal.core.changes import Reason
from walkie_signal.core.ledger import Ledger, Published
from walkie_signal.core.replicas import Entry, Roster

SILENT_AFTER = 3_000_000
"""Microseconds without a renewal after which the other nodes watch a node."""

REMOVED_AFTER = 1_000_000
"""Microseconds after which a dead node may be removed that has said nothing in this term: by then the living have
written back what they know of it, and whoever removes it tells of each member."""

HELD = 20_000_000
"""Microseconds of a term in which a worker may still hold members that it has not seen here: a lease, and the time
that it takes to connect."""

Answer = tuple[Any, list[Published]]
"""The answer to a request, and what is published."""

Entries = list[tuple[str, str]]
"""Members, each by its peer id and as the store writes it."""


class Book:
    """The book of one term.

    Args:
        generation: The generation of its data; each term has another one.
        now: The time.
    """

    def __init__(self, generation: str, now: int) -> None:
        self.generation = generation
        self._ledger = Ledger()
        self._renewed: dict[str, int] = {}
        self._dead: set[str] = set()
        self._unheard: dict[str, int] = {}  # since when it is known that they are dead
        self._began = now
        self._claims: dict[str, str] = {}
        self._gone: set[str] = set()
        self._peers: dict[str, str] = {}
        self._users: dict[str, dict[str, str]] = {}

    def die(self, node: str, now: int) -> None:
        """Record that the worker of a node has ended."""
        if node not in self._renewed:
            self._renewed[node] = now - SILENT_AFTER
            self._unheard[node] = now
        self._dead.add(node)

    def carry_out(self, node: str, verb: str, arguments: list[Any], now: int) -> Answer:
        """Take one step for a node.

        Raises:
            ValueError: There is no such step, or its arguments are not what it takes.
        """
        step = STEPS.get(verb)
        if step is None:
            raise ValueError("no such request")
        try:
            return step(self, node, now, *arguments)
        except (TypeError, AttributeError, KeyError) as error:
            raise ValueError(f"a request with wrong arguments: {verb}: {error}") from None

    # Nodes

    def beat(self, node: str, now: int, known: str) -> Answer:
        """Renew a lease; the answer is what `Renewal` holds."""
        renewed = self._renewed.get(node)
        alive = known != self.generation or (renewed is not None and renewed > 0)
        if alive:
            self._renewed[node] = now
        silent = {
            each: str(at)
            for each, at in self._renewed.items()
            if each != node and (at <= now - SILENT_AFTER or each in self._dead)
        }
        return [self.generation, now, alive, silent, renewed or 0, sorted(self._dead)], []

    def claim(self, node: str, now: int, dead: str, renewed: str) -> Answer:
        """Let exactly one node remove a dead one; the answer says whether it is this one."""
        if self._renewed.get(dead) != int(renewed) or now < self._unheard.get(dead, 0) + REMOVED_AFTER:
            return False, []
        claimed = self._claims.get(dead)
        if claimed not in (None, dead, node) and self._renewed.get(claimed or "", 0) > 0:
            return False, []
        self._claims[dead] = node
        self._renewed[dead] = 0
        return True, []

    def forget(self, _node: str, now: int, gone: str) -> Answer:
        """Remove a node that has no members any more."""
        self._renewed.pop(gone, None)
        self._claims.pop(gone, None)
        self._unheard.pop(gone, None)
        self._dead.discard(gone)
        if now - self._began < HELD:
            self._gone.add(gone)
        else:
            self._gone.clear()
        self._peers = {peer_id: node for peer_id, node in self._peers.items() if node != gone}
        return True, []

    def rooms_of(self, _node: str, now: int, other: str) -> Answer:
        """Answer with the rooms that a node has members in."""
        return self._ledger.rooms_of(other, now), []

    # Rooms

    def join(  # noqa: PLR0917 - as a request has them
        self,
        _node: str,
        now: int,
        room: str,
        peer_id: str,
        text: str,
        capacity: int,
        reads: bool,  # noqa: FBT001
    ) -> Answer:
        """Make a peer a member; the answer is the room if it was asked for, and ``None`` if the room is full."""
        member = read_entry(room, peer_id, f"0 {text}").member
        joined, published = self._ledger.join(member, capacity, now)
        if not joined:
            return None, []
        return self._written(room, now) if reads else [], published

    def leave(self, _node: str, now: int, room: str, peer_id: str, owner: str, reason: Reason) -> Answer:
        """Take a member out; the answer says whether it was one, of that node."""
        return self._ledger.leave(room, peer_id, owner, reason, now)

    def settle(  # noqa: PLR0917 - as above
        self,
        node: str,
        now: int,
        room: str,
        owner: str,
        members: dict[str, str | None],
        values: Entries | None,
    ) -> Answer:
        """Make a node's members in a room exactly those that are listed; the answer is the room."""
        if owner != node and (owner not in self._dead or not self._renewed[owner]):  # its removal has begun
            return self._written(room, now), []
        listed = {
            peer_id: None if text is None else read_entry(room, peer_id, text)
            for peer_id, text in members.items()
        }
        back = None if values is None else [read_value(key, text) for key, text in values]
        _, published = self._ledger.settle(room, owner, "disconnected", listed, now, writes_back=back)
        return self._written(room, now), published

    def remove(self, _node: str, now: int, room: str, owner: str) -> Answer:
        """Take all members of a dead node out of a room; the answer is who they were."""
        removed, published = self._ledger.settle(room, owner, "node_lost", {}, now)
        return _entries(removed), published

    def roster(self, _node: str, now: int, room: str) -> Answer:
        """Answer with a room."""
        return self._written(room, now), []

    def _written(self, room: str, now: int) -> list[Any]:
        roster: Roster = self._ledger.roster(room, now)
        values = [(value.key, write_value(value)) for value in roster.values]
        return [[*roster.version], _entries(roster.entries), sorted(roster.settled | self._gone), values]

    def names(self, _node: str, now: int) -> Answer:
        """Answer with the names of the rooms that have members."""
        return sorted(self._ledger.rooms(now)), []

    # Values

    def read(self, _node: str, now: int, room: str, key: str) -> Answer:
        """Answer with a value as it is written, or ``None``."""
        value = self._ledger.read(room, key, now)
        return write_value(value) if value.key else None, []

    def swap(  # noqa: PLR0917 - as above
        self,
        node: str,
        now: int,
        room: str,
        key: str,
        version: int,
        text: str,
        member: str | None,
        keep: int,
    ) -> Answer:
        """Give a value another text; the answer is how that ended."""
        return self._ledger.swap(room, key, version, text, now, node=node, member=member, keep=keep * 1000)

    # Places

    def enter(self, node: str, _now: int, peer_id: str, user_id: str | None) -> Answer:
        """Enter that a connection is on this node."""
        if user_id is None:
            self._peers[peer_id] = node
        else:
            self._users.setdefault(user_id, {})[peer_id] = node
        return True, []

    def withdraw(self, _node: str, _now: int, peer_id: str, user_id: str | None) -> Answer:
        """Take such an entry out."""
        if user_id is None:
            self._peers.pop(peer_id, None)
        elif user_id in self._users:
            self._users[user_id].pop(peer_id, None)
            if not self._users[user_id]:
                del self._users[user_id]
        return True, []

    def of_peer(self, _node: str, _now: int, peer_id: str) -> Answer:
        """Answer with the node of a connection, by its peer id."""
        return {peer_id: self._peers[peer_id]} if peer_id in self._peers else {}, []

    def of_user(self, _node: str, _now: int, user_id: str) -> Answer:
        """Answer with the node of each of a user's connections, by peer id."""
        return self._users.get(user_id, {}), []


def _entries(entries: Iterable[Entry]) -> Entries:
    return [(each.member.peer_id, write_entry(each)) for each in entries]


STEPS: Mapping[str, Callable[..., Answer]] = {
    "beat": Book.beat,
    "claim": Book.claim,
    "forget": Book.forget,
    "rooms_of": Book.rooms_of,
    "join": Book.join,
    "leave": Book.leave,
    "settle": Book.settle,
    "remove": Book.remove,
    "roster": Book.roster,
    "names": Book.names,
    "read": Book.read,
    "swap": Book.swap,
    "enter": Book.enter,
    "withdraw": Book.withdraw,
    "of_peer": Book.of_peer,
    "of_user": Book.of_user,
}
"""What each request does."""
