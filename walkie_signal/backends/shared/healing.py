"""Makes this node's copies of rooms and the store agree, whatever has happened to either."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Coroutine, Iterable, Iterator
from contextlib import suppress
from typing import Any

from walkie_signal.backends.shared.copies import PAUSE, RoomCopy
from walkie_signal.backends.shared.followed import FollowedRooms
from walkie_signal.backends.shared.incarnation import Incarnation
from walkie_signal.backends.shared.states import State
from walkie_signal.backends.shared.store import (
    MEMORY_LOST,
    Failed,
    LostError,
    NodeStore,
    RoomStore,
    StrangeKeyError,
)
from walkie_signal.backends.shared.uplink import REPLY_TIMEOUT, Uplink
from walkie_signal.bounded_log import BoundedLog
from walkie_signal.core.changes import Member
from walkie_signal.core.replicas import NOWHERE, Entry
from walkie_signal.errors import SignalingError

log = logging.getLogger("walkie_signal.store")

TOUCHED_IN = 60
"""Number of beats in which each room is touched once."""

ON_ITS_WAY = 1.0
"""Seconds within which a change that the store has ordered arrives here."""

AT_ONCE = 100
"""Rooms that are settled at a time."""


class Healing:
    """Heals the rooms of one node."""

    def __init__(
        self,
        store: RoomStore,
        nodes: NodeStore,
        uplink: Uplink,
        incarnation: Incarnation,
        rooms: FollowedRooms,
    ) -> None:
        self._store = store
        self._incarnation = incarnation
        self._nodes = nodes
        self._uplink = uplink
        self._rooms = rooms
        self._lines = BoundedLog(log)
        self._to_touch: Iterator[str] = iter(())
        self._tasks: set[asyncio.Task[None]] = set()
        self._unpaid = False
        self._paying: asyncio.Task[None] | None = None
        self._to_heal: dict[str, None] = {}
        self._healing_all: asyncio.Task[None] | None = None

    # One room

    def heal(self, room: str) -> None:
        """Make the store and the copy of a room agree, in the background."""
        copy = self._rooms.get(room)
        if copy is not None and self._uplink.up and copy.doubt():  # else the next restore settles every room
            self._spawn(self._heal(copy))

    async def _heal(self, copy: RoomCopy) -> None:
        try:
            while copy.state is State.DUE:
                await asyncio.sleep(copy.pause())
                copy.read()
                await self._settle(copy, writes_back=False)
                copy.answered()
        except StrangeKeyError:
            copy.give_up()
            copy.set_aside()
        except (*Failed, SignalingError):
            pass  # the next restore settles every room
        finally:
            if copy.healing:
                copy.give_up()

    async def _settle(self, copy: RoomCopy, *, writes_back: bool) -> None:
        """Make the store and the copy of a room agree.

        Raises:
            One of `Failed`: The store is away, or was, or the room's key is strange.
        """
        values = copy.own_values() if writes_back else []
        node = self._incarnation.id
        roster = await self._store.settle(copy.room, node, copy.own(), values, writes_back=writes_back)
        if not self._rooms.holding and copy.is_ahead_of(roster):
            # It is an older copy, say: a replica that lagged. Other nodes have to write back too
            self._rooms.holding = True
            self._uplink.lose(MEMORY_LOST)
            raise LostError(MEMORY_LOST)
        self._rooms.adopt(copy, roster)

    def _set_aside(self, room: str) -> None:
        copy = self._rooms.get(room)
        if copy is not None:
            copy.set_aside()

    async def remove(self, room: str, node: str) -> list[Member] | None:
        """Take all members of a dead node out of a room; returns those that were still there.

        If the room's key is strange, the room is set aside, and ``None`` is returned.

        Raises:
            One of `Failed`: The store is away.
        """
        try:
            return await self._store.remove(room, node)
        except StrangeKeyError:
            self._set_aside(room)
            return None

    def touch(self) -> None:
        """Renew some of the rooms, and check that their changes are known here; over time each has its turn."""
        self._nodes.touch_list()
        for _ in range(len(self._rooms) // TOUCHED_IN + 1):
            room = next(self._to_touch, None)
            if room is None:
                self._to_touch = iter(self._rooms)
                self.pay_soon()
                return
            if self._rooms.get(room) is not None:
                self._spawn(self.check(room))

    async def check(self, room: str) -> None:
        """Heal a room if the store knows changes that have not arrived here."""
        try:
            version = await self._store.touch(room)
        except StrangeKeyError:
            self._set_aside(room)
            return
        except Failed:
            return
        copy = self._rooms.get(room)
        if copy is None or version == copy.version:
            return
        if copy.state is State.ASIDE:
            self.heal(room)
            return
        before = copy.version
        await asyncio.sleep(ON_ITS_WAY)
        known = copy.version
        if known is None:
            return
        # The store's clock may have been set back, so that a later room has an earlier epoch
        another = known.epoch != version.epoch and known == before and (version != NOWHERE or copy.wanted)
        if known < version or another:
            message = "room %r: a change was lost; the room is read anew"
            self._lines.write(logging.WARNING, "changes that have not come", message, room)
            self.heal(room)

    # All of them

    def heal_all(self) -> None:
        """Heal every room, some at a time, in the background."""
        self._to_heal = dict.fromkeys(self._rooms)
        if self._healing_all is None or self._healing_all.done():
            self._healing_all = self._spawn(self._heal_each())

    async def _heal_each(self) -> None:
        while self._to_heal:
            for room in list(self._to_heal)[:AT_ONCE]:
                del self._to_heal[room]
                self.heal(room)
            await asyncio.sleep(PAUSE)

    async def restore(self, *, writes_back: bool, dead: Collection[str] = ()) -> None:
        """Settle every room on new connections.

        Args:
            writes_back: Whether the store has lost its memory.
            dead: The nodes that can't write their members back. Each node that knows some of these does it for
                them, so that whoever removes such a node finds its members, and tells of each.

        Raises:
            One of `Failed`: The store is away again.
        """
        copies = [each for room in self._rooms if (each := self._rooms.get(room)) is not None]
        for copy in copies:
            copy.hear_anew(self._store.follow(copy.room))
        await asyncio.wait_for(_heard(copies), REPLY_TIMEOUT)
        await self.pay()
        self._rooms.list_all()
        for start in range(0, len(copies), AT_ONCE):
            some = copies[start : start + AT_ONCE]
            settling = (self._settle_or_set_aside(each, dead, writes_back=writes_back) for each in some)
            await asyncio.gather(*settling)

    async def _settle_or_set_aside(self, copy: RoomCopy, dead: Collection[str], *, writes_back: bool) -> None:
        try:
            if writes_back:
                await self._write_back(copy, dead)
            await self._settle(copy, writes_back=writes_back)
        except StrangeKeyError:
            copy.set_aside()

    async def write_back(self, dead: Collection[str]) -> None:
        """Write back the members of dead nodes, which can't do so, to a store that has lost its memory.

        Raises:
            One of `Failed`: The store is away.
        """
        for room in list(self._rooms) if dead else ():
            copy = self._rooms.get(room)
            if copy is not None:
                with suppress(StrangeKeyError):  # the next reading finds that too
                    await self._write_back(copy, dead)

    async def _write_back(self, copy: RoomCopy, dead: Collection[str]) -> None:
        for node in dead:
            entries: dict[str, Entry | None] = {each.member.peer_id: each for each in copy.entries_of(node)}
            if entries:
                await self._store.settle(copy.room, node, entries, [], writes_back=True)

    def release(self) -> None:
        """Remove the members that their node has not written back in time."""
        self._rooms.holding = False
        for room in self._rooms:
            copy = self._rooms.get(room)
            if copy is not None:
                self._rooms.make(copy, copy.release())

    # What is owed

    def pay_soon(self) -> None:
        """Pay in the background if the store can be asked; otherwise the next restore does it."""
        if self._rooms.owed and self._uplink.up:
            self._unpaid = True
            if self._paying is None or self._paying.done():
                self._paying = self._spawn(self._try_to_pay())

    async def _try_to_pay(self) -> None:
        try:
            while self._unpaid:
                self._unpaid = False
                await self.pay()
        except Failed:
            log.debug("the store is away; the next restore pays")

    async def pay(self) -> None:
        """Take the members that are owed out of the store.

        Raises:
            One of `Failed`: The store is away.
        """
        owed = self._rooms.owed
        aside: set[str] = set()
        for room, peer_id in list(owed):
            copy = self._rooms.get(room)
            if (room, peer_id) not in owed or (copy is not None and peer_id in copy.wanted):
                continue  # it has been paid, or it has joined again
            if room in aside:
                continue
            node, reason = owed.pop((room, peer_id))
            try:
                await self._store.leave(room, peer_id, node, reason)
            except BaseException as error:
                owed.setdefault((room, peer_id), (node, reason))
                if not isinstance(error, StrangeKeyError):
                    raise
                self._set_aside(room)
                aside.add(room)

    # The end

    def close(self) -> None:
        """End what runs in the background."""
        for task in self._tasks:
            task.cancel()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _heard(copies: Iterable[RoomCopy]) -> None:
    """Wait until the changes of rooms are heard."""
    for each in copies:
        await each.heard
