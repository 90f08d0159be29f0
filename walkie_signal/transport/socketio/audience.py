"""The clients of a server, as other nodes of its service reach them: what they emit, ask and order is done here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from typing import Any

from walkie_signal.core.emits import Emit, Order, Reply
from walkie_signal.transport.socketio.events import Events
from walkie_signal.wire.frames import Frame
from walkie_signal.wire.packets import ACK

MOST_AWAITED = 10_000
"""How many emits may have callbacks that wait for answers from other nodes; the oldest are forgotten."""


class ServedAudience:
    """What `walkie_signal.core.ports.Audience` is for one server.

    Args:
        rooms: Its client manager, of which it is a part.
        events: Sends events to its clients.
    """

    def __init__(self, rooms: Any, events: Events) -> None:
        self._rooms = rooms
        self._events = events
        self._numbers = count(1)
        self._awaited: dict[int, Callable[..., Any]] = {}

    def hear(self, emit: Emit, reply: Reply) -> None:
        """Send an event of another node's to the clients here."""
        rooms = emit.rooms[0] if len(emit.rooms) == 1 else list(emit.rooms)
        if emit.callback:
            waits = partial(partial, self._answered, emit, reply)
            self._events.ask(emit.namespace, rooms, emit.skipped, self._read(emit.frames), waits)
        else:
            self._events.send(emit.namespace, rooms, emit.skipped, emit.frames)

    def _answered(self, emit: Emit, reply: Reply, sid: str, *arguments: Any) -> None:
        server = self._rooms.server
        pkt = server.packet_class(ACK, namespace=emit.namespace, data=list(arguments), id=0)
        reply(tuple(server.frames_of(pkt)), emit.rooms == (sid,))

    def _read(self, frames: Sequence[Frame]) -> Any:
        """Read a packet that another node has written."""
        first, *attachments = frames
        pkt = self._rooms.server.packet_class(encoded_packet=first[1:] if isinstance(first, str) else first)
        for attachment in attachments:
            pkt.add_attachment(attachment)
        return pkt

    async def carry_out(self, order: Order) -> bool:
        """Carry out another node's order about a client; returns whether the client is here."""
        if not self._rooms.knows(order.sid, order.namespace):
            return False
        if order.what == "enter":
            await self._rooms.enter_room(order.sid, order.namespace, order.room)
        elif order.what == "leave":
            self._rooms.basic_leave_room(order.sid, order.namespace, order.room)
        else:
            await self._rooms.server.disconnect(order.sid, order.namespace, ignore_queue=True)
        return True

    def close(self, namespace: str, room: Any) -> None:
        """Let all clients here leave a room."""
        self._rooms.basic_close_room(room, namespace)

    # Answers to what is emitted here

    def await_answers(self, callback: Callable[..., Any] | None) -> int:
        """Keep a callback for the answers from other nodes; returns its number, or 0 if there is none."""
        if callback is None:
            return 0
        number = next(self._numbers)
        self._awaited[number] = callback
        if len(self._awaited) > MOST_AWAITED:
            del self._awaited[next(iter(self._awaited))]
        return number

    def answer(self, callback: int, frames: tuple[Frame, ...], *, is_last: bool) -> None:
        """Call the callback that waits for the answer of a client on another node."""
        waiting = self._awaited.pop(callback, None) if is_last else self._awaited.get(callback)
        if waiting is not None:
            called = waiting(*self._read(frames).data)
            if asyncio.iscoroutine(called):
                self._rooms.server.spawn(called)
