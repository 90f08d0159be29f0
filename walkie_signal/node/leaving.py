"""How peers leave rooms: because they ask to, or because they are in another room now, or gone."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from walkie_signal.backends.base import Backend
from walkie_signal.core.changes import Reason
from walkie_signal.core.peer_events import LeaveRoom
from walkie_signal.core.registry import Registry
from walkie_signal.errors import SignalingError
from walkie_signal.node.peers import Peer
from walkie_signal.wire.event_packets import Event

log = logging.getLogger("walkie_signal")


class Leaves:
    """Takes one node's peers out of rooms."""

    def __init__(self, backend: Backend, registry: Registry) -> None:
        self._backend = backend
        self._registry = registry

    async def leave(self, peer: Peer, event: Event, message: LeaveRoom) -> None:
        """Take a peer out of a room, or of all its rooms.

        Raises:
            SignalingError: ``not_in_room``, ``unavailable``.
        """
        rooms = self._registry.rooms_of(peer.peer_id)
        if message.room is not None:
            if message.room not in rooms:
                raise SignalingError("not_in_room", "you are not in this room")
            rooms = (message.room,)
        for room in rooms:
            await self._backend.leave(room, peer.peer_id, "left")
        peer.confirm(event.ack_id)

    async def quit(self, peer: Peer, rooms: Iterable[str], reason: Reason) -> None:
        """Take a peer out of rooms that it hears nothing of any more; a failure can't be answered, only logged."""
        for room in rooms:
            try:
                await self._backend.leave(room, peer.peer_id, reason)
            except Exception:  # noqa: PERF203 - the other rooms must go on if one fails
                log.exception("a peer could not be taken out of a room that it has left")
