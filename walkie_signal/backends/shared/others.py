"""The other nodes, as the host's server sees them, also before this node starts and after it has ended."""

from __future__ import annotations

from typing import Any

from walkie_signal.backends.shared.directory import Directory
from walkie_signal.backends.shared.followed import FollowedRooms
from walkie_signal.backends.shared.host_mail import HostMail, Send
from walkie_signal.backends.shared.host_rooms import HostRooms
from walkie_signal.backends.shared.incarnation import Incarnation
from walkie_signal.backends.shared.messages import HostMessage
from walkie_signal.backends.shared.rooms import Rooms
from walkie_signal.backends.shared.store import RoomStore
from walkie_signal.backends.shared.uplink import Uplink
from walkie_signal.core.emits import Emit, Order, stored_name
from walkie_signal.core.ports import Audience


class Others:
    """What `walkie_signal.core.ports.OtherNodes` is where nodes share a store."""

    exist = True

    def __init__(self, incarnation: Incarnation, directory: Directory) -> None:
        self._incarnation = incarnation
        self._directory = directory
        self._audience: Audience | None = None
        self._here: set[str] = set()
        self._rooms: HostRooms | None = None
        self._mail: HostMail | None = None

    # The life of the node

    def begin(
        self, *, rooms: Rooms, store: RoomStore, uplink: Uplink, followed: FollowedRooms, send: Send
    ) -> None:
        """Begin; the store is told of the rooms that somebody here is in once it is there."""
        self._rooms = HostRooms(
            rooms=rooms,
            store=store,
            uplink=uplink,
            incarnation=self._incarnation,
            followed=followed,
            directory=self._directory,
            here=self._here,
        )
        self._mail = HostMail(self._rooms, self._incarnation, send, self._audience)

    def rise(self) -> None:
        """Let the store know of all rooms on a new connection."""
        if self._rooms is not None:
            self._rooms.restore()

    def hear(self, message: HostMessage) -> None:
        """Do what another node asks for."""
        if self._mail is not None:
            self._mail.hear(message)

    def down(self) -> None:
        """Let what waits for other nodes fail, because the store is away."""
        if self._mail is not None:
            self._mail.down()

    def close(self) -> None:
        """Reach no other node any more."""
        if self._rooms is not None and self._mail is not None:
            self._rooms.close()
            self._mail.close()
        self._rooms = self._mail = None

    # What the host's server asks

    def serve(self, audience: Audience) -> None:
        """Give `audience` what is emitted on other nodes."""
        self._audience = audience

    def enter(self, namespace: str, room: Any) -> None:
        """Record that somebody here is in a room."""
        self._here.add(stored_name(namespace, room))
        if self._rooms is not None:
            self._rooms.settle(namespace, room)

    def quit(self, namespace: str, room: Any) -> None:
        """Record that nobody here is in a room any more."""
        self._here.discard(stored_name(namespace, room))
        if self._rooms is not None:
            self._rooms.settle(namespace, room)

    async def entered(self, namespace: str, room: Any) -> None:
        """Wait until other nodes know what was recorded of a room."""
        if self._rooms is not None:
            await self._rooms.entered(namespace, room)

    def present(self, sid: str) -> None:
        """Record that a client is here."""
        self._directory.add(sid, None)

    def absent(self, sid: str) -> None:
        """Record that a client is not here any more."""
        self._directory.remove(sid, None)

    async def emit(self, emit: Emit) -> None:
        """Send an event to the other nodes with somebody in its rooms."""
        if self._mail is not None:
            await self._mail.emit(emit)

    async def close_room(self, namespace: str, room: Any) -> None:
        """Let everybody on other nodes leave a room."""
        if self._mail is not None:
            await self._mail.close_room(namespace, room)

    async def has(self, sid: str) -> bool:
        """Tell whether a client is on another node."""
        return self._mail is not None and await self._mail.has(sid)

    async def order(self, order: Order) -> bool:
        """Let the node of a client carry out an order."""
        return self._mail is not None and await self._mail.order(order)
