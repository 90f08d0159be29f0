"""Gives the packets of a joined socket to their handlers: events in order of arrival, and acks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from time import monotonic
from typing import Any, Protocol

from walkie_signal.errors import ProtocolViolation
from walkie_signal.transport.socketio.calls import MisfitError
from walkie_signal.transport.socketio.joins import Joins
from walkie_signal.transport.socketio.sockets import Deferred, Socket, Sockets, State
from walkie_signal.turns import SLICE
from walkie_signal.wire import packets
from walkie_signal.wire.packets import Packet

MAX_HANDLING = 1000
"""How many events of one connection may wait for their handlers to end."""

FRAMES_HANDLING = 8
"""These events may have this many times the largest frame together: a handler that stores files takes several."""


class Eventful(Protocol):
    """A server, as the handling of its events sees it."""

    async_handlers: bool
    eio: Any
    manager: Any
    reason: Any

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> object:
        """Start a task."""

    def log_fault(self, kind: str, message: str, *arguments: Any, fault: BaseException) -> None:
        """Log the traceback of a handler's fault."""

    async def _handle_event_internal(self, server: Any, *arguments: Any) -> None: ...


class Handling:
    """Handles the packets of one server."""

    def __init__(self, server: Eventful, joins: Joins) -> None:
        self._server = server
        self._joins = joins

    def act(self, socket: Socket, packet: Packet, deferred: Deferred) -> None:
        """Do what a packet asks for.

        Raises:
            ProtocolViolation: Too much waits already.
        """
        if packet.kind == packets.DISCONNECT:
            self._joins.leave(socket, self._server.reason.CLIENT_DISCONNECT)
        elif packet.kind in (packets.ACK, packets.BINARY_ACK):
            if self.awaits(socket, packet.ack_id):  # unknown numbers are not logged
                self._server.spawn(self._run(socket, packet, self._call_back(socket, packet)))
        else:
            socket.spoke = True
            self._start(socket, packet, deferred)

    def awaits(self, socket: Socket, ack_id: int | None) -> bool:
        """Tell whether an ack is awaited; under number 0 python-socketio keeps its counter."""
        return bool(ack_id) and ack_id in self._server.manager.callbacks.get(socket.sid, ())

    async def catch_up(self, socket: Socket) -> None:
        """Act on the deferred packets of a socket that was let in, for a slice of each turn of the loop.

        Packets that come meanwhile are deferred too. This stops before a CONNECT or DISCONNECT.
        """
        began = monotonic()
        while socket.deferred and socket.state is State.JOINING and not socket.sockets.connection.closed:
            packet = socket.deferred[0].read()
            if packet.kind in (packets.CONNECT, packets.DISCONNECT):
                return
            try:
                self.act(socket, packet, socket.deferred.pop(0))
            except ProtocolViolation as violation:
                socket.sockets.connection.violate(violation)
            if monotonic() - began > SLICE:
                await self._server.eio.turns.wait()
                began = monotonic()

    def _start(self, socket: Socket, packet: Packet, deferred: Deferred) -> None:
        """Start an event's handler, in order of arrival; without `async_handlers`, it waits for earlier ones."""
        sockets, spawn = socket.sockets, self._server.spawn
        most = FRAMES_HANDLING * self._server.eio.max_http_buffer_size
        if sockets.handling >= MAX_HANDLING or sockets.handling_bytes + deferred.size > most:
            raise ProtocolViolation("too many events wait for their handlers")
        sockets.handling += 1
        sockets.handling_bytes += deferred.size
        if self._server.async_handlers:
            spawn(self._run(socket, packet, self._handle(socket, packet, deferred.size)))
            return
        if sockets.queue is None:
            sockets.queue = asyncio.Queue()
            spawn(self._work(sockets, sockets.queue))
        sockets.queue.put_nowait((socket, deferred))

    async def _work(self, sockets: Sockets, queue: asyncio.Queue[tuple[Socket, Deferred]]) -> None:
        """Handle events one after the other while there are any."""
        began = monotonic()
        while not queue.empty():
            socket, deferred = queue.get_nowait()
            packet = deferred.read()
            await self._run(socket, packet, self._handle(socket, packet, deferred.size))
            if monotonic() - began > SLICE:
                await self._server.eio.turns.wait()
                began = monotonic()
        sockets.queue = None

    async def _handle(self, socket: Socket, packet: Packet, size: int) -> None:
        server, sockets = self._server, socket.sockets
        handle = server._handle_event_internal  # noqa: SLF001 - see `beneath`
        try:
            await handle(
                server, socket.sid, sockets.connection.sid, packet.data, socket.namespace, packet.ack_id
            )
        finally:
            sockets.handling -= 1
            sockets.handling_bytes -= size

    async def _call_back(self, socket: Socket, packet: Packet) -> None:
        await self._server.manager.trigger_callback(socket.sid, packet.ack_id, packet.data)

    async def _run(self, socket: Socket, packet: Packet, handling: Any) -> None:
        """Await the handling of a packet; an error of a handler is logged, and affects nothing else."""
        try:
            await handling
        except ProtocolViolation as violation:
            socket.sockets.connection.violate(violation)
        except MisfitError as misfit:
            line = "an event does not fit its handler, which %s"
            self._server.eio.lines.write(logging.WARNING, "an event does not fit its handler", line, misfit)
        except Exception as fault:  # noqa: BLE001 - a handler may raise anything
            name = packet.data[0] if packet.kind in (packets.EVENT, packets.BINARY_EVENT) else "an ack"
            self._server.log_fault("handlers that failed", "the handler of %r failed", name, fault=fault)
