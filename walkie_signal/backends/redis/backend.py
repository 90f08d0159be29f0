"""The backend of a service with many nodes."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence
from functools import partial
from typing import Any

import hiredis

from walkie_signal.backends.base import Site
from walkie_signal.backends.redis.directory import Directory
from walkie_signal.backends.redis.followed import FollowedRooms
from walkie_signal.backends.redis.healing import Healing
from walkie_signal.backends.redis.heart import LEASE, Heart
from walkie_signal.backends.redis.mail import Mail
from walkie_signal.backends.redis.names import Names
from walkie_signal.backends.redis.rights import refuses
from walkie_signal.backends.redis.rooms import Rooms
from walkie_signal.backends.redis.scripts import NEEDED
from walkie_signal.backends.redis.strange import StrangeKeys, is_strange
from walkie_signal.backends.redis.uplink import REPLY_TIMEOUT, Failed, Uplink, unavailable
from walkie_signal.backends.redis.values import Values
from walkie_signal.backends.redis.wire import Lost, Wire, ignore, words
from walkie_signal.core.changes import Member, Reason
from walkie_signal.core.identity import UserId
from walkie_signal.core.values import Outcome, Value
from walkie_signal.errors import SignalingError
from walkie_signal.wire.events import head_of

log = logging.getLogger("walkie_signal.redis")

START_TIMEOUT = 2.0
"""Seconds that a start waits for Redis; after that the node goes on trying, but it is not ready."""

CLOSE_TIMEOUT = 2.0
"""Seconds that a node has to remove everything of its own from Redis."""


class RedisBackend:
    """Joins the nodes of one service by a Redis server.

    Args:
        url: The server, in redis-py's forms: ``redis://[[user]:password@]host[:port][/database]``, ``rediss://``
            for TLS, ``unix://path``; or its sentinels, ``redis+sentinel://host[,host]/service[/database]``.
        namespace: The Socket.IO namespace that the rooms belong to.
        prefix: The beginning of the names of all keys and channels.

    Raises:
        ValueError: `url` is not such a URL.
    """

    shared = True

    def __init__(self, url: str, *, namespace: str = "/", prefix: str = "walkie-signal") -> None:
        self._uplink = Uplink(url, self._restore, self._hear, self._down)
        self._names = Names(prefix, namespace, self._uplink.address.database)
        self._strange = StrangeKeys()
        self._followed = FollowedRooms(self._names, self._uplink, self._strange)
        self._healing = Healing(self._names, self._uplink, self._followed, self._strange)
        self._rooms = Rooms(self._uplink, self._followed, self._healing)
        self._mail = Mail(self._names, self._uplink, self._followed, self._healing, head_of(namespace))
        self._directory = Directory(self._names, self._uplink, self._strange)
        self._values = Values(self._names, self._uplink, self._followed, self._healing, self._strange)
        self._heart: Heart | None = None
        self._followed.on_change = self._mail.changed
        self._followed.on_owed = self._healing.pay_soon
        self._generation = ""
        self._former: list[tuple[str, set[tuple[str, str]]]] = []
        self._release: asyncio.TimerHandle | None = None
        self._channel = b""
        self.relay = self._mail.relay

    @property
    def name(self) -> str:
        """The name of the backend in the command's output and in the log."""
        return f"Redis at {self._uplink.address}"

    @property
    def node_id(self) -> str:
        """The id of this node in its present incarnation."""
        return self._uplink.node_id

    @property
    def ready(self) -> bool:
        """Whether changes can be ordered now."""
        return self._uplink.up

    # The life of the node

    async def start(self, site: Site) -> None:
        """Connect; if Redis is away, go on trying in the background."""
        self._uplink.node_id = secrets.token_hex(8)
        self._followed.site = self._mail.site = site
        self._heart = Heart(
            names=self._names,
            uplink=self._uplink,
            rooms=self._followed,
            healing=self._healing,
            mail=self._mail,
            directory=self._directory,
            strange=self._strange,
            fence=self._fence,
        )
        await self._uplink.start(START_TIMEOUT)

    async def close(self) -> None:
        """Remove this node from Redis, as far as that can be done in time, and disconnect."""
        if self._heart is None:
            return
        await self._heart.close()
        if self._uplink.up:
            try:
                await asyncio.wait_for(
                    self._heart.remove(self.node_id, self._followed, ignore), CLOSE_TIMEOUT
                )
            except Failed:
                log.warning("Redis is away: the other nodes will find out that this one has ended")
        await self._uplink.close()
        self._healing.close()
        self._followed.clear()
        if self._release is not None:
            self._release.cancel()
        self._heart, self._generation = None, ""
        self._uplink.node_id = ""

    async def _restore(self) -> None:
        """Make everything right on new connections."""
        heart, listening = self._heart, self._uplink.listening
        if heart is None or listening is None:
            raise Lost
        channel = self._names.node(self.node_id)
        await self._check_rights(listening, channel)
        self._healing.generation = generation = await heart.renew()
        self._channel = channel.encode()
        await asyncio.wait_for(listening.subscribe(channel), REPLY_TIMEOUT)
        heart.begin()
        if self._generation not in ("", generation):
            self._followed.holding = True
        await self._healing.restore(writes_back=self._followed.holding)
        if self._followed.holding:
            self._release = asyncio.get_running_loop().call_later(LEASE, self._healing.release)
        while self._former:
            node, members = self._former[0]
            await heart.remove(node, self._followed, partial(self._lost, members))
            del self._former[0]
        await self._directory.restore()
        await self._healing.pay()
        self._generation = generation
        self._uplink.up = True

    async def _check_rights(self, listening: Wire, channel: str) -> None:
        """Try the commands that a node needs.

        Raises:
            SignalingError: Redis refuses some of them; the message names these.
            One of `Failed`: Redis is away, or refuses the script that tries them.
        """
        asked = listening.ask("UNSUBSCRIBE", channel)
        errors = await self._uplink.run(NEEDED, [self._names.trial(self.node_id)])
        await asyncio.wait_for(asked, REPLY_TIMEOUT)
        texts = [text.decode("utf-8", "replace") for text in errors]
        refused = {name: error for name, error in zip(texts[::2], texts[1::2], strict=True) if refuses(error)}
        if refused:
            why = words(hiredis.ReplyError(next(iter(refused.values()))))
            raise SignalingError("unavailable", f"it refuses {', '.join(refused)}, which a node needs: {why}")

    def _down(self) -> None:
        self._followed.down()
        self._mail.forget()
        if self._release is not None:
            self._release.cancel()

    def _fence(self) -> None:
        """Go on as another node: this one was silent for so long that the others may have removed it."""
        log.warning("node %s was silent for longer than its lease: its peers have to come back", self.node_id)
        self._former.append((self.node_id, self._followed.members_of(self.node_id)))
        self._uplink.node_id = secrets.token_hex(8)
        self._followed.abandon()
        self._followed.site.fenced()
        self._uplink.lose("this node goes on as another")

    def _lost(self, known: set[tuple[str, str]], member: Member) -> None:
        """Report a lost member of a former incarnation, unless this node never knew it as a member."""
        if (member.room, member.peer_id) in known:
            self._followed.site.lost(member)

    def _hear(self, channel: bytes, data: bytes) -> None:
        if channel == self._channel:
            self._mail.hear(data)
            return
        followed = self._followed.hear(channel, data)
        if followed is not None:
            self._healing.heal(followed.replica.room)

    # Rooms

    async def join(self, member: Member, capacity: int) -> None:
        """Make a peer of this node a member, or announce it again."""
        self._uplink.check()
        if member.node != self.node_id:
            raise unavailable()
        await self._rooms.join(member, capacity)

    async def leave(self, room: str, peer_id: str, reason: Reason) -> None:
        """Take a member of this node out. If Redis is away, this happens here at once, and there later."""
        await self._rooms.leave(room, peer_id, reason)

    async def rooms(self) -> Sequence[str]:
        """Return the names of the rooms that have members, on any node."""
        self._uplink.check()
        try:
            nodes = await self._uplink.ask("ZRANGE", self._names.nodes, 0, -1)
            keys = [self._names.rooms_of(node.decode("utf-8", "replace")) for node in nodes]
            listed = await asyncio.gather(*(self._read("SMEMBERS", key) for key in keys))
            names = sorted({room.decode("utf-8", "replace") for rooms in listed for room in rooms})
            lengths = await asyncio.gather(*map(self._length_of, names))
        except Failed:
            raise unavailable() from None
        return [room for room, length in zip(names, lengths, strict=True) if length > 1]

    async def _length_of(self, room: str) -> int:
        """Return how many fields a room's hash has; 0 if its key is strange, because nobody can be in it then."""
        try:
            length: int = await self._read("HLEN", self._names.room(room))
        except hiredis.ReplyError as error:
            if not is_strange(error):
                raise
            length = 0
        return length

    async def _read(self, command: str, key: str) -> Any:
        """Read a key; report it if it is strange."""
        try:
            return await self._uplink.ask(command, key)
        except hiredis.ReplyError as error:
            self._strange.look(key, error)
            raise

    async def roster(self, room: str) -> Sequence[Member]:
        """Return the members of a room, on any node."""
        self._uplink.check()
        key = self._names.room(room)
        try:
            roster = self._followed.roster_of(room, await self._read("HGETALL", key))
        except ValueError:
            self._strange.tell(key)
            raise unavailable() from None
        except Failed:
            raise unavailable() from None
        return [entry.member for entry in roster.entries]

    async def read(self, room: str, key: str) -> Value:
        """Return a value beside a room."""
        return await self._values.read(room, key)

    async def swap(
        self, room: str, key: str, version: int, text: str, *, member: str | None = None, keep: float = 0
    ) -> Outcome:
        """Give a value beside a room another text."""
        return await self._values.swap(room, key, version, text, member=member, keep=keep)

    # Other nodes

    def present(self, peer_id: str, user_id: UserId | None) -> None:
        """Record that a connection is here."""
        self._directory.add(peer_id, user_id)

    def absent(self, peer_id: str, user_id: UserId | None) -> None:
        """Record that a connection is not here any more."""
        self._directory.remove(peer_id, user_id)

    async def tell(self, user_id: UserId, text: str) -> int:
        """Send the text of a frame to a user's connections on other nodes."""
        self._uplink.check()
        key = str(user_id)
        try:
            connections = list((await self._directory.nodes_of_user(key)).values())
            nodes = sorted({node for node in connections if node != self.node_id})
            reached = await asyncio.gather(*(self._mail.tell(node, key, text) for node in nodes))
        except Failed:
            raise unavailable() from None
        return sum(connections.count(node) for node, heard in zip(nodes, reached, strict=True) if heard)

    async def kick(self, peer_id: str) -> bool:
        """Kick a peer of another node."""
        self._uplink.check()
        try:
            node = (await self._directory.nodes_of_peer(peer_id)).get(peer_id)
            return node is not None and node != self.node_id and await self._mail.kick(node, peer_id)
        except Failed:
            raise unavailable() from None
