"""The backend of a worker: in its own memory while it is alone, and as soon as others come, what one of them keeps.

stopped ──start──▶ alone ──company──▶ shared
└──────────────────────────▲
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from walkie_signal.backends.base import Done, Site
from walkie_signal.backends.machine.alone import Alone
from walkie_signal.backends.machine.folder import GroupFolder
from walkie_signal.backends.machine.groups import Group, Service
from walkie_signal.backends.machine.others import GroupOthers
from walkie_signal.backends.machine.store import Store
from walkie_signal.backends.machine.uplink import Uplink
from walkie_signal.backends.memory import MemoryBackend
from walkie_signal.backends.shared.backend import StoredBackend
from walkie_signal.backends.shared.incarnation import Former
from walkie_signal.backends.shared.uplink import Node
from walkie_signal.core.changes import Member, Reason
from walkie_signal.core.identity import UserId
from walkie_signal.core.replicas import Roster
from walkie_signal.core.values import Outcome, Value

log = logging.getLogger("walkie_signal.machine")

JOINED_WITHIN = 2.0
"""Seconds that a change waits for the move to the rooms that others share; it takes some milliseconds."""


class MachineBackend:
    """Joins the workers of one group to one service.

    Args:
        group: The group, by a name or by a supervisor.
        namespace: The Socket.IO namespace that the rooms belong to.
        prefix: Services with another prefix don't share rooms.
    """

    def __init__(self, group: Group, *, namespace: str = "/", prefix: str = "walkie-signal") -> None:
        self._group = group
        self._service = Service(namespace, prefix)
        group.expect(self._service)
        self._memory = MemoryBackend()
        self._now: MemoryBackend | StoredBackend = self._memory
        self._alone: Alone | None = None
        self._moving: asyncio.Task[None] | None = None
        self.others = GroupOthers(self._settled)
        self._here: dict[tuple[str, UserId | None], None] = {}
        self._folder: GroupFolder | None = None
        self._begun = False
        self._site: Site

    @property
    def name(self) -> str:
        """The name of the backend in the command's output and in the log."""
        return self._memory.name if self._folder is None else self._group.name

    @property
    def shared(self) -> bool:
        """Whether this process belongs to a group, as far as that is known: a start finds it out."""
        return self._folder is not None or self._group.forms()

    def serve_at(self, path: str) -> bool:
        """Record the path of the endpoint before the start; returns whether it decides who shares rooms."""
        if self._begun:
            return False
        self._service = self._service.at(path)
        return self._group.expect(self._service)

    @property
    def node_id(self) -> str:
        """The id of this node in its present incarnation."""
        return self._now.node_id

    @property
    def ready(self) -> bool:
        """Whether changes can be ordered now."""
        return self._now.ready

    # Its life

    async def start(self, site: Site) -> None:
        """Find the group, and join it; if nobody else is there, the rooms are in this process's memory.

        Raises:
            UnusableError: The folder of the group can't be used.
        """
        self._site = site
        self._begun = True
        self._folder = folder = self._group.folder(self._service)
        if folder is None:
            await self._memory.start(site)
            return
        office = None
        with suppress(OSError):  # the disk is full, say; the uplink tries until it is not
            latest = folder.latest()
            office = None if folder.is_held(latest) else folder.begin(latest + 1)
        if office is None:
            self._now, _ = self._connect(folder)
            await self._now.start(site)
            return
        self._alone = Alone(office, partial(self._move, folder))
        await self._memory.start(site)

    def _connect(self, folder: GroupFolder) -> tuple[StoredBackend, Uplink]:
        ways: list[Uplink] = []

        def connect(node: Node) -> tuple[Uplink, Store]:
            ways.append(Uplink(self._group.name, folder, node))
            return ways[0], Store(ways[0], node.incarnation)

        def meets() -> Path:
            folder.ensure()
            return folder.path

        stored = StoredBackend(connect, self._service.namespace, meets)
        self.others.move(stored.others)
        return stored, ways[0]

    def _move(self, folder: GroupFolder, alone: Alone) -> None:
        """Go on with rooms that others share, because somebody has come."""
        self._alone = None
        former = Former(self._memory.node_id, self._memory.rosters())
        stored, uplink = self._connect(folder)
        stored.begin(self._site, former)
        self._memory, self._now = MemoryBackend(), stored
        self._keep(uplink, alone, former)
        for peer_id, user_id in self._here:
            stored.present(peer_id, user_id)
        self._here.clear()
        self._moving = asyncio.create_task(self._move_to(stored, uplink))

    @staticmethod
    def _keep(uplink: Uplink, alone: Alone, former: Former) -> None:
        """Let the term go on, if it does; else the uplink finds another one, or begins it."""
        if alone.office.can_be_found:
            with suppress(OSError):  # no further file can be opened, say
                uplink.keep(alone.office, former.node_id)
        else:
            alone.office.resign()

    async def _move_to(self, stored: StoredBackend, uplink: Uplink) -> None:
        await stored.connect()
        uplink.let_others_in()
        log.info("%s: this worker is not alone any more", self._group.name)

    async def _settled(self) -> MemoryBackend | StoredBackend:
        """Return the backend of now, after a move that is under way."""
        if self._moving is not None and not self._moving.done():
            await asyncio.wait([self._moving], timeout=JOINED_WITHIN)
        return self._now

    async def close(self) -> None:
        """End what `start` began, and leave nothing of this node behind."""
        if self._alone is not None:
            self._alone.close()
            self._alone = None
        backend = await self._settled()
        await backend.close()
        if self._folder is not None:
            self._folder.leave()
        self._now, self._moving = self._memory, None
        self.others.move(self._memory.others)

    # Rooms

    async def join(self, member: Member, capacity: int) -> None:
        """Make a peer of this node a member, or announce it again."""
        await (await self._settled()).join(member, capacity)

    async def leave(self, room: str, peer_id: str, reason: Reason) -> None:
        """Take a member of this node out."""
        await (await self._settled()).leave(room, peer_id, reason)

    async def rooms(self) -> Sequence[str]:
        """Return the names of the rooms that have members."""
        return await (await self._settled()).rooms()

    async def roster(self, room: str) -> Sequence[Member]:
        """Return the members of a room."""
        return await (await self._settled()).roster(room)

    def known(self, room: str) -> Roster:
        """Return a room as this node knows it."""
        return self._now.known(room)

    async def read(self, room: str, key: str) -> Value:
        """Return a value beside a room."""
        return await (await self._settled()).read(room, key)

    async def swap(
        self, room: str, key: str, version: int, text: str, *, member: str | None = None, keep: float = 0
    ) -> Outcome:
        """Give a value beside a room another text."""
        backend = await self._settled()
        return await backend.swap(room, key, version, text, member=member, keep=keep)

    # Other nodes

    def relay(self, target: Member, from_id: str, text: str, done: Done) -> None:
        """Pass the text of a frame on to another node, for one of its peers."""
        self._now.relay(target, from_id, text, done)

    def present(self, peer_id: str, user_id: UserId | None) -> None:
        """Record that a connection is here."""
        if self._alone is not None:
            self._here[peer_id, user_id] = None
        self._now.present(peer_id, user_id)

    def absent(self, peer_id: str, user_id: UserId | None) -> None:
        """Record that a connection is not here any more."""
        self._here.pop((peer_id, user_id), None)
        self._now.absent(peer_id, user_id)

    async def tell(self, user_id: UserId, text: str) -> int:
        """Send the text of a frame to a user's connections on other nodes."""
        return await (await self._settled()).tell(user_id, text)

    async def connections(self, user_id: UserId) -> int:
        """Return how many connections a user has on other nodes."""
        return await (await self._settled()).connections(user_id)

    async def kick(self, peer_id: str) -> bool:
        """Kick a peer of another node."""
        return await (await self._settled()).kick(peer_id)
