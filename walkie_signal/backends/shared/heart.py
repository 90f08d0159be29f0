"""A node's heartbeat: the node renews its lease, checks that it hears itself, and removes dead nodes.

If a node finds that it was frozen for longer than its lease, or that it has been removed, it is fenced: it goes
on in a new incarnation, and nothing of the old one is carried out any more.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from functools import partial

from walkie_signal.backends.shared.directory import Directory
from walkie_signal.backends.shared.followed import FollowedRooms
from walkie_signal.backends.shared.healing import Healing
from walkie_signal.backends.shared.incarnation import Incarnation
from walkie_signal.backends.shared.lifetime import LEASE, Lifetime
from walkie_signal.backends.shared.mesh import Mesh
from walkie_signal.backends.shared.messages import Beat, write_beat
from walkie_signal.backends.shared.store import MEMORY_LOST, Failed, RefusedError, Store, StrangeKeyError
from walkie_signal.backends.shared.uplink import Uplink
from walkie_signal.core.changes import Member
from walkie_signal.core.leases import Watch
from walkie_signal.errors import SignalingError

log = logging.getLogger("walkie_signal.store")

BEAT_INTERVAL = 1.0
"""Seconds between two beats."""

REMOVAL_TIMEOUT = 1.0
"""Most seconds that a closing node takes to finish the removal of dead ones."""

AT_ONCE = 20
"""Dead nodes that are removed at a time."""

LATER = 60.0
"""Seconds until a removal is tried again if a strange key has prevented it."""

DEAF_AFTER = 1.0
"""Seconds within which a node has to hear its own beat."""


def _ignore(_member: Member) -> None:
    pass


class Heart:
    """The heartbeat of one node.

    Args:
        store: Where the node renews its lease.
        uplink: The way to the store.
        incarnation: This node.
        lifetime: Its lease, as the node itself sees it.
        rooms: The rooms that it follows.
        healing: What heals them.
        directory: Its entries.
        mesh: Where the nodes of its machine listen.
        lost: Called with each member of a dead node that this node has removed.
        fence: Called if the node has to go on as another.

    Attributes:
        dead: The nodes of which the store knows that they have ended, by the last beat.
    """

    def __init__(
        self,
        *,
        store: Store,
        uplink: Uplink,
        incarnation: Incarnation,
        lifetime: Lifetime,
        rooms: FollowedRooms,
        healing: Healing,
        directory: Directory,
        mesh: Mesh,
        lost: Callable[[Member], None],
        fence: Callable[[], None],
    ) -> None:
        self._store = store
        self._uplink = uplink
        self._incarnation = incarnation
        self._lifetime = lifetime
        self._rooms = rooms
        self._healing = healing
        self._directory = directory
        self._mesh = mesh
        self._lost = lost
        self._fence = fence
        self._loop = asyncio.get_running_loop()
        self._watch = Watch(LEASE)
        self.dead: frozenset[str] = frozenset()
        self._last = 0.0  # when this node last renewed its lease, by the store's clock
        self._listening: asyncio.TimerHandle | None = None
        self._beating = asyncio.create_task(self._run())
        self._removing: dict[str, asyncio.Task[None]] = {}
        self._later: dict[str, float] = {}
        lifetime.begin()

    async def close(self) -> None:
        """Stop beating, and finish the removal of dead nodes."""
        self._lifetime.end()
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
            self._lifetime.tick()
            if self._uplink.up:
                try:
                    await self._beat()
                except (*Failed, SignalingError):
                    log.debug("a beat has not gone through")
                except Exception:
                    log.exception("a fault in a beat")

    async def _beat(self) -> None:
        before = self.dead
        if await self._has_forgotten():
            self._uplink.lose(MEMORY_LOST)
            return
        if self._rooms.holding:
            await self._healing.write_back(self.dead - before)
        number = self._incarnation.beat()
        due = self._loop.time() + DEAF_AFTER
        self._listening = self._loop.call_later(DEAF_AFTER, self._listen_for, number, due)
        if not await self._store.channels.publish(self._incarnation.id, write_beat(Beat(number))):
            self._uplink.lose("nothing listens to this node's channel")
        self._healing.touch()
        self._directory.touch()
        self._rooms.sweep(self._loop.time())

    async def _has_forgotten(self) -> bool:
        try:
            return await self.renew()
        except (RefusedError, SignalingError) as error:
            # The store is full, say, so it takes no changes now. The restore makes them when it does again
            self._uplink.lose(str(error))
            raise

    def _listen_for(self, number: int, due: float) -> None:
        late = self._loop.time() - due > DEAF_AFTER / 2  # this process stood still, not the store
        if self._uplink.up and self._incarnation.heard < number and not late:
            self._uplink.lose("published messages do not arrive")

    async def renew(self) -> bool:
        """Renew the lease, and watch the nodes that have not; returns whether the store has lost memory.

        From then on, members that the store lacks are held, until each node has had the time to write its own back.

        Raises:
            SignalingError: The store holds the rooms of a release that this one can't read.
            One of `Failed`: The store is away.
        """
        known, sent = self._incarnation.known, self._loop.time()
        beat = await self._store.nodes.beat()
        gone_back = bool(known) and beat.renewed < self._last  # to a lagging replica, say
        if gone_back:
            self._watch = Watch(LEASE)  # in such a store the other nodes look silent too
        self._last = beat.now
        forgotten = self._incarnation.register(beat.generation) or gone_back
        if forgotten:
            self._rooms.holding = True
        if not beat.alive:
            self._fence()
        self.dead = beat.dead
        self._remove_the_dead(sent, beat.now / 1e6, beat.silent)
        return forgotten

    def _remove_the_dead(self, sent: float, store_time: float, silent: dict[str, str]) -> None:
        now = self._loop.time()
        times = {name: float(renewed) / 1e6 for name, renewed in silent.items()}
        self._later = {name: due for name, due in self._later.items() if name in silent and due > now}
        dead = [*{*self._watch.beat(sent, now, store_time, times), *(self.dead & silent.keys())}]
        random.shuffle(dead)  # other nodes find them too, and begin elsewhere
        for name in dead:
            if name not in self._removing and name not in self._later and len(self._removing) < AT_ONCE:
                task = self._removing[name] = asyncio.create_task(self._remove_dead(name, silent[name]))
                task.add_done_callback(partial(self._removed, name))

    # The dead

    async def _remove_dead(self, node: str, renewed: str) -> None:
        try:
            if await self._store.nodes.claim(node, renewed):
                log.warning("node %s is dead: its peers are removed", node)
                known = {room for room, _ in self._rooms.members_of(node)}
                if not await self.remove(node, known, self._bury):
                    self._later[node] = self._loop.time() + LATER
        except (*Failed, SignalingError):
            log.info("node %s could not be removed yet", node)

    def _bury(self, member: Member) -> None:
        self._directory.forget(member.peer_id, member.user_id)
        self._lost(member)

    def _removed(self, node: str, _task: asyncio.Task[None]) -> None:
        del self._removing[node]

    async def remove(self, node: str, rooms: Iterable[str], lost: Callable[[Member], None] = _ignore) -> bool:
        """Take a node's members out of their rooms and out of `rooms`, and then remove the node itself.

        `lost` is called with each of these members. Returns false if a key is strange: the node is still there
        then, and this has to be done again.

        Raises:
            One of `Failed`: The store is away; this can be done again.
        """
        listed: list[str] = []
        strange = False
        try:
            listed = await self._store.nodes.rooms_of(node)
        except StrangeKeyError:
            strange = True
        for room in {*listed, *rooms}:
            removed = await self._healing.remove(room, node)
            strange = strange or removed is None
            for member in removed or ():
                lost(member)
        if not strange:
            await self._store.nodes.forget(node)
            self._mesh.forget(node)
        return not strange
