"""The host's rooms: in the store, a room of the host's has the nodes as members on which somebody is in it.

So all that holds for members of rooms holds for them: they are healed, removed with a dead node and written back.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from typing import Any
from weakref import WeakValueDictionary

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

AGAIN = 1.0
"""Seconds until a node tries again to enter or leave a room of the host's."""

SID = re.compile(r"[\w-]{20,}", re.ASCII)
"""What a client's sid looks like, which is also the name of its own room."""


class HostRooms:
    """The host's rooms, as one node sees them."""

    def __init__(
        self,
        *,
        rooms: Rooms,
        store: RoomStore,
        uplink: Uplink,
        incarnation: Incarnation,
        followed: FollowedRooms,
        directory: Directory,
    ) -> None:
        self._rooms = rooms
        self._store = store
        self._uplink = uplink
        self._incarnation = incarnation
        self._followed = followed
        self._directory = directory
        self._here: set[str] = set()
        self._entered: dict[str, str] = {}
        self._settling: dict[str, asyncio.Task[None]] = {}
        self._finding: WeakValueDictionary[str, asyncio.Lock] = (
            WeakValueDictionary()
        )  # each while somebody waits

    # Who is here

    def enter(self, namespace: str, room: Any) -> None:
        """Record that somebody here is in a room."""
        name = stored_name(namespace, room)
        self._here.add(name)
        self._settle_soon(name)

    def leave(self, namespace: str, room: Any) -> None:
        """Record that nobody here is in a room any more."""
        name = stored_name(namespace, room)
        self._here.discard(name)
        self._settle_soon(name)

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

    async def nodes_of(self, namespace: str, room: Any) -> Iterable[str]:
        """Return the other nodes with somebody in a room; what looks like a sid may be that of another node.

        Raises:
            SignalingError: ``unavailable``.
            One of `Failed`: The store is away.
        """
        self._uplink.check()
        name = stored_name(namespace, room)
        copy = self._followed.get(name)
        if copy is not None and (copy.version is None or name in self._finding):
            copy = None
        nodes = [] if copy is None else self._others(copy)
        if not nodes and isinstance(room, str) and SID.fullmatch(room):
            node = await self._directory.node_of_peer(room)
            if node is not None:
                return () if node == self._incarnation.id else (node,)
        if copy is None:
            copy = await self._found(name)
            nodes = self._others(copy)
        copy.use()
        copy.rest()
        return nodes

    async def node_of(self, sid: str) -> str | None:
        """Return the node of a client, or ``None`` if there is no such client; raises like `nodes_of`."""
        self._uplink.check()
        return await self._directory.node_of_peer(sid)

    def _others(self, copy: RoomCopy) -> list[str]:
        return [node for node in copy.peers() if node != self._incarnation.id]

    async def _found(self, name: str) -> RoomCopy:
        """Follow a room until it is known, in the order of the calls: in this order emits that wait are sent."""
        copy = self._followed.follow(name)
        copy.rest()
        turns = self._finding.get(name)
        if turns is None:
            turns = self._finding[name] = asyncio.Lock()
        async with turns:
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
