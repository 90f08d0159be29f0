"""What nodes send one another: each message is published once, to the one node that it is for.

The channel of a room and the channel of a node have no common order, so a signal may overtake the `new_peer` of
its sender. Each signal therefore says since when its sender is a member, and it waits here until that is known.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from walkie_signal.backends.base import Done, Site
from walkie_signal.backends.shared.backlogs import Backlogs, Handed
from walkie_signal.backends.shared.directory import Directory
from walkie_signal.backends.shared.followed import FollowedRooms
from walkie_signal.backends.shared.healing import Healing
from walkie_signal.backends.shared.incarnation import Incarnation
from walkie_signal.backends.shared.mesh import Mesh
from walkie_signal.backends.shared.messages import (
    Beat,
    HostMessage,
    Kicked,
    Mark,
    Read,
    Signal,
    Told,
    read_node_message,
    write_host,
    write_kicked,
    write_mark,
    write_read,
    write_signal,
    write_told,
)
from walkie_signal.backends.shared.store import ChannelStore, Failed
from walkie_signal.backends.shared.uplink import Uplink, unavailable
from walkie_signal.backends.shared.ways import Way
from walkie_signal.bounded_log import BoundedLog
from walkie_signal.core.changes import Change, Left, Member
from walkie_signal.core.identity import UserId
from walkie_signal.core.replicas import Entry

log = logging.getLogger("walkie_signal.store")

PATIENCE = 1.0
"""Seconds that a signal waits for the join of its sender."""

MOST_WAITING = 1000
"""How many signals may wait for this on one node."""


class Mail:
    """Sends messages to other nodes, and takes what they send."""

    def __init__(
        self,
        *,
        store: ChannelStore,
        mesh: Mesh,
        uplink: Uplink,
        incarnation: Incarnation,
        directory: Directory,
        rooms: FollowedRooms,
        healing: Healing,
        site: Site,
        hear_host: Callable[[HostMessage], None],
        head: str,
    ) -> None:
        self._store = store
        self._mesh = mesh
        self._uplink = uplink
        self._incarnation = incarnation
        self._directory = directory
        self._rooms = rooms
        self._healing = healing
        self._site = site
        self._hear_host = hear_host
        self._head = head
        self._lines = BoundedLog(log)
        self._ways: dict[str, Way] = {}
        self._backlogs = Backlogs(self._way, self._send_host)
        self._received: dict[str, int] = {}
        self._early: dict[tuple[str, str], list[Signal]] = {}

    # Out

    def relay(self, target: Member, from_id: str, text: str, done: Done) -> None:
        """Send a signal to its target's node."""
        node, room = target.node, target.room
        copy = self._rooms.get(room)
        entry = None if copy is None else copy.entry(from_id)
        if entry is None or not self._uplink.up:
            done(False)  # noqa: FBT003 - see `Done`
            return
        way = self._way(node)
        way.sent = number = way.sent + 1
        message = write_signal(self._incarnation.id, number, target.peer_id, from_id, entry.since, room, text)
        way.send(message, done)

    def send_host(self, node: str, body: str, handed: Handed) -> None:
        """Send a message of the host's to a node, once there is room; `body` is from `write_host_body`."""
        if not self._uplink.up:
            handed(False)  # noqa: FBT003 - see `Handed`
            return
        way = self._way(node)
        if way.has_room:
            self._send_host(way, body, handed)
        else:
            self._backlogs.add(node, body, handed)

    def _send_host(self, way: Way, body: str, handed: Handed) -> None:
        way.sent = number = way.sent + 1
        message = write_host(self._incarnation.id, number, body)
        way.send(message, handed)
        if way.counts:
            way.count(message)

    def _way(self, node: str) -> Way:
        way = self._ways.get(node)
        return self._begin_way(node) if way is None or way.ended else way

    def _begin_way(self, node: str) -> Way:
        """Begin another way to a node, and forget those that have ended, as to nodes that are gone."""
        former = self._ways.get(node)
        self._ways = {other: way for other, way in self._ways.items() if not way.ended}
        way = Way(
            self._mesh.path(node),
            partial(self._store.send, self._store.route(node)),
            0 if former is None else former.sent,
            goes_on=partial(self._backlogs.go_on, node),
            mark=lambda number: write_mark(Mark(self._incarnation.id, number)),
        )
        self._ways[node] = way
        return way

    async def tell(self, user_id: UserId, text: str) -> int:
        """Publish a frame for a user's connections on other nodes; see `Backend.tell`."""
        self._uplink.check()
        message = write_told(Told(str(user_id), text))
        try:
            connections = await self._directory.nodes_of_user(user_id)
            nodes = sorted({node for node in connections if node != self._incarnation.id})
            reached = await asyncio.gather(*(self._store.publish(node, message) for node in nodes))
        except Failed:
            raise unavailable() from None
        return sum(connections.count(node) for node, heard in zip(nodes, reached, strict=True) if heard)

    async def connections(self, user_id: UserId) -> int:
        """Return how many connections a user has on other nodes; see `Backend.connections`."""
        self._uplink.check()
        try:
            nodes = await self._directory.nodes_of_user(user_id)
        except Failed:
            raise unavailable() from None
        return sum(node != self._incarnation.id for node in nodes)

    async def kick(self, peer_id: str) -> bool:
        """Send the order to kick a peer of another node; see `Backend.kick`."""
        self._uplink.check()
        try:
            node = await self._directory.node_of_peer(peer_id)
            if node is None or node == self._incarnation.id:
                return False
            return await self._store.publish(node, write_kicked(Kicked(peer_id)))
        except Failed:
            raise unavailable() from None

    # In

    def hear(self, data: bytes) -> None:
        """Take what came on this node's own channel."""
        try:
            message = read_node_message(data)
        except ValueError as error:
            line = "a message from another node can't be read: %s"
            self._lines.write(logging.WARNING, "messages that can't be read", line, error)
            return
        if isinstance(message, Signal):
            self._take(message)
        elif isinstance(message, HostMessage):
            self._count(message.node, message.number)
            self._hear_host(message)
        elif isinstance(message, (Mark, Read)):
            self._take_mark(message)
        elif isinstance(message, Beat):
            self._incarnation.hear(message.number)
        elif isinstance(message, Told):
            if self._is_event(message.text):
                self._site.tell(message.user_id, message.text)
        elif isinstance(message, Kicked):
            self._site.kick(message.peer_id)

    def _take(self, signal: Signal) -> None:
        node, number, target_id, from_id, since, room, _ = signal
        self._count(node, number)
        copy = self._rooms.get(room)
        sender = None if copy is None else copy.entry(from_id)
        if sender is None or sender.since < since or (self._early and (from_id, target_id) in self._early):
            self._keep((from_id, target_id), signal)
        else:
            self._deliver(signal, sender)

    def _take_mark(self, message: Mark | Read) -> None:
        if isinstance(message, Mark):
            read = Read(self._incarnation.id, message.number)
            self._store.send(self._store.route(message.node), write_read(read), lambda _answer: None)
        elif message.node in self._ways:
            self._ways[message.node].read(message.number)

    def _count(self, node: str, number: int) -> None:
        """Find out what was lost of what a node has sent."""
        expected = self._received.get(node, number - 1) + 1
        self._received[node] = number
        if number > expected:
            message = "%d messages from another node were lost"
            self._lines.write(logging.WARNING, "messages that have not come", message, number - expected)
            self._healing.heal_all()

    def _deliver(self, signal: Signal, sender: Entry | None) -> None:
        """Pass a signal on if its sender is the member that it was when it sent it."""
        if (
            sender is not None
            and sender.since == signal.since
            and sender.member.node == signal.node
            and self._is_event(signal.text)
        ):
            self._site.hand_over(signal.room, signal.target_id, signal.text)

    def _is_event(self, text: str) -> bool:
        """Tell whether a frame is an event: any other frame could close the connection of the peer that gets it.

        A polling peer would read the text after a record separator as a further packet; JSON contains none.
        """
        if text.startswith(self._head) and text.endswith("]") and "\x1e" not in text:
            return True
        message = "a frame from another node is not an event, and is not passed on"
        self._lines.write(logging.WARNING, "frames that are no event", message)
        return False

    def _keep(self, key: tuple[str, str], signal: Signal) -> None:
        if sum(map(len, self._early.values())) >= MOST_WAITING:
            message = "a signal is dropped: too many wait until the join of their sender is known"
            self._lines.write(logging.WARNING, "signals that are dropped", message)
            return
        if key not in self._early:
            self._expire_later(key, signal)
        self._early.setdefault(key, []).append(signal)

    def _expire_later(self, key: tuple[str, str], first: Signal) -> None:
        asyncio.get_running_loop().call_later(PATIENCE, self._expire, key, first)

    def changed(self, change: Change) -> None:
        """Deliver the signals that waited for a change."""
        if not self._early or isinstance(change, Left):
            return
        from_id = change.member.peer_id
        for key in [key for key in self._early if key[0] == from_id]:
            waiting = self._early[key]
            while waiting:
                sender = self._rooms.entry(waiting[0].room, from_id)
                if sender is None or sender.since < waiting[0].since:
                    break
                self._deliver(waiting.pop(0), sender)
            else:
                del self._early[key]
                continue
            self._expire_later(key, waiting[0])

    def _expire(self, key: tuple[str, str], first: Signal) -> None:
        """Drop the signals of an unknown peer, and check whether a change is missing."""
        waiting = self._early.get(key)
        if waiting and waiting[0] is first:
            del self._early[key]
            message = "signals of unknown peers are dropped"
            self._lines.write(logging.INFO, "signals of nobody known", message)
            self._healing.heal(first.room)
            for signal in waiting[1:]:
                self._deliver(signal, self._rooms.entry(signal.room, signal.from_id))

    # The end

    def forget(self) -> None:
        """Forget all counts and what waits, because the connections and what was sent on them are lost."""
        self._backlogs.clear()
        for way in self._ways.values():
            way.close()
        self._ways.clear()
        self._received.clear()
        self._early.clear()
