"""python-socketio's rooms: a fan-out encodes once and awaits nobody; a disconnect looks at no other client."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import socketio

from walkie_signal.wire.packets import EVENT


class _Sids(set[str]):
    """A set that replaces lists of python-socketio, which it would search; so it has a list's method."""

    append = set.add


class _Pending(dict[str, _Sids]):
    """The sids that are connecting or disconnecting, by namespace."""

    def __setitem__(self, namespace: str, sids: Iterable[str]) -> None:
        super().__setitem__(namespace, _Sids(sids))


class Rooms(socketio.AsyncManager):  # type: ignore[misc]  # python-socketio has no types
    """The client manager of a server in one process.

    python-socketio's own manager makes a task for each recipient. It treats each sid as a room, and at each
    disconnect it searches every room, and a list of all sids that are connecting or disconnecting: 8,000 peers
    that were cut off at once kept a server busy for 41 s. So this one knows which rooms a sid has entered
    besides its own.
    """

    def __init__(self) -> None:
        super().__init__()
        self.pending_connect = _Pending()
        self.pending_disconnect = _Pending()
        self._entered: dict[tuple[str, str], dict[Any, None]] = {}

    def basic_enter_room(self, sid: str, namespace: str, room: Any, eio_sid: str | None = None) -> None:
        """Add a client to a room.

        Raises:
            ValueError: The room is another client's sid, or the namespace has no clients.
        """
        super().basic_enter_room(sid, namespace, room, eio_sid)
        if room is not None and room != sid:
            self._entered.setdefault((namespace, sid), {})[room] = None

    def basic_leave_room(self, sid: str, namespace: str, room: Any) -> None:
        """Take a client out of a room if it is in it."""
        super().basic_leave_room(sid, namespace, room)
        entered = self._entered.get((namespace, sid))
        if entered is not None:
            entered.pop(room, None)
            if not entered:
                del self._entered[namespace, sid]

    def basic_disconnect(self, sid: str, namespace: str, **_: Any) -> None:
        """Take a client out of all its rooms, and forget it."""
        for room in (None, sid, *self._entered.get((namespace, sid), ())):
            self.basic_leave_room(sid, namespace, room)
        self.callbacks.pop(sid, None)
        for pending in (self.pending_connect, self.pending_disconnect):
            sids = pending.get(namespace)
            if sids is not None:
                sids.discard(sid)
                if not sids:
                    del pending[namespace]

    def get_rooms(self, sid: str, namespace: str) -> list[Any]:
        """Return the rooms that a client is in: its own, and those that it has entered."""
        rooms = self.rooms.get(namespace, {})
        return [
            room for room in (sid, *self._entered.get((namespace, sid), ())) if sid in rooms.get(room, ())
        ]

    async def emit(  # noqa: PLR0917 - python-socketio's
        self,
        event: str,
        data: Any,
        namespace: str,
        room: Any = None,
        skip_sid: Any = None,
        callback: Any = None,
        to: Any = None,
        **options: Any,
    ) -> None:
        """Send an event to all clients in a room."""
        if callback is not None:
            await super().emit(
                event, data, namespace, room=room, skip_sid=skip_sid, callback=callback, to=to, **options
            )
            return
        if namespace in self.rooms:
            arguments = list(data) if isinstance(data, tuple) else [] if data is None else [data]
            pkt = self.server.packet_class(EVENT, namespace=namespace, data=[event, *arguments])
            frames = self.server.frames_of(pkt)
            skipped = skip_sid if isinstance(skip_sid, list) else [skip_sid]
            for sid, eio_sid in self.get_participants(namespace, to or room):
                if sid not in skipped:
                    self.server.push(eio_sid, namespace, frames)
        await asyncio.sleep(0)  # so that a loop that emits for ever leaves others their turn
