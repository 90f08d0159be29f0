"""How this node's copies of rooms and Redis are made to agree, whatever has happened to either."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Coroutine, Iterator
from typing import Any

from walkie_signal.backends.redis.followed import EXPIRY, Followed, FollowedRooms, roster_of
from walkie_signal.backends.redis.messages import read_entries, read_roster, write_entry
from walkie_signal.backends.redis.names import Names
from walkie_signal.backends.redis.scripts import LEAVE, SETTLE, TOUCH
from walkie_signal.backends.redis.uplink import REPLY_TIMEOUT, Failed, Uplink
from walkie_signal.backends.redis.wire import Lost, ignore, packed
from walkie_signal.core.replicas import NOWHERE
from walkie_signal.core.rooms import Member
from walkie_signal.errors import SignalingError

log = logging.getLogger("walkie_signal.redis")

TOUCHED_IN = 60
"""Beats in which each room is touched once."""

ON_ITS_WAY = 1.0
"""Seconds in which a change that Redis has ordered comes here."""

AT_ONCE = 100
"""Rooms that are settled at a time."""

MEMORY_LOST = "it has lost its memory"


class Healing:
    """Heals the rooms of one node."""

    def __init__(self, names: Names, uplink: Uplink, rooms: FollowedRooms) -> None:
        self._names = names
        self._uplink = uplink
        self._rooms = rooms
        self.generation = ""
        """That of what Redis holds, by the last restore."""
        self._to_touch: Iterator[str] = iter(())
        self._tasks: set[asyncio.Task[None]] = set()

    # One room

    def heal(self, room: str) -> None:
        """Make Redis and the copy of a room agree, in the background."""
        followed = self._rooms.get(room)
        if followed is not None and not followed.healing and self._uplink.up:
            followed.healing = True
            self._spawn(self._heal(followed))

    async def _heal(self, followed: Followed) -> None:
        try:
            followed.replica.doubt()
            while followed.replica.version is None:
                await self._settle(followed, writes_back=False)
        except (*Failed, SignalingError):
            pass  # the next restore settles every room
        finally:
            followed.healing = False

    async def _settle(self, followed: Followed, *, writes_back: bool) -> None:
        room, node = followed.replica.room, self._uplink.node_id
        listed: list[str] = []
        for peer_id in followed.wanted:
            entry = followed.replica.entry(peer_id)
            if peer_id in followed.changing:  # Redis may know better already
                listed += (peer_id, "")
            elif entry is not None and entry.member.node == node:
                listed += (peer_id, write_entry(entry))
        arguments = (EXPIRY, node, "disconnected", int(writes_back))
        answer = self._uplink.run(SETTLE, [self._names.room(room)], *arguments, *listed)
        stored, _ = await self.remembered(answer)
        self._rooms.adopt(followed, roster_of(room, stored))

    async def remembered(self, answer: Awaitable[Any]) -> Any:
        """Return the answer to the script that was run last, where Redis had not lost its memory before.

        Raises:
            One of `Failed`: Redis is away, or was: the next restore writes back what that answer lacks.
        """
        asked = self._uplink.ask("GET", self._names.generation)
        answered, generation = await answer, await asked
        if generation is None or generation.decode() != self.generation:
            self._uplink.lose(MEMORY_LOST)
            raise Lost(MEMORY_LOST)
        return answered

    async def remove(self, room: str, node: str) -> list[Member]:
        """Take all members of a dead node out of a room; returns those that were still there.

        Raises:
            One of `Failed`: Redis is away.
        """
        arguments = (EXPIRY, node, "node_lost", 0)
        _, removed = await self._uplink.run(SETTLE, [self._names.room(room)], *arguments)
        texts = [text.decode("utf-8", "replace") for text in removed]
        return [entry.member for entry in read_entries(room, zip(texts[::2], texts[1::2], strict=True))]

    # All of them

    def touch(self) -> None:
        """Renew some of the rooms, and look whether their changes are known here; each has its turn."""
        rooms_of = self._names.rooms_of(self._uplink.node_id)
        self._uplink.post(packed("PEXPIRE", rooms_of, EXPIRY), ignore)
        for _ in range(len(self._rooms) // TOUCHED_IN + 1):
            room = next(self._to_touch, None)
            if room is None:
                self._to_touch = iter(self._rooms)
                return
            if self._rooms.get(room) is not None:
                self._spawn(self.check(room))

    async def check(self, room: str) -> None:
        """Heal a room if Redis knows of changes that have not come here."""
        try:
            stored = await self._uplink.run(TOUCH, [self._names.room(room)], EXPIRY)
        except Failed:
            return
        version = read_roster(room, {} if stored is None else {"": stored.decode()}).version
        followed = self._rooms.get(room)
        if followed is None or version == followed.replica.version:
            return
        before = followed.replica.version
        await asyncio.sleep(ON_ITS_WAY)
        known = followed.replica.version
        gone = version == NOWHERE and known == before and followed.wanted
        if known is not None and (known < version or gone):
            log.warning("room %r: a change has not come here; it is read anew", room)
            self.heal(room)

    async def restore(self, *, writes_back: bool) -> None:
        """Make every room right on new connections; `writes_back` where Redis has lost its memory.

        Raises:
            One of `Failed`: Redis is away again.
        """
        listening = self._uplink.listening
        if listening is None:
            raise Lost
        followed = [each for room in self._rooms if (each := self._rooms.get(room)) is not None]
        for each in followed:
            each.replica.doubt()
            each.subscribed = listening.subscribe(self._names.room(each.replica.room))
        subscribed = asyncio.gather(*(each.subscribed for each in followed))
        await asyncio.wait_for(subscribed, REPLY_TIMEOUT)
        await self.pay()
        if followed:
            rooms = [each.replica.room for each in followed]
            await self._uplink.ask("SADD", self._names.rooms_of(self._uplink.node_id), *rooms)
        for start in range(0, len(followed), AT_ONCE):
            some = followed[start : start + AT_ONCE]
            await asyncio.gather(*(self._settle(each, writes_back=writes_back) for each in some))

    def release(self) -> None:
        """Let go of the members whose node has not written them back in time."""
        self._rooms.holding = False
        for room in self._rooms:
            followed = self._rooms.get(room)
            if followed is not None:
                self._rooms.make(followed, followed.replica.release())

    # What is owed

    def pay_soon(self) -> None:
        """Pay in the background, where Redis can be asked; else the next restore does."""
        if self._rooms.owed and self._uplink.up:
            self._spawn(self._try_to_pay())

    async def _try_to_pay(self) -> None:
        try:
            await self.pay()
        except Failed:
            log.debug("Redis is away; the next restore pays")

    async def pay(self) -> None:
        """Take out of Redis who has to leave it.

        Raises:
            One of `Failed`: Redis is away.
        """
        owed = self._rooms.owed
        for room, peer_id in list(owed):
            followed = self._rooms.get(room)
            if (room, peer_id) not in owed or (followed is not None and peer_id in followed.wanted):
                continue  # paid, or coming back
            node, reason = owed.pop((room, peer_id))
            try:
                await self._uplink.run(LEAVE, [self._names.room(room)], EXPIRY, peer_id, node, reason)
            except BaseException:
                owed.setdefault((room, peer_id), (node, reason))
                raise

    # The end

    def close(self) -> None:
        """End what runs in the background."""
        for task in self._tasks:
            task.cancel()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
