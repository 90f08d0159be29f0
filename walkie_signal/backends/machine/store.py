"""The store that the keeper of a group keeps, as one of its workers sees it: each method is one request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from walkie_signal.backends.machine.uplink import OWN, Uplink, channel_of
from walkie_signal.backends.shared.incarnation import Incarnation
from walkie_signal.backends.shared.records import (
    read_entries,
    read_value,
    read_values,
    write_entry,
    write_member,
    write_value,
)
from walkie_signal.backends.shared.store import LostError, Place, Renewal
from walkie_signal.bounded_log import BoundedLog
from walkie_signal.core.changes import Member, Reason
from walkie_signal.core.replicas import Entry, Roster, Version
from walkie_signal.core.values import ABSENT, Outcome, Value
from walkie_signal.errors import room_full

log = logging.getLogger("walkie_signal.machine")

_LINES = BoundedLog(log)


def _ignore(_answer: Any) -> None:
    pass


class _Part:
    """What the parts of the store have in common."""

    def __init__(self, uplink: Uplink, incarnation: Incarnation) -> None:
        self._uplink = uplink
        self._incarnation = incarnation
        self._ask = uplink.ask
        self._post = uplink.post


class KeptRooms(_Part):
    """The rooms of all workers."""

    def follow(self, room: str) -> asyncio.Future[None]:
        """Begin to hear the changes of a room."""
        return self._ask("follow", room)

    def unfollow(self, room: str) -> None:
        """Stop hearing the changes of a room."""
        self._post(_ignore, "unfollow", room)

    def channel(self, room: str) -> bytes:
        """Return the channel on which the changes of a room are heard."""
        return channel_of(room)

    async def join(self, member: Member, capacity: int, *, reads: bool) -> Roster | None:
        """Make a peer a member, or announce it again."""
        text = write_member(member)
        found = await self._ask("join", member.room, member.peer_id, text, capacity, reads)
        if found is None:
            raise room_full(capacity)
        return _roster(member.room, found) if reads else None

    async def leave(self, room: str, peer_id: str, node: str, reason: Reason) -> bool:
        """Take a member out."""
        return bool(await self._ask("leave", room, peer_id, node, reason))

    async def settle(
        self,
        room: str,
        node: str,
        members: Mapping[str, Entry | None],
        values: Sequence[Value],
        *,
        writes_back: bool,
    ) -> Roster:
        """Make a node's members of a room exactly `members`."""
        listed = {
            peer_id: None if entry is None else write_entry(entry) for peer_id, entry in members.items()
        }
        back = [(value.key, write_value(value)) for value in values] if writes_back else None
        return _roster(room, await self._ask("settle", room, node, listed, back))

    async def remove(self, room: str, node: str) -> list[Member]:
        """Take all members of a dead node out of a room."""
        removed = await self._ask("remove", room, node)
        return [entry.member for entry in read_entries(room, removed)]

    async def touch(self, room: str) -> Version:
        """Return a room's version."""
        return (await self.roster(room)).version

    async def roster(self, room: str) -> Roster:
        """Return a room."""
        return _roster(room, await self._ask("roster", room))

    async def names(self) -> list[str]:
        """Return the names of the rooms that have members."""
        names: list[str] = await self._ask("names")
        return names


def _roster(room: str, found: Any) -> Roster:
    version, entries, settled, values = found
    return Roster(
        Version(*version),
        tuple(read_entries(room, entries)),
        frozenset(settled),
        tuple(read_values(dict(values))),
    )


class KeptNodes(_Part):
    """The nodes of all workers."""

    async def check_rights(self) -> None:
        """Do nothing: a keeper does all that it is asked for."""

    async def beat(self) -> Renewal:
        """Renew this node's lease."""
        self._uplink.look()
        generation, now, alive, silent, renewed, dead = await self._ask("beat", self._incarnation.known)
        return Renewal(generation, now, alive, silent, renewed, frozenset(dead))

    async def claim(self, node: str, renewed: str) -> bool:
        """Claim the removal of a node."""
        return bool(await self._ask("claim", node, renewed))

    async def forget(self, node: str) -> None:
        """Remove a node that has no members any more."""
        await self._ask("forget", node)

    async def rooms_of(self, node: str) -> list[str]:
        """Return the rooms that a node has members in."""
        rooms: list[str] = await self._ask("rooms_of", node)
        return rooms

    def list_rooms(self, rooms: Iterable[str], following: Collection[str]) -> None:
        """Do nothing: the keeper knows which rooms a node has members in."""

    def unlist_room(self, room: str) -> None:
        """Do nothing."""

    def touch_list(self) -> None:
        """Do nothing."""


class KeptValues(_Part):
    """The values beside all rooms."""

    async def read(self, room: str, key: str) -> Value:
        """Return a value."""
        text = await self._ask("read", room, key)
        return ABSENT if text is None else read_value(key, text)

    async def swap(
        self, room: str, key: str, version: int, text: str, *, member: str | None, keep: int
    ) -> Outcome:
        """Give a value another text."""
        outcome: Outcome = await self._ask("swap", room, key, version, text, member, keep)
        return outcome


class KeptChannels(_Part):
    """What the workers send one another."""

    def own(self) -> bytes:
        """Return the channel of this node."""
        return OWN

    async def listen(self) -> None:
        """Do nothing: a worker hears what is for it as soon as it is connected."""

    async def publish(self, node: str, message: bytes) -> bool:
        """Send a node a message."""
        return bool(await self._ask("publish", node, message.decode()))

    def route(self, node: str) -> str:
        """Return what `send` needs to know of a node: its id."""
        return node

    def send(self, route: str, message: str, answer: Callable[[Any], None]) -> None:
        """Send a node a message."""
        self._post(answer, "publish", route, message)


class KeptPlaces(_Part):
    """The places of all peers and users."""

    def enter(self, place: Place) -> None:
        """Enter that a connection is on this node."""
        self._post(_ignore, "enter", *place)

    def remove(self, place: Place, removed: Callable[[bool], None] = _ignore) -> None:
        """Take an entry out."""

        def taken(answer: Any) -> None:
            removed(not isinstance(answer, LostError))

        self._post(taken, "withdraw", *place)

    async def caught_up(self) -> None:
        """Wait until the keeper has carried out what it was asked for before."""
        await self._ask("of_peer", "")

    async def nodes_of_peer(self, peer_id: str) -> dict[str, str]:
        """Return the node of a connection, by its peer id."""
        nodes: dict[str, str] = await self._ask("of_peer", peer_id)
        return nodes

    async def nodes_of_user(self, user_id: str) -> dict[str, str]:
        """Return the node of each connection of a user, by peer id."""
        nodes: dict[str, str] = await self._ask("of_user", user_id)
        return nodes


class Store:
    """What the keeper keeps, by noun."""

    def __init__(self, uplink: Uplink, incarnation: Incarnation) -> None:
        self.rooms = KeptRooms(uplink, incarnation)
        self.values = KeptValues(uplink, incarnation)
        self.nodes = KeptNodes(uplink, incarnation)
        self.channels = KeptChannels(uplink, incarnation)
        self.places = KeptPlaces(uplink, incarnation)
