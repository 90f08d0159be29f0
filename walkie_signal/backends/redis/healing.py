"""Makes this node's copies of rooms and Redis agree, whatever has happened to either."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Coroutine, Iterable, Iterator
from functools import partial
from typing import Any

import hiredis

from walkie_signal.backends.redis.followed import EXPIRY, Followed, FollowedRooms
from walkie_signal.backends.redis.messages import read_entries, read_roster, write_entry, write_value
from walkie_signal.backends.redis.names import Names
from walkie_signal.backends.redis.scripts import LEAVE, SETTLE, TOUCH, Script
from walkie_signal.backends.redis.strange import StrangeKeys, is_strange
from walkie_signal.backends.redis.uplink import REPLY_TIMEOUT, Failed, Uplink
from walkie_signal.backends.redis.wire import Lost, ignore, packed
from walkie_signal.bounded_log import BoundedLog
from walkie_signal.core.changes import Member
from walkie_signal.core.replicas import NOWHERE
from walkie_signal.errors import SignalingError

log = logging.getLogger("walkie_signal.redis")

TOUCHED_IN = 60
"""Number of beats in which each room is touched once."""

ON_ITS_WAY = 1.0
"""Seconds within which a change that Redis has ordered arrives here."""

AT_ONCE = 100
"""Rooms that are settled at a time."""

PAUSE = 0.1
"""Least seconds between two readings of a room in order to heal it: what others publish may cause any number."""

MEMORY_LOST = "it has lost its memory"


class Healing:
    """Heals the rooms of one node."""

    def __init__(self, names: Names, uplink: Uplink, rooms: FollowedRooms, strange: StrangeKeys) -> None:
        self._names = names
        self._uplink = uplink
        self._rooms = rooms
        self._strange = strange
        self._lines = BoundedLog(log)
        self.generation = ""
        """The generation of Redis' data at the last restore."""
        self._to_touch: Iterator[str] = iter(())
        self._tasks: set[asyncio.Task[None]] = set()
        self._unpaid = False
        self._paying: asyncio.Task[None] | None = None
        self._to_heal: dict[str, None] = {}
        self._healing_all: asyncio.Task[None] | None = None

    # One room

    def run(self, script: Script, room: str, *arguments: str | int) -> asyncio.Future[Any]:
        """Run a script on a room's key; if the key is strange, the room is set aside."""
        keys = [self._names.room(room), self._names.values(room)]
        answer = self._uplink.run(script, keys, *arguments)
        answer.add_done_callback(partial(self._look, room))
        return answer

    def _look(self, room: str, answer: asyncio.Future[Any]) -> None:
        if not answer.cancelled() and is_strange(answer.exception()):
            self._set_aside(room)

    def _set_aside(self, room: str) -> None:
        """Record that a room can't be changed or read for now; its copy stays as it is."""
        self._strange.tell(self._names.room(room))
        followed = self._rooms.get(room)
        if followed is not None:
            followed.aside = True
            followed.replica.doubt()

    def heal(self, room: str) -> None:
        """Make Redis and the copy of a room agree, in the background."""
        followed = self._rooms.get(room)
        if followed is None or not self._uplink.up:
            return  # the next restore settles every room
        followed.doubted = True
        if not followed.healing:
            followed.healing = True
            self._spawn(self._heal(followed))

    async def _heal(self, followed: Followed) -> None:
        loop = asyncio.get_running_loop()
        try:
            while followed.doubted or followed.replica.version is None:
                await asyncio.sleep(followed.read_at + PAUSE - loop.time())
                followed.doubted, followed.read_at = False, loop.time()
                followed.replica.doubt()
                await self._settle(followed, writes_back=False)
                if followed.aside:
                    return
        except (*Failed, SignalingError):
            pass  # the next restore settles every room
        finally:
            followed.healing = False

    async def _settle(self, followed: Followed, *, writes_back: bool) -> None:
        """Make Redis and the copy of a room agree, or set the room aside.

        Raises:
            One of `Failed`: Redis is away, or was.
        """
        followed.aside = False
        room, node = followed.replica.room, self._uplink.node_id
        listed: list[str] = []
        for peer_id in followed.wanted:
            entry = followed.replica.entry(peer_id)
            if peer_id in followed.changing:  # Redis may know better already
                listed += (peer_id, "")
            elif entry is not None and entry.member.node == node:
                listed += (peer_id, write_entry(entry))
        own = followed.replica.values_of(node) if writes_back else []
        values = [text for value in own for text in (value.key, write_value(value))]
        arguments = (EXPIRY, node, "disconnected", int(writes_back), len(own))
        answer = self.run(SETTLE, room, *arguments, *values, *listed)
        try:
            stored, beside, _ = await self.remembered(answer)
            self._rooms.adopt(followed, self._rooms.roster_of(room, stored, beside))
        except hiredis.ReplyError:
            if not followed.aside:
                raise

    async def remembered(self, answer: Awaitable[Any]) -> Any:
        """Return the answer to the script that was run last, if Redis had not lost its memory before it.

        Raises:
            One of `Failed`: Redis is away, or was; the next restore writes back what that answer lacks.
        """
        asked = self._uplink.ask("GET", self._names.generation)
        answered, generation = await answer, await asked
        if generation is None or generation.decode("utf-8", "replace") != self.generation:
            self._uplink.lose(MEMORY_LOST)
            raise Lost(MEMORY_LOST)
        return answered

    async def remove(self, room: str, node: str) -> list[Member]:
        """Take all members of a dead node out of a room; returns those that were still there.

        Raises:
            One of `Failed`: Redis is away, or the room's key is strange.
        """
        _, _, removed = await self.run(SETTLE, room, EXPIRY, node, "node_lost", 0, 0)
        texts = [text.decode("utf-8", "replace") for text in removed]
        return [entry.member for entry in read_entries(room, zip(texts[::2], texts[1::2], strict=True))]

    def touch(self) -> None:
        """Renew some of the rooms, and check that their changes are known here; over time each has its turn."""
        rooms_of = self._names.rooms_of(self._uplink.node_id)
        self._uplink.post(packed("PEXPIRE", rooms_of, EXPIRY), ignore)
        for _ in range(len(self._rooms) // TOUCHED_IN + 1):
            room = next(self._to_touch, None)
            if room is None:
                self._to_touch = iter(self._rooms)
                self.pay_soon()
                return
            if self._rooms.get(room) is not None:
                self._spawn(self.check(room))

    async def check(self, room: str) -> None:
        """Heal a room if Redis knows changes that have not arrived here."""
        try:
            stored = await self.run(TOUCH, room, EXPIRY)
            fields = {} if stored is None else {"": stored.decode("utf-8", "replace")}
            version = read_roster(room, fields).version
        except Failed:
            return
        except ValueError:
            self._set_aside(room)
            return
        followed = self._rooms.get(room)
        if followed is None or version == followed.replica.version:
            return
        if followed.aside:
            self.heal(room)
            return
        before = followed.replica.version
        await asyncio.sleep(ON_ITS_WAY)
        known = followed.replica.version
        if known is None:
            return
        # Redis' clock may have been set back, so that a later room has an earlier epoch
        another = known.epoch != version.epoch and known == before and (version != NOWHERE or followed.wanted)
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

    async def restore(self, *, writes_back: bool) -> None:
        """Settle every room on new connections; `writes_back` says whether Redis has lost its memory.

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
        await asyncio.wait_for(_heard(followed), REPLY_TIMEOUT)
        await self.pay()
        self._rooms.list_all()
        for start in range(0, len(followed), AT_ONCE):
            some = followed[start : start + AT_ONCE]
            await asyncio.gather(*(self._settle(each, writes_back=writes_back) for each in some))

    def release(self) -> None:
        """Remove the members that their node has not written back in time."""
        self._rooms.holding = False
        for room in self._rooms:
            followed = self._rooms.get(room)
            if followed is not None:
                self._rooms.make(followed, followed.replica.release())

    # What is owed

    def pay_soon(self) -> None:
        """Pay in the background if Redis can be asked; otherwise the next restore does it."""
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
            log.debug("Redis is away; the next restore pays")

    async def pay(self) -> None:
        """Take the members that are owed out of Redis.

        Raises:
            One of `Failed`: Redis is away.
        """
        owed = self._rooms.owed
        aside: set[str] = set()
        for room, peer_id in list(owed):
            followed = self._rooms.get(room)
            if (room, peer_id) not in owed or (followed is not None and peer_id in followed.wanted):
                continue  # it has been paid, or it has joined again
            if room in aside:
                continue
            node, reason = owed.pop((room, peer_id))
            try:
                await self.run(LEAVE, room, EXPIRY, peer_id, node, reason)
            except BaseException as error:
                owed.setdefault((room, peer_id), (node, reason))
                if not is_strange(error):
                    raise
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


async def _heard(followed: Iterable[Followed]) -> None:
    """Wait until the channels of rooms are heard."""
    for each in followed:
        await each.subscribed
