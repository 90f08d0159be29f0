"""The backend of a service with many nodes, whichever store they share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from walkie_signal.backends.base import Done, Site
from walkie_signal.backends.shared.directory import Directory
from walkie_signal.backends.shared.followed import FollowedRooms
from walkie_signal.backends.shared.healing import Healing
from walkie_signal.backends.shared.heart import Heart
from walkie_signal.backends.shared.incarnation import MEMORY, Former, Incarnation
from walkie_signal.backends.shared.lifetime import LEASE, Lifetime
from walkie_signal.backends.shared.mail import Mail
from walkie_signal.backends.shared.mesh import Mesh
from walkie_signal.backends.shared.others import Others
from walkie_signal.backends.shared.rooms import Rooms
from walkie_signal.backends.shared.screen import Screen
from walkie_signal.backends.shared.store import Failed, Store
from walkie_signal.backends.shared.uplink import Node, Uplink
from walkie_signal.backends.shared.values import Values
from walkie_signal.core.changes import Change, Member, Reason
from walkie_signal.core.identity import UserId
from walkie_signal.core.replicas import Roster
from walkie_signal.core.values import Outcome, Value
from walkie_signal.wire.event_packets import head_of

log = logging.getLogger("walkie_signal.store")

START_TIMEOUT = 2.0
"""Seconds that a start waits for the store; after that the node goes on trying, but it is not ready."""

CLOSE_TIMEOUT = 2.0
"""Seconds that a node has to remove everything of its own from the store."""


class StoredBackend:
    """Joins the nodes that share a store to one service.

    Args:
        connect: Makes the way of a node to its store, and the store as the node sees it.
        namespace: The Socket.IO namespace that the rooms belong to.
        meets: Returns the folder where the nodes of this machine listen for one another; raises `UnusableError`.
            ``None`` if they send one another everything by the store.
    """

    shared = True

    # `start` makes these, with the site; nothing asks for them before, because there are no peers yet
    _site: Site
    _screen: Screen
    _followed: FollowedRooms
    _healing: Healing
    _rooms: Rooms
    _values: Values
    _mail: Mail
    _heart: Heart

    def __init__(
        self,
        connect: Callable[[Node], tuple[Uplink, Store]],
        namespace: str,
        meets: Callable[[], Path] | None = None,
    ) -> None:
        self._incarnation = Incarnation()
        self._lifetime = Lifetime(self._fence)
        node = Node(self._incarnation, self._lifetime, self._restore, self._hear, self._rise, self._down)
        self._uplink, self._store = connect(node)
        self._mesh = Mesh(meets, self._incarnation, self._lifetime)
        self._directory = Directory(self._store.places)
        self._head = head_of(namespace)
        self._former: list[tuple[str, set[tuple[str, str]]]] = []
        self._release: asyncio.TimerHandle | None = None
        self._channel = b""
        self.others = Others(self._incarnation, self._directory)

    @property
    def name(self) -> str:
        """The name of the backend in the command's output and in the log."""
        return self._uplink.name

    @property
    def node_id(self) -> str:
        """The id of this node in its present incarnation."""
        return self._incarnation.id

    @property
    def ready(self) -> bool:
        """Whether changes can be ordered now."""
        return self._uplink.up

    # The life of the node

    async def start(self, site: Site) -> None:
        """Connect; if the store is away, go on trying in the background."""
        self.begin(site)
        await self.connect()

    def begin(self, site: Site, former: Former | None = None) -> None:
        """Become a node.

        Args:
            site: Its site.
            former: What it has kept alone until now; ``None`` if it has kept nothing.
        """
        self._incarnation.begin("" if former is None else former.node_id)
        self._site = site
        self._screen = Screen(site)
        self._make_rooms()
        self._make_mail()
        self._heart = Heart(
            store=self._store,
            uplink=self._uplink,
            incarnation=self._incarnation,
            lifetime=self._lifetime,
            rooms=self._followed,
            healing=self._healing,
            directory=self._directory,
            mesh=self._mesh,
            lost=self._screen.lost,
            fence=self._fence,
        )
        for room, roster in () if former is None else former.rosters.items():
            self._followed.take_over(room, roster)

    def _make_rooms(self) -> None:
        store, uplink, incarnation = self._store, self._uplink, self._incarnation
        self._followed = followed = FollowedRooms(
            store.rooms,
            store.nodes,
            incarnation,
            apply=self._apply,
            changed=self._screen.changed,
            forget=self._screen.forget,
            owing=lambda: self._healing.pay_soon(),  # noqa: PLW0108 - it is made below
        )
        self._healing = Healing(store.rooms, store.nodes, uplink, incarnation, followed)
        self._rooms = Rooms(store.rooms, uplink, incarnation, followed, self._healing)
        self._values = Values(store.values, uplink, followed)

    def _make_mail(self) -> None:
        store, uplink, followed = self._store, self._uplink, self._followed
        self._mail = mail = Mail(
            store=store.channels,
            mesh=self._mesh,
            uplink=uplink,
            incarnation=self._incarnation,
            directory=self._directory,
            rooms=followed,
            healing=self._healing,
            site=self._site,
            hear_host=self.others.hear,
            head=self._head,
        )
        rooms, send = self._rooms, mail.send_host
        self.others.begin(rooms=rooms, store=store.rooms, uplink=uplink, followed=followed, send=send)

    async def connect(self) -> None:
        """Connect; if the store is away, go on trying in the background."""
        await self._uplink.start(START_TIMEOUT)

    def _apply(self, change: Change) -> None:
        self._screen.apply(change)
        self._mail.changed(change)

    async def close(self) -> None:
        """Remove this node from the store, as far as that can be done in time, and disconnect."""
        if not self.node_id:
            return
        await self._heart.close()
        self.others.close()
        if self._uplink.up:
            try:
                await asyncio.wait_for(self._heart.remove(self.node_id, self._followed), CLOSE_TIMEOUT)
            except Failed:
                log.warning("%s is away: the other nodes will find out that this one has ended", self.name)
        await self._uplink.close()
        self._mesh.close()
        self._healing.close()
        self._followed.clear()
        if self._release is not None:
            self._release.cancel()
        self._incarnation.end()

    async def _restore(self) -> None:
        """Make everything right on new connections."""
        was_alone = self._incarnation.generation == MEMORY
        await self._store.nodes.check_rights()
        await self._heart.renew()
        self._channel = self._store.channels.own()
        await self._store.channels.listen()
        await self._mesh.open(self._mail.hear)
        self._incarnation.listen()
        holding = self._followed.holding
        await self._healing.restore(writes_back=holding, dead=self._heart.dead)
        if holding:
            self._release = asyncio.get_running_loop().call_later(LEASE, self._healing.release)
        while self._former:
            node, members = self._former[0]
            await self._heart.remove(node, self._followed, partial(self._lost, members))
            del self._former[0]
        await self._directory.restore(others_have_to=holding and not was_alone)
        await self._healing.pay()

    def _rise(self) -> None:
        self.others.rise()

    def _down(self) -> None:
        self._followed.down()
        self.others.down()
        self._mail.forget()
        if self._release is not None:
            self._release.cancel()

    def _fence(self) -> None:
        """Go on as another node: this one was silent for so long that the others may have removed it."""
        log.warning("node %s was silent for longer than its lease: its peers have to come back", self.node_id)
        self._former.append((self.node_id, self._followed.members_of(self.node_id)))
        self._incarnation.go_on()
        self._followed.abandon()
        self._mesh.cut()
        self._site.fenced()
        self._uplink.lose("this node goes on as another")

    def _lost(self, known: set[tuple[str, str]], member: Member) -> None:
        """Report a lost member of a former incarnation, unless this node never knew it as a member."""
        if (member.room, member.peer_id) in known:
            self._screen.lost(member)

    def _hear(self, channel: bytes, data: bytes) -> None:
        if channel == self._channel:
            self._mail.hear(data)
            return
        copy = self._followed.hear(channel, data)
        if copy is not None:
            self._healing.heal(copy.room)

    # Rooms

    async def join(self, member: Member, capacity: int) -> None:
        """Make a peer of this node a member, or announce it again."""
        await self._rooms.join(member, capacity)

    async def leave(self, room: str, peer_id: str, reason: Reason) -> None:
        """Take a member of this node out. If the store is away, this happens here at once, and there later."""
        await self._rooms.leave(room, peer_id, reason)

    async def rooms(self) -> Sequence[str]:
        """Return the names of the rooms that have members, on any node."""
        return await self._rooms.names()

    async def roster(self, room: str) -> Sequence[Member]:
        """Return the members of a room, on any node."""
        return await self._rooms.roster(room)

    def known(self, room: str) -> Roster:
        """Return a room as this node knows it."""
        return self._followed.known(room)

    async def read(self, room: str, key: str) -> Value:
        """Return a value beside a room."""
        return await self._values.read(room, key)

    async def swap(
        self, room: str, key: str, version: int, text: str, *, member: str | None = None, keep: float = 0
    ) -> Outcome:
        """Give a value beside a room another text."""
        return await self._values.swap(room, key, version, text, member=member, keep=keep)

    # Other nodes

    def relay(self, target: Member, from_id: str, text: str, done: Done) -> None:
        """Pass the text of a frame on to another node, for one of its peers."""
        self._mail.relay(target, from_id, text, done)

    def present(self, peer_id: str, user_id: UserId | None) -> None:
        """Record that a connection is here."""
        self._directory.add(peer_id, user_id)

    def absent(self, peer_id: str, user_id: UserId | None) -> None:
        """Record that a connection is not here any more."""
        self._directory.remove(peer_id, user_id)

    async def tell(self, user_id: UserId, text: str) -> int:
        """Send the text of a frame to a user's connections on other nodes."""
        return await self._mail.tell(user_id, text)

    async def connections(self, user_id: UserId) -> int:
        """Return how many connections a user has on other nodes."""
        return await self._mail.connections(user_id)

    async def kick(self, peer_id: str) -> bool:
        """Kick a peer of another node."""
        return await self._mail.kick(peer_id)
