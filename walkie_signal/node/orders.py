"""What the host may ask and order, of the whole service from any of its nodes."""

from __future__ import annotations

from typing import Any

from walkie_signal.backends.base import Backend
from walkie_signal.core.changes import Member
from walkie_signal.core.identity import UserId, checked_user_id
from walkie_signal.errors import SignalingError
from walkie_signal.node.parting import Partings
from walkie_signal.node.peers import Peers
from walkie_signal.node.revoking import Revocations
from walkie_signal.settings.limits import LimitSettings
from walkie_signal.wire.event_packets import RESERVED_EVENTS
from walkie_signal.wire.values import fault_of


class Orders:
    """Carries out the host's orders.

    Each method raises `SignalingError`, ``unavailable``, while other nodes can't be asked.
    """

    def __init__(
        self,
        settings: LimitSettings,
        backend: Backend,
        peers: Peers,
        partings: Partings,
        revocations: Revocations,
    ) -> None:
        self._settings = settings
        self._backend = backend
        self._peers = peers
        self._partings = partings
        self._revocations = revocations

    async def rooms(self) -> list[str]:
        """Return the names of the rooms with members."""
        return sorted(await self._backend.rooms())

    async def roster(self, room: str) -> list[Member]:
        """Return the members of a room."""
        return list(await self._backend.roster(room))

    async def send(self, user_id: UserId, event: str, *arguments: Any) -> int:
        """Send an event of the host's to each connection of a user; returns how many there are.

        7, 7.0 and "7" are the same user. If other nodes can't be asked, ``details["sent"]`` of the error says how
        many connections of this node the event was sent to.
        """
        if event in RESERVED_EVENTS:
            raise ValueError(f"{event!r} is reserved by Socket.IO")
        if (fault := fault_of(arguments, self._settings.nesting_depth + 1)) is not None:
            raise ValueError(f"the data can't be sent: {fault}")
        known = checked_user_id(user_id)
        peers = self._peers.of_user(known)
        text = self._peers.tell(peers, event, *arguments)
        try:
            return len(peers) + await self._backend.tell(known, text)
        except SignalingError as error:
            raise SignalingError(error.code, error.message, **error.details, sent=len(peers)) from None

    async def kick(self, peer_id: str) -> bool:
        """Take a peer out of its rooms and close its connection for good; returns whether there was one."""
        peer = self._peers.get(peer_id)
        if peer is None:
            return await self._backend.kick(peer_id)
        self._partings.end(peer, "kicked")
        await peer.settled()
        return True

    async def revoke(self, user_id: UserId) -> int:
        """Close a user's connections, and refuse what was issued for it until now; returns how many there were.

        If other nodes can't be asked, ``details["closed"]`` of the error says how many of this node were closed.
        """
        return await self._revocations.revoke(user_id)
