"""The host's rooms: in the store, a room of the host's has the nodes as members on which somebody is in it.

So all that holds for members of rooms holds for them: they are healed, removed with a dead node and written back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from walkie_signal.backends.shared.copies import RoomCopy
from walkie_signal.backends.shared.directory import Directory
from walkie_signal.backends.shared.followed import FollowedRooms
from walkie_signal.backends.shared.incarnation import Incarnation
from walkie_signal.backends.shared.rooms import CHANGE_TIMEOUT, Rooms
from walkie_signal.backends.shared.store import RoomStore
from walkie_signal.backends.shared.uplink import Uplink
from walkie_signal.core.changes import Member
from walkie_signal.core.emits import stored_name
from walkie_signal.errors import SignalingError

MOST_NODES = 1_000_000
"""The capacity of a room of the host's: it has none."""

AT_ONCE = 100
"""Rooms of one emit that the store is asked about side by side: some ms of work, in which others wait."""

AGAIN = 1.0
"""Seconds until a node tries again to enter or leave a room of the host's."""


class HostRooms:
    """The host's rooms, as one node sees them.

    Args:
        rooms: Joins and leaves rooms.
        store: Where they are.
        uplink: The way to it.
        incarnation: This node.
        followed: The rooms that it follows.
        directory: Where clients are.
        here: The names in the store of the rooms that somebody here is in; after each change, `settle` follows.
    """

    def __init__(
        self,
        *,
        rooms: Rooms,
        store: RoomStore,
        uplink: Uplink,
        incarnation: Incarnation,
        followed: FollowedRooms,
        directory: Directory,
        here: set[str],
    ) -> None:
        self._rooms = rooms
        self._store = store
        self._uplink = uplink
        self._incarnation = incarnation
        self._followed = followed
        self._directory = directory
        self._here = here
        self._entered: dict[str, str] = {}
        self._settling: dict[str, asyncio.Task[None]] = {}

    # Who is here

    def settle(self, namespace: str, room: Any) -> None:
        """Let the store know whether somebody here is in a room, which has just changed."""
        self._settle_soon(stored_name(namespace, room))

    async def entered(self, namespace: str, room: Any) -> None:
        """Wait until other nodes know what was recorded of a room, or until the store takes too long."""
        task = self._settling.get(stored_name(namespace, room))
        if task is not None:
            await asyncio.wait([task], timeout=CHANGE_TIMEOUT)

    def restore(self) -> None:
        """Let the store know of all rooms on a new connection."""
        for name in {*self._here, *self._entered}:
            self._settle_soon(name)

    def _is_settled(self, name: str) -> bool:
        return (self._entered.get(name) == self._incarnation.id) is (name in self._here)

    def _settle_soon(self, name: str) -> None:
        if name not in self._settling and self._uplink.up and not self._is_settled(name):
            self._settling[name] = asyncio.create_task(self._settle(name))

    async def _settle(self, name: str) -> None:
        """Make this node a member exactly if somebody is here; if the store is away, the next restore does it."""
        try:
            while self._uplink.up and not self._is_settled(name):
                try:
                    await self._change(name)
                except SignalingError:  # noqa: PERF203 - it is tried once a second
                    await asyncio.sleep(AGAIN)
        finally:
            # At once, for somebody may enter or leave before a callback of the task runs
            del self._settling[name]

    async def _change(self, name: str) -> None:
        node = self._incarnation.id
        if name in self._here:
            await self._rooms.join(Member(node, name, None, None, node), MOST_NODES)
            self._entered[name] = node
        else:
            await self._rooms.leave(name, self._entered.pop(name, node), "left")

    # Who is elsewhere

    def known_nodes(self, namespace: str, rooms: Iterable[Any]) -> list[str] | None:
        """Return the other nodes with somebody in rooms; ``None`` if the store has to be asked.

        Raises:
            SignalingError: ``unavailable``.
        """
        self._uplink.check()
        nodes: dict[str, None] = {}
        for room in rooms:
            name = stored_name(namespace, room)
            copy = self._followed.get(name)
            if copy is None or copy.version is None:
                return None
            copy.use()
            copy.rest()
            found = self._others(copy)
            if not found and self._may_be_sid(name, room):
                return None
            nodes.update(found)
        return list(nodes)

    async def nodes_of(self, namespace: str, rooms: Iterable[Any]) -> list[str]:
        """Return the other nodes with somebody in rooms, or with the client that a room is called by.

        Raises:
            SignalingError: ``unavailable``.
            One of `Failed`: The store is away.
        """
        nodes: dict[str, None] = {}
        unknown = []
        for room in rooms:
            known = self.known_nodes(namespace, [room])
            if known is None:
                unknown.append(room)
            else:
                nodes.update(dict.fromkeys(known))
        if len(unknown) == 1:
            nodes.update(dict.fromkeys(await self._find(namespace, unknown[0])))
        else:
            for begin in range(0, len(unknown), AT_ONCE):
                asked = (self._find(namespace, room) for room in unknown[begin : begin + AT_ONCE])
                for found in await asyncio.gather(*asked):
                    nodes.update(dict.fromkeys(found))
        return list(nodes)

    async def _find(self, namespace: str, room: Any) -> Iterable[str]:
        name = stored_name(namespace, room)
        if self._may_be_sid(name, room):
            node = await self.node_of(room)
            if node is not None:
                return [node] if node != self._incarnation.id else []
        return self._others(await self._found(name))

    def _may_be_sid(self, name: str, room: Any) -> bool:
        """Tell whether a room may be the own one of a client elsewhere: those can't be entered."""
        return isinstance(room, str) and name not in self._here

    async def node_of(self, sid: str) -> str | None:
        """Return the node of a client, or ``None`` if there is no such client; raises like `nodes_of`."""
        self._uplink.check()
        return await self._directory.node_of_peer(sid)

    def _others(self, copy: RoomCopy) -> dict[str, None]:
        return dict.fromkeys(node for node in copy.peers() if node != self._incarnation.id)

    async def _found(self, name: str) -> RoomCopy:
        """Follow a room until it is known."""
        copy = self._followed.follow(name)
        copy.rest()
        if copy.version is None:
            await asyncio.wait_for(asyncio.shield(copy.heard), CHANGE_TIMEOUT)
        if copy.version is None:
            roster = await asyncio.wait_for(self._store.roster(name), CHANGE_TIMEOUT)
            if copy.version is None and not copy.is_missed_in(roster):
                self._followed.adopt(copy, roster)
        return copy

    def close(self) -> None:
        """End what runs in the background."""
        for task in self._settling.values():
            task.cancel()
