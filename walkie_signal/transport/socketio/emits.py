"""python-socketio's rooms: a fan-out encodes once and awaits nobody; a disconnect looks at no other client.

Where the service has other nodes, they know in which rooms somebody is here, and an emit goes to those of them that
have somebody for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import socketio

from walkie_signal.bounded_log import BoundedLog
from walkie_signal.core.emits import Emit, Order, can_be_shared, check_can_be_left
from walkie_signal.core.ports import OtherNodes
from walkie_signal.errors import SignalingError, UnreadError
from walkie_signal.transport.socketio.audience import ServedAudience
from walkie_signal.transport.socketio.events import Events
from walkie_signal.transport.socketio.pending import Pending

log = logging.getLogger("walkie_signal.transport")

IN_A_ROW = 16
"""Emits after which others have their turn, though a loop may emit for ever."""


class Rooms(socketio.AsyncManager):  # type: ignore[misc]  # python-socketio has no types
    """The client manager of a server.

    python-socketio's own manager makes a task for each recipient. It treats each sid as a room, and at each
    disconnect it searches every room, and a list of all sids that are connecting or disconnecting: 8,000 peers
    that were cut off at once kept a server busy for 41 s. So this one knows which rooms a sid has entered
    besides its own.

    Args:
        has_clients: Whether clients connect to the server; if not, an emit that reaches no other node is an error.
    """

    def __init__(self, *, has_clients: bool = True) -> None:
        super().__init__()
        self._has_clients = has_clients
        self._emitted = 0
        self._lines = BoundedLog(log)
        self.pending_connect = Pending()
        self.pending_disconnect = Pending()
        self._entered: dict[tuple[str, str], dict[Any, None]] = {}
        self._others: OtherNodes | None = None
        self._recorded = ""
        self._fresh: dict[tuple[str, Any], None] = {}
        self._events = Events(self)
        self._audience = ServedAudience(self, self._events)

    def reach(self, others: OtherNodes, namespace: str) -> None:
        """Let emits reach the clients on other nodes, by the first service that offers it.

        Args:
            others: The other nodes.
            namespace: The namespace whose clients they know of without this manager.
        """
        if self._others is None:
            self._others, self._recorded = others, namespace
            others.serve(self._audience)

    def basic_enter_room(self, sid: str, namespace: str, room: Any, eio_sid: str | None = None) -> None:
        """Add a client to a room.

        Raises:
            ValueError: The room is another client's sid, or the namespace has no clients.
        """
        is_first = room not in self.rooms.get(namespace, ())
        super().basic_enter_room(sid, namespace, room, eio_sid)
        if room is not None and room != sid:
            self._entered.setdefault((namespace, sid), {})[room] = None
        if self._others is not None:
            if room == sid:
                if namespace != self._recorded:
                    self._others.present(sid)
            elif is_first and self._is_shared(room):
                self._others.enter(namespace, room)
                self._fresh[namespace, room] = None

    def _is_shared(self, room: Any) -> bool:
        if can_be_shared(room):
            return True
        line = "the rooms of a host that are called by a %s are known on this node alone"
        self._lines.write(logging.WARNING, "rooms that other nodes can't know", line, type(room).__name__)
        return False

    async def enter_room(self, sid: str, namespace: str, room: Any, eio_sid: str | None = None) -> None:
        """Add a client to a room, and wait until other nodes know that somebody is in it here.

        If the client is on another node, that node does it; if it is on none, nothing happens.

        Raises:
            KeyError: There is no such client, and no other node.
            ValueError: The room is another client's sid.
            TypeError: The client is on another node, and the room is called neither by a text nor by an integer.
            SignalingError: ``unavailable``: the client's node can't be reached.
            TimeoutError: It has not answered in time.
        """
        await self._check_no_sid(namespace, room)
        if self.knows(sid, namespace) or (self._has_clients and self._elsewhere() is None):
            self.basic_enter_room(sid, namespace, room, eio_sid)
            await self._until_known(namespace, room)
        else:
            await self._order(Order("enter", namespace, sid, room))

    async def _check_no_sid(self, namespace: str, room: Any) -> None:
        """Refuse a room that is a client's sid on another node: who entered it would hear what is for that one."""
        elsewhere = self._elsewhere()
        is_new = isinstance(room, str) and can_be_shared(room) and room not in self.rooms.get(namespace, ())
        if elsewhere is not None and is_new:
            with suppress(
                SignalingError
            ):  # it can't be told now, and whoever enters rooms need not wait for it
                if await elsewhere.has(room):
                    raise ValueError("cannot enter a sid room")

    async def _order(self, order: Order) -> None:
        elsewhere = self._elsewhere()
        if not can_be_shared(order.room) and (elsewhere is not None or not self._has_clients):
            raise TypeError(f"other nodes know no room that is called by a {type(order.room).__name__}")
        if elsewhere is not None and can_be_shared(order.sid):  # a client may have said it
            await elsewhere.order(order)

    async def _until_known(self, namespace: str, room: Any) -> None:
        """Wait until other nodes know that somebody is in a room here, if the first one has just come."""
        if self._others is not None and (namespace, room) in self._fresh:
            await self._others.entered(namespace, room)
            self._fresh.pop((namespace, room), None)

    async def connect(self, sid: str, namespace: str) -> Any:
        """Let a client in, once other nodes know that there is somebody in the namespace."""
        await self._until_known(namespace, None)
        return await super().connect(sid, namespace)

    async def leave_room(self, sid: str, namespace: str, room: Any) -> None:
        """Take a client out of a room, but not out of ``None``; otherwise as `enter_room`."""
        check_can_be_left(room)
        if self.knows(sid, namespace):
            self.basic_leave_room(sid, namespace, room)
        else:
            await self._order(Order("leave", namespace, sid, room))

    async def close_room(self, room: Any, namespace: str) -> None:
        """Take all clients out of a room, on every node.

        Raises:
            ValueError: The room is a client's sid, or ``None``, which is that of everybody.
            SignalingError: ``unavailable``: other nodes can't be reached.
        """
        check_can_be_left(room)
        self.basic_close_room(room, namespace)
        elsewhere = self._elsewhere()
        if elsewhere is not None and can_be_shared(room):
            await elsewhere.close_room(namespace, room)

    async def disconnect_elsewhere(self, sid: str, namespace: str) -> None:
        """Let the node of a client disconnect it, if it is on another node; raises as `enter_room`."""
        await self._order(Order("disconnect", namespace, sid))

    def _elsewhere(self) -> OtherNodes | None:
        """Return the other nodes if there may be any."""
        return self._others if self._others is not None and self._others.exist else None

    def knows(self, sid: str, namespace: str) -> bool:
        """Tell whether a client is here, or about to be."""
        return sid in self.rooms.get(namespace, {}).get(None, ())

    def basic_leave_room(self, sid: str, namespace: str, room: Any) -> None:
        """Take a client out of a room if it is in it."""
        was_there = sid in self.rooms.get(namespace, {}).get(room, ())
        super().basic_leave_room(sid, namespace, room)
        if self._others is not None and was_there:
            if room == sid:
                if namespace != self._recorded:
                    self._others.absent(sid)
            elif room not in self.rooms.get(namespace, ()) and can_be_shared(room):
                self._others.quit(namespace, room)
                self._fresh.pop((namespace, room), None)
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
        """Return the rooms that a client is in: its own, and those that it has entered.

        Raises:
            KeyError: There is no such client on this node, and other nodes may know it.
        """
        rooms = self.rooms.get(namespace, {})
        if sid not in rooms and self._elsewhere() is not None:
            raise KeyError(f"{sid} is no client on this node")
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
        """Send an event to all clients in a room.

        Raises:
            SignalingError: ``unavailable``: a node does not read what is emitted (`UnreadError`); or other nodes
                can't be reached, and somebody waits for their answers, or there are no clients here. Otherwise a
                line in the log tells of it.
            ValueError: The event is too large for other nodes.
            TypeError: There are no clients here, and a room is called neither by a text nor by an integer.
        """
        room = to or room
        skipped = tuple(skip_sid) if isinstance(skip_sid, (list, tuple)) else (skip_sid,)
        rooms = tuple(room) if _is_several(room) else (room,)
        if not self._has_clients and not all(map(can_be_shared, rooms)):
            raise TypeError("other nodes know rooms that are called by a text or an integer")
        is_here = options.get("ignore_queue") or self._is_here(namespace, room)
        elsewhere = None if is_here else self._elsewhere()
        if elsewhere is None and namespace not in self.rooms:
            return
        frames = None
        if callback is None:
            frames = self._events.frames(namespace, event, data)
            self._events.send(namespace, room, skipped, frames)
        else:
            packet = self._events.packet(namespace, event, data)
            self._events.ask(namespace, room, skipped, packet, lambda _sid: callback)
        if elsewhere is not None:
            frames = frames or self._events.frames(namespace, event, data)
            sids = tuple(sid for sid in skipped if isinstance(sid, str) and can_be_shared(sid))
            emit = Emit(
                namespace,
                tuple(filter(can_be_shared, rooms)),
                sids,
                tuple(frames),
                self._audience.await_answers(callback),
            )
            await self._send_on(elsewhere, emit)
        self._emitted += 1
        if self._emitted % IN_A_ROW == 0:
            await asyncio.sleep(0)

    async def _send_on(self, elsewhere: OtherNodes, emit: Emit) -> None:
        try:
            await elsewhere.emit(emit)
        except UnreadError:
            raise
        except SignalingError:
            if emit.callback or not self._has_clients:
                raise
            line = "an emit reached only this node, because others can't be reached"
            self._lines.write(logging.WARNING, line, line)

    def expect_ack(self, sid: str, callback: Callable[..., Any]) -> int:
        """Return the id of an ack of a client here, for which `callback` waits."""
        return int(self._generate_ack_id(sid, callback))

    def _is_here(self, namespace: str, room: Any) -> bool:
        """Tell whether a room is the own one of a client here."""
        return isinstance(room, str) and self.knows(room, namespace)


def _is_several(room: Any) -> bool:
    return hasattr(room, "__len__") and not isinstance(room, str)
