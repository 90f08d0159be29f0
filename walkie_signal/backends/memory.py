"""The backend of a service with one node: the default, and the specification of the others."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Any

from walkie_signal.backends.base import Done, Site
from walkie_signal.core.changes import Change, Joined, Left, Member, Reason
from walkie_signal.core.emits import Emit, Order, is_stored_name
from walkie_signal.core.identity import UserId
from walkie_signal.core.ledger import Ledger
from walkie_signal.core.ports import Audience
from walkie_signal.core.replicas import Roster
from walkie_signal.core.values import Outcome, Value
from walkie_signal.errors import SignalingError, room_full


class NoOthers:
    """What `walkie_signal.core.ports.OtherNodes` is for a node that is the only one."""

    exist = False

    def serve(self, audience: Audience) -> None:
        """Do nothing: all clients are here."""

    def enter(self, namespace: str, room: Any) -> None:
        """Do nothing."""

    def quit(self, namespace: str, room: Any) -> None:
        """Do nothing."""

    async def entered(self, namespace: str, room: Any) -> None:
        """Do nothing."""

    async def emit(self, emit: Emit) -> None:
        """Do nothing."""

    async def close_room(self, namespace: str, room: Any) -> None:
        """Do nothing."""

    async def has(self, sid: str) -> bool:  # noqa: ARG002
        """Return false: there is no other node."""
        return False

    async def order(self, order: Order) -> bool:  # noqa: ARG002
        """Return false: there is no other node."""
        return False

    def present(self, sid: str) -> None:
        """Do nothing."""

    def absent(self, sid: str) -> None:
        """Do nothing."""


class MemoryBackend:
    """Changes are in order because one event loop takes the steps of one ledger, and they are applied at once."""

    name = "memory"
    shared = False

    def __init__(self) -> None:
        self.node_id = ""
        self.others = NoOthers()
        self._ledger = Ledger()
        self._site: Site | None = None

    @property
    def ready(self) -> bool:
        """Whether the backend is started."""
        return self._site is not None

    async def start(self, site: Site) -> None:
        """Begin to order changes."""
        self.node_id = secrets.token_hex(8)
        self._site = site

    async def close(self) -> None:
        """Forget every room."""
        self._site = None
        self._ledger = Ledger()

    async def join(self, member: Member, capacity: int) -> None:
        """Make a peer a member, or announce it again."""
        site = self._started()
        joined, _ = self._ledger.join(member, capacity, time.time_ns() // 1000)
        if not joined:
            raise room_full(capacity)
        self._apply(site, Joined(member))

    async def leave(self, room: str, peer_id: str, reason: Reason) -> None:
        """Take a member out."""
        _, published = self._ledger.leave(room, peer_id, self.node_id, reason, time.time_ns() // 1000)
        for _, _, left in published:
            if isinstance(left, Left) and self._site is not None:
                self._apply(self._site, left)

    @staticmethod
    def _apply(site: Site, change: Change) -> None:
        if is_stored_name(change.room):
            site.look(change.room)
        else:
            site.apply(change)

    async def rooms(self) -> Sequence[str]:
        """Return the names of the rooms that have members."""
        return [room for room in self._ledger.rooms(_now()) if not is_stored_name(room)]

    async def roster(self, room: str) -> Sequence[Member]:
        """Return the members of a room."""
        return [entry.member for entry in self._ledger.roster(room, _now()).entries]

    def known(self, room: str) -> Roster:
        """Return a room as this node knows it."""
        return self._ledger.roster(room, _now())

    async def read(self, room: str, key: str) -> Value:
        """Return a value beside a room."""
        self._started()
        return self._ledger.read(room, key, _now())

    async def swap(
        self, room: str, key: str, version: int, text: str, *, member: str | None = None, keep: float = 0
    ) -> Outcome:
        """Give a value beside a room another text."""
        site = self._started()
        stays = round(keep * 1000) * 1000
        outcome, _ = self._ledger.swap(
            room, key, version, text, _now(), node=self.node_id, member=member, keep=stays
        )
        if is_stored_name(room):
            site.look(room)
        return outcome

    def rosters(self) -> dict[str, Roster]:
        """Return all rooms, by their names."""
        now = _now()
        return {room: self._ledger.roster(room, now) for room in self._ledger.rooms(now)}

    def relay(self, target: Member, from_id: str, text: str, done: Done) -> None:  # noqa: ARG002
        """Answer that there is no other node."""
        done(False)  # noqa: FBT003 - see `Done`

    def present(self, peer_id: str, user_id: UserId | None) -> None:
        """Do nothing: the node itself knows its peers."""

    def absent(self, peer_id: str, user_id: UserId | None) -> None:
        """Do nothing."""

    async def tell(self, user_id: UserId, text: str) -> int:  # noqa: ARG002
        """Return 0: there is no other node."""
        return 0

    async def connections(self, user_id: UserId) -> int:  # noqa: ARG002
        """Return 0: there is no other node."""
        return 0

    async def kick(self, peer_id: str) -> bool:  # noqa: ARG002
        """Return false: there is no other node."""
        return False

    def _started(self) -> Site:
        if self._site is None:
            raise SignalingError("unavailable", "the service is closed", retryAfterMs=1000)
        return self._site


def _now() -> int:
    return time.time_ns() // 1000
