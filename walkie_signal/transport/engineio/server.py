"""The Engine.IO server: its sessions, from the handshake to the end.

The Socket.IO server is built on it, and it also works by itself, as an `engineio.AsyncServer`.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Coroutine
from functools import partial
from typing import Any

import engineio

from walkie_signal.bounded_log import BoundedLog
from walkie_signal.core.facts import Facts
from walkie_signal.refusal_log import RefusalLog
from walkie_signal.settings.transport import TransportSettings
from walkie_signal.transport.engineio import http
from walkie_signal.transport.engineio.alone import Alone
from walkie_signal.transport.engineio.census import Census
from walkie_signal.transport.engineio.connection import Above, Connection
from walkie_signal.transport.engineio.cors import Cors
from walkie_signal.transport.engineio.crowd import Crowd
from walkie_signal.transport.engineio.doors import Doors, HandOver
from walkie_signal.transport.engineio.http import Receive, RefusedError, Request, Scope, Send
from walkie_signal.transport.engineio.lingering import Lingering
from walkie_signal.transport.engineio.polling import Polling
from walkie_signal.transport.engineio.sweep import Sweep
from walkie_signal.turns import Turns
from walkie_signal.wire.frames import OPEN, Frame, read_message, write_message
from walkie_signal.wire.json import dumps

log = logging.getLogger("walkie_signal.transport")

ENDS = 16
"""How many connections begin to end in one turn of the loop. Each takes some 0.1 ms; if all of 8,000 that are
cut off at once ended in one turn, others would wait for a third of a second."""

EVERYBODY: Any = object()
"""The meaning of `Engine.disconnect` without an argument; for python-engineio, ``None`` means this too."""


class Engine(engineio.AsyncServer):  # type: ignore[misc]  # python-engineio has no types
    """A strict Engine.IO 4 server for ASGI."""

    def __init__(self, *, settings: TransportSettings, above: Above | None = None, **options: Any) -> None:
        """Take python-engineio's options, and ours.

        Args:
            settings: The times and bounds of connections; python-engineio's options go before those of them that it
                has too.
            above: The protocol above; without one, messages go to the host's handler.
            options: The options of python-engineio.
        """
        super().__init__(**options)
        self.settings = settings
        self.lines = BoundedLog(log)
        self.facts = Facts()
        RefusalLog(log).listen(self.facts)
        self.keeps: frozenset[bytes] | None = None
        """The headers that a session keeps of its handshake; ``None`` for all, as a host may ask for any."""
        self.sockets: dict[str, Connection] = {}
        self.above = above or Alone(self)
        self._monitor: bool = self.start_service_task
        self.lingering = Lingering()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.ends = Turns(ENDS)
        self.turns = Turns()
        self._doors = Doors(self)
        self._crowd = Crowd(settings)
        self.hand_over: HandOver | None = None
        self._interval: float = self.ping_interval + self.ping_interval_grace_period
        shortest = min(self._interval, self.ping_timeout, settings.connect_timeout, settings.stall_timeout)
        self._sweep = Sweep(shortest, self._ping, self._look)

    # What python-engineio offers

    @property
    def cors_allowed_origins(self) -> Any:
        """The origins whose pages may connect, as they were given; they are checked when they are set."""
        return self._named

    @cors_allowed_origins.setter
    def cors_allowed_origins(self, named: Any) -> None:
        self.cors = Cors(named)
        self._named = named

    def generate_id(self) -> str:
        """Return an id of 144 random bits, because anybody who knows a session's id can speak in it."""
        return secrets.token_urlsafe(18)

    async def send(self, sid: str, data: Any) -> None:
        """Send a message."""
        connection = self.sockets.get(sid)
        if connection is not None:
            connection.send(write_message(data))

    async def send_packet(self, sid: str, pkt: Any) -> None:
        """Send an `engineio.packet.Packet`."""
        connection = self.sockets.get(sid)
        if connection is not None:
            connection.send(pkt.encode())

    async def disconnect(self, sid: str | None = EVERYBODY) -> None:
        """Close a connection, or all of them if `sid` is not given at all.

        With python-engineio, ``None`` closes all connections, although that is the result of looking up a peer that
        just left; having no connections is an error; and it waits for a connection that does not read.
        """
        found = list(self.sockets.values()) if sid is EVERYBODY else [self.sockets.get(sid or "")]
        open_ones = [connection for connection in found if connection is not None and not connection.closed]
        for connection in open_ones:
            connection.close(self.reason.SERVER_DISCONNECT)
        ends = [connection.ending for connection in open_ones if connection.ending is not None]
        if ends:
            await asyncio.wait(ends)

    async def shutdown(self) -> None:
        """Close all connections without waiting for them, and end what runs in the background."""
        for connection in list(self.sockets.values()):
            connection.close(self.reason.SERVER_DISCONNECT, code=1012)
        self.lingering.clear()
        self._sweep.stop()
        await self.end_hand_over()

    async def end_hand_over(self) -> None:
        """Take no more requests from other worker processes, until the next session is opened."""
        if self.hand_over is not None:
            await self.hand_over.end()

    def _get_socket(self, sid: str) -> Connection:
        # A closed connection is kept for its disconnect handler, which may ask for its session
        try:
            return self.sockets[sid]
        except KeyError:
            raise KeyError(
                "no such session is on this node, and only the node of a client keeps it"
            ) from None

    def census(self) -> Census:
        """Count what this server holds now."""
        return Census(
            connections=len(self.sockets),
            waiting=sum(len(connection.outbox) for connection in self.sockets.values()),
            lingering=len(self.lingering),
            watched=self._sweep.watched,
            tasks=len(self._tasks),
        )

    # What connections ask

    def part(self, connection: Connection) -> None:
        """Tell the peer of a connection whose WebSocket is carried by a worker that will end, and close it."""
        self.above.bid_farewell(connection)
        connection.close(self.reason.TRANSPORT_CLOSE, code=1012)

    def alive(self, connection: Connection) -> None:
        """Set when the next ping is due."""
        connection.answered(asyncio.get_running_loop().time(), self._interval, self.ping_timeout)

    def ended(self, connection: Connection) -> None:
        """Call the disconnect handler in a task of its own, and then forget the connection.

        If many connections end at once, a few are handled in each turn.
        """
        self._crowd.leave(connection.sid)
        in_order = connection.reason in (self.reason.SERVER_DISCONNECT, self.reason.CLIENT_DISCONNECT)
        if in_order and isinstance(connection.carrier, Polling) and connection.carrier.owed:
            self.lingering.keep(connection.sid, connection.carrier, asyncio.get_running_loop().time())
            self.watch(connection)
        self.ends.run(partial(self._begin_end, connection))

    def _begin_end(self, connection: Connection) -> None:
        self.spawn(self._end(connection))

    async def _end(self, connection: Connection) -> None:
        try:
            await self._trigger_event("disconnect", connection.sid, connection.reason, run_async=False)
        finally:
            self.sockets.pop(connection.sid, None)
            self._sweep.forget(connection.sid)
            connection.forget()

    def _drop(self, sid: str) -> None:
        """Forget a connection that is not let in."""
        del self.sockets[sid]
        self._crowd.leave(sid)

    def joined(self, connection: Connection) -> None:
        """Record that a connection has joined something."""
        self._crowd.join(connection.sid)

    def spawn(self, coroutine: Any) -> asyncio.Task[Any]:
        """Start a task, and keep a reference, or it might be collected."""
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def call_message_handler(self, connection: Connection, message: Frame) -> None:
        """Call the host's handler for messages, if there is one, in a task."""
        if "message" in self.handlers:
            data = message if isinstance(message, bytes) else read_message(message)
            self.spawn(self._trigger_event("message", connection.sid, data, run_async=False))

    def watch(self, connection: Connection) -> None:
        """Watch a connection on which something waits, or that has not joined a namespace."""
        self._sweep.watch(connection.sid)

    def _ping(self, sid: str, now: float) -> float | None:
        """Ping a connection that is due, or close it if it is dead; returns when to call this again."""
        connection = self.find(sid)
        if connection is None:
            return None
        if not connection.pinged and now >= connection.ping_at:
            connection.ping(now, self.ping_timeout)
        return connection.expires if connection.pinged else connection.ping_at

    def _look(self, sid: str, now: float) -> bool:
        """Close a connection that is stalled or has joined nothing; returns whether to keep watching it."""
        connection = self.sockets.get(sid)
        if connection is None or connection.closed:
            return self.lingering.look(sid, now)
        connection.carrier.note_progress(now)
        waiting = connection.carrier.waiting
        idle = self.above.idle_since(connection)
        if waiting and now - connection.outbox.moved >= self.settings.stall_timeout:
            connection.overflow()
        elif idle is not None and now >= idle + self.settings.connect_timeout:
            line = "connection closed: it joins nothing (%s)"
            self.lines.write(logging.INFO, "connection closed: it joins nothing", line, connection)
            connection.close(self.reason.SERVER_DISCONNECT)
        return waiting or idle is not None

    def _check_pong(self, connection: Connection, now: float) -> None:
        if connection.pinged and now >= connection.expires and self._monitor:
            connection.close(self.reason.PING_TIMEOUT)

    # What requests ask

    def handle_request(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """Serve an ASGI request, HTTP or WebSocket.

        This is not a coroutine itself, because a WebSocket would keep it suspended while it is open.
        """
        return self._doors.serve(scope, receive, send)

    def find(self, sid: str) -> Connection | None:
        """Return an open connection, or ``None``; if its pong is overdue, close it first."""
        connection = self.sockets.get(sid)
        if connection is None:
            return None
        if not connection.closed:
            self._check_pong(connection, asyncio.get_running_loop().time())
        return None if connection.closed else connection

    async def open(self, request: Request, upgrades: list[str]) -> tuple[Connection, str]:
        """Make a connection if the host's connect handler allows it; returns the connection and its OPEN packet.

        Raises:
            RefusedError: The handler refuses, or there are too many.
        """
        sid = self.generate_id()
        if self.hand_over is not None:
            sid = self.hand_over.start() + sid
        self._crowd.enter(sid, request.network)
        connection = Connection(self, sid, request.address)
        self.sockets[sid] = connection
        self.alive(connection)
        self._sweep.add(sid, connection.ping_at)
        self.watch(connection)
        if self.keeps is not None:
            # In place, because the web server holds the same list for as long as a WebSocket is open
            request.scope["headers"][:] = [each for each in request.scope["headers"] if each[0] in self.keeps]
        environ = http.Environ(request.scope)
        try:
            answer = await self._trigger_event("connect", sid, environ, run_async=False)
        except BaseException:
            self._drop(sid)
            raise
        if answer is not None and answer is not True:
            self._drop(sid)
            connection.refuse(self.reason.SERVER_DISCONNECT)
            message = answer if isinstance(answer, str) else "Unauthorized"
            raise RefusedError(http.Refusal(401, http.FORBIDDEN.code, message))
        if self.above.idle_since(connection) is None:  # there is nothing to join
            self._crowd.join(sid)
        opening = {
            "sid": sid,
            "upgrades": upgrades,
            "pingInterval": round(self._interval * 1000),
            "pingTimeout": round(self.ping_timeout * 1000),
            "maxPayload": self.max_http_buffer_size,
        }
        return connection, OPEN + dumps(opening)
