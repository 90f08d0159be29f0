"""A node's heartbeat: the node renews its lease, checks that it hears itself, and removes dead nodes.

If a node finds that it was frozen for longer than its lease, or that it has been removed, it is fenced: it goes
on in a new incarnation, and nothing of the old one is carried out any more.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
from collections.abc import Callable, Iterable
from functools import partial

import hiredis

from walkie_signal.backends.redis.directory import Directory
from walkie_signal.backends.redis.followed import EXPIRY, FollowedRooms
from walkie_signal.backends.redis.healing import MEMORY_LOST, Healing
from walkie_signal.backends.redis.mail import Mail
from walkie_signal.backends.redis.messages import READS, WRITES, Beat, write_beat
from walkie_signal.backends.redis.names import Names
from walkie_signal.backends.redis.scripts import BEAT, CLAIM, FORGET, STRANGE_CLAIM
from walkie_signal.backends.redis.strange import StrangeKeys, is_strange
from walkie_signal.backends.redis.uplink import Failed, Uplink
from walkie_signal.backends.redis.wire import words
from walkie_signal.core.changes import Member
from walkie_signal.core.leases import Watch
from walkie_signal.errors import SignalingError

log = logging.getLogger("walkie_signal.redis")

BEAT_INTERVAL = 1.0
"""Seconds between two beats."""

LEASE = 8.0
"""Seconds of silence after which a node counts as dead, for itself and for the others."""

SILENT_AFTER = 3_000_000
"""Microseconds without a renewal after which the other nodes watch a node."""

CLAIM_TIME = 5000
"""Milliseconds that a node has to remove a dead one, before another node may do it."""

REMOVAL_TIMEOUT = 1.0
"""Most seconds that a closing node takes to finish the removal of dead ones."""

AT_ONCE = 20
"""Dead nodes that are removed at a time."""

LATER = 60.0
"""Seconds until a removal is tried again if a strange key has prevented it."""

DEAF_AFTER = 1.0
"""Seconds within which a node has to hear its own beat."""


class Heart:
    """The heartbeat of one node. `fence` is called if the node has to go on as another."""

    def __init__(
        self,
        *,
        names: Names,
        uplink: Uplink,
        rooms: FollowedRooms,
        healing: Healing,
        mail: Mail,
        directory: Directory,
        strange: StrangeKeys,
        fence: Callable[[], None],
    ) -> None:
        self._registered = ("", "")
        self._last = 0.0  # when this node last renewed its lease, by Redis' clock
        self._names = names
        self._uplink = uplink
        self._rooms = rooms
        self._healing = healing
        self._mail = mail
        self._directory = directory
        self._strange = strange
        self._fence = fence
        self._loop = asyncio.get_running_loop()
        self._watch = Watch(LEASE)
        self._number = 0
        self._listening: asyncio.TimerHandle | None = None
        uplink.lifetime.until = self._loop.time() + LEASE
        uplink.lifetime.over = self.tick
        self._beating = asyncio.create_task(self._run())
        self._removing: dict[str, asyncio.Task[None]] = {}
        self._later: dict[str, float] = {}

    async def close(self) -> None:
        """Stop beating, and finish the removal of dead nodes."""
        self._uplink.lifetime.until = math.inf
        self._beating.cancel()
        if self._listening is not None:
            self._listening.cancel()
        removing = list(self._removing.values())
        _, unfinished = await asyncio.wait([self._beating, *removing], timeout=REMOVAL_TIMEOUT)
        for task in unfinished:
            task.cancel()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(BEAT_INTERVAL)
            self.tick()
            if self._uplink.up:
                try:
                    await self._beat()
                except (*Failed, SignalingError):
                    log.debug("a beat has not gone through")
                except Exception:
                    log.exception("a fault in a beat")

    def tick(self) -> None:
        """Record that this process runs; fence the node if it did not run for too long."""
        lifetime, now = self._uplink.lifetime, self._loop.time()
        frozen, lifetime.until = now > lifetime.until, now + LEASE
        if frozen:
            self._fence()

    async def _beat(self) -> None:
        _, known = self._registered
        if await self._renewed() != known:
            self._uplink.lose(MEMORY_LOST)
            return
        self._number += 1
        number = self._mail.sent_beat = self._number
        channel = self._names.node(self._uplink.node_id)
        due = self._loop.time() + DEAF_AFTER
        self._listening = self._loop.call_later(DEAF_AFTER, self._listen_for, number, due)
        if await self._uplink.ask("PUBLISH", channel, write_beat(Beat(number))) == 0:
            self._uplink.lose("nothing listens to this node's channel")
        self._healing.touch()
        self._directory.touch()
        self._rooms.sweep(self._loop.time())

    async def _renewed(self) -> str:
        try:
            return await self.renew()
        except (hiredis.ReplyError, SignalingError) as error:
            # Redis is full or lacks replicas, so it takes no changes now. The restore makes them when it does again
            self._uplink.lose(words(error))
            raise

    def _listen_for(self, number: int, due: float) -> None:
        late = self._loop.time() - due > DEAF_AFTER / 2  # this process stood still, not Redis
        if self._uplink.up and self._mail.heard_beat < number and not late:
            self._uplink.lose("published messages do not arrive")

    async def renew(self) -> str:
        """Renew the lease, and watch the nodes that have not; returns the generation of Redis' data.

        Raises:
            SignalingError: Redis holds the rooms of a release that this one can't read.
        """
        node, sent = self._uplink.node_id, self._loop.time()
        fresh = f"{WRITES}:{secrets.token_hex(8)}"
        keys = [self._names.nodes, self._names.generation]
        known = self._registered[1] if self._registered[0] == node else ""
        answer = await self._uplink.run(BEAT, keys, EXPIRY, node, known, fresh, SILENT_AFTER)
        stored, now, alive, silent, before = answer
        if known and float(before or 0) < self._last:
            # Redis has gone back to a lagging replica or to a snapshot, in which the other nodes look silent too
            self._watch = Watch(LEASE)
        self._last = float(now)
        generation: str = stored.decode("utf-8", "replace")
        self._registered = (node, generation)
        if generation.partition(":")[0] not in READS:
            raise SignalingError(
                "unavailable", "Redis holds the rooms of a release that this one does not know"
            )
        if not alive:
            self._fence()
        others = {
            name.decode(): renewed
            for name, renewed in zip(silent[::2], silent[1::2], strict=True)
            if name.isascii() and name != node.encode()  # any other text is not the id of a node
        }
        self._remove_the_dead(sent, int(now) / 1e6, others)
        return generation

    def _remove_the_dead(self, sent: float, store_time: float, silent: dict[str, bytes]) -> None:
        now = self._loop.time()
        times = {name: float(renewed) / 1e6 for name, renewed in silent.items()}
        self._later = {name: due for name, due in self._later.items() if name in silent and due > now}
        for name in self._watch.beat(sent, now, store_time, times):
            if name not in self._removing and name not in self._later and len(self._removing) < AT_ONCE:
                task = self._removing[name] = asyncio.create_task(self._remove_dead(name, silent[name]))
                task.add_done_callback(partial(self._removed, name))

    def begin(self) -> None:
        """Begin to listen for beats on a new connection."""
        self._mail.heard_beat = self._number

    # The dead

    async def _remove_dead(self, node: str, renewed: bytes) -> None:
        claim = self._names.claim(node)
        try:
            keys = [self._names.nodes, claim]
            arguments = (node, renewed.decode(), self._uplink.node_id, CLAIM_TIME)
            claimed = await self._uplink.run(CLAIM, keys, *arguments)
            if claimed == STRANGE_CLAIM:
                self._strange.tell(claim)
            if claimed:
                log.warning("node %s is dead: its peers are removed", node)
                known = {room for room, _ in self._rooms.members_of(node)}
                if not await self.remove(node, known, self._lost):
                    self._later[node] = self._loop.time() + LATER
        except (*Failed, SignalingError):
            log.info("node %s could not be removed yet", node)

    def _lost(self, member: Member) -> None:
        self._directory.forget(member.peer_id, member.user_id)
        self._rooms.site.lost(member)

    def _removed(self, node: str, _task: asyncio.Task[None]) -> None:
        del self._removing[node]

    async def remove(self, node: str, rooms: Iterable[str], lost: Callable[[Member], None]) -> bool:
        """Take a node's members out of their rooms and out of `rooms`, and then remove the node itself.

        `lost` is called with each of these members. Returns false if a key is strange: the node is still there
        then, and this has to be done again.

        Raises:
            One of `Failed`: Redis is away; this can be done again.
        """
        listed = await self._rooms_of(node)
        strange = listed is None
        for room in {*(listed or ()), *rooms}:
            strange = not await self._take_out(node, room, lost) or strange
        if strange:
            return False
        await self._uplink.ask("DEL", self._names.rooms_of(node))
        keys = [self._names.nodes, self._names.generation, self._names.claim(node)]
        await self._uplink.run(FORGET, keys, node)
        return True

    async def _rooms_of(self, node: str) -> list[str] | None:
        """Return the rooms that a node has listed, or ``None`` if the key of that list is strange."""
        key = self._names.rooms_of(node)
        try:
            return [room.decode("utf-8", "replace") for room in await self._uplink.ask("SMEMBERS", key)]
        except hiredis.ReplyError as error:
            if not is_strange(error):
                raise
            self._strange.tell(key)
            return None

    async def _take_out(self, node: str, room: str, lost: Callable[[Member], None]) -> bool:
        """Take a node's members out of a room; returns false if the room's key is strange."""
        try:
            for member in await self._healing.remove(room, node):
                lost(member)
        except hiredis.ReplyError as error:
            if not is_strange(error):
                raise
            return False
        return True
