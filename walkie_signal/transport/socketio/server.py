"""The Socket.IO server: python-socketio's API and tables on our own Engine.IO server.

Messages are parsed strictly and dispatched in order of arrival. An event goes to the socket's inline handler first,
within the loop that received it. If that does not take it, the event runs as a task, as with python-socketio, so
that a slow handler holds up neither pongs nor acks.
"""

from __future__ import annotations

import json as stdlib_json
import logging
from collections.abc import Coroutine
from functools import partial
from typing import Any

import socketio

from walkie_signal.bounded_log import BoundedLog
from walkie_signal.errors import ProtocolViolation
from walkie_signal.transport.engineio.connection import Connection
from walkie_signal.transport.engineio.http import Receive, Scope, Send
from walkie_signal.transport.engineio.outbox import size_of
from walkie_signal.transport.engineio.server import Engine
from walkie_signal.transport.socketio.calls import called
from walkie_signal.transport.socketio.connections import Connections
from walkie_signal.transport.socketio.emits import Rooms
from walkie_signal.transport.socketio.handling import Handling
from walkie_signal.transport.socketio.joins import Joins
from walkie_signal.transport.socketio.sockets import Deferred, Socket, Sockets, State
from walkie_signal.wire import packets
from walkie_signal.wire.frames import MESSAGE, Frame
from walkie_signal.wire.json import dumps, loads
from walkie_signal.wire.packets import Packet, Partial

UNREAD = 1 << 16
"""If a packet has more bytes, it is only parsed if it has an effect; an event may have as many."""

TOO_MUCH_AUTH = {
    "message": "the payload is too large",
    "data": {"code": "payload_too_large", "message": "the payload is too large", "limitBytes": UNREAD},
}
"""The answer to a CONNECT over `UNREAD`; for comparison, web servers take tokens of 8 to 64 KiB in a header."""


NOT_JOINED = "a packet for a namespace that is not joined"


class Json:
    """Our strict codec, with the signatures of the standard library's."""

    @staticmethod
    def loads(text: str | bytes, **_: Any) -> Any:
        """Read one JSON value."""
        return loads(text if isinstance(text, str) else bytes(text).decode())

    @staticmethod
    def dumps(value: Any, **_: Any) -> str:
        """Write one JSON value; a lone surrogate becomes an escape, as in the standard library."""
        try:
            return dumps(value)
        except ValueError:
            return stdlib_json.dumps(value, allow_nan=False, separators=(",", ":"))


class Server(socketio.AsyncServer):  # type: ignore[misc]  # python-socketio has no types
    """A strict `socketio.AsyncServer`; made by `walkie_signal.create_server`."""

    eio: Engine

    def __init__(
        self, *, serializer: Any = "default", json: Any = None, hand_over: bool = False, **options: Any
    ) -> None:
        """Take python-socketio's options, those of `Engine`, and whether to begin the hand-over.

        `json` and `serializer` only hold for this server; python-socketio sets `json` for the whole process.
        Without either of them the server writes JSON as we do (`writes_json`).
        """
        self._strict = serializer == "default"
        self.writes_json = self._strict and json is None
        if self._strict:
            serializer = type("Packet", (socketio.packet.Packet,), {"json": json or Json})
        elif json is not None:
            raise ValueError("json= only works with the default serializer")
        self.joins = Joins(self)
        self.handling = Handling(self, self.joins)
        super().__init__(serializer=serializer, above=self, **options)
        self._faults = BoundedLog(self.logger)
        self.connections = Connections(self.eio, self.manager)
        if hand_over:
            self.connections.share_requests()

    def _engineio_server_class(self) -> type[Engine]:
        return Engine

    # What walkie-signal asks

    def accepts(self, namespace: str) -> bool:
        """Tell whether a namespace can be joined."""
        return (
            namespace in self.handlers
            or namespace in self.namespace_handlers
            or self.namespaces == "*"
            or namespace in self.namespaces
        )

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> object:
        """Start a task."""
        return self.eio.spawn(coroutine)

    async def catch_up(self, socket: Socket) -> None:
        """Act on the packets that a socket sent before it was let in."""
        await self.handling.catch_up(socket)

    def log_fault(self, kind: str, message: str, *arguments: Any, fault: BaseException) -> None:
        """Log the traceback of a handler's fault; a client can cause any number of them."""
        self._faults.write(logging.ERROR, kind, message, *arguments, fault=fault)

    # What python-socketio offers

    def handle_request(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """Serve an ASGI request, HTTP or WebSocket."""
        return self.eio.handle_request(scope, receive, send)

    async def disconnect(self, sid: str, namespace: str | None = None, ignore_queue: bool = False) -> None:  # noqa: FBT001, FBT002 - python-socketio's
        """Disconnect a client for good; its transport closes, unless it has joined other namespaces."""
        namespace = namespace or "/"
        if ignore_queue:
            here = self.manager.is_connected(sid, namespace)
        else:
            here = await self.manager.can_disconnect(sid, namespace)
            if not here and isinstance(self.manager, Rooms):
                await self.manager.disconnect_elsewhere(sid, namespace)
        eio_sid = self.manager.eio_sid_from_sid(sid, namespace) if here else None
        connection = self.eio.sockets.get(eio_sid or "")
        socket = connection.app.get(namespace) if connection is not None else None
        if socket is not None and socket.sid == sid:
            await self.joins.kick(socket)

    def push(self, eio_sid: str, namespace: str, frames: list[Frame]) -> None:
        """Send frames to a socket, or to its connection if there is no such socket."""
        connection = self.eio.sockets.get(eio_sid)
        if connection is None:
            return
        socket = connection.app.get(namespace) if connection.app is not None else None
        recipient = connection if socket is None else socket
        if len(frames) == 1:
            recipient.send(frames[0])
        else:
            recipient.send_all(frames)

    def frames_of(self, pkt: Any) -> list[Frame]:
        """Encode a Socket.IO packet, once for all its recipients."""
        encoded = pkt.encode()
        parts = encoded if isinstance(encoded, list) else [encoded]
        return [MESSAGE + part if isinstance(part, str) else bytes(part) for part in parts]

    async def _send_packet(self, eio_sid: str, pkt: Any) -> None:
        self.push(eio_sid, pkt.namespace or "/", self.frames_of(pkt))

    async def _send_eio_packet(self, eio_sid: str, eio_pkt: Any) -> None:
        frame = eio_pkt.encode()
        namespace = packets.namespace_of(frame[1:]) if isinstance(frame, str) else "/"
        self.push(eio_sid, namespace, [frame])

    async def _trigger_event(self, event: str, namespace: str, *args: Any) -> Any:
        """Call the handler of an event, with as many arguments as it takes."""
        handler, arguments = self._get_event_handler(event, namespace, args)
        if handler is not None:
            return await called(event, handler, arguments)
        target, arguments = self._get_namespace_handler(namespace, args)
        if target is None:
            return self.not_handled
        if type(target).trigger_event is not socketio.AsyncNamespace.trigger_event:
            return await target.trigger_event(event, *arguments)
        handler = getattr(target, f"on_{event}", None)
        return None if handler is None else await called(event, handler, arguments)

    # What connections call

    async def _handle_eio_connect(self, eio_sid: str, environ: dict[str, Any]) -> None:
        await super()._handle_eio_connect(eio_sid, environ)
        connection = self.eio.sockets[eio_sid]
        connection.begin(Sockets(connection))

    async def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        connection = self.eio.sockets.get(eio_sid)
        try:
            if connection is not None and connection.app is not None:
                await self.joins.leave_all(connection.app, reason)
        finally:
            self.environ.pop(eio_sid, None)

    def bid_farewell(self, connection: Connection) -> None:
        """Let each namespace that was joined say a last word."""
        self.connections.bid_farewell(connection)

    def idle_since(self, connection: Connection) -> float | None:
        """Return the time since which a connection has joined no namespace; ``None`` if it has joined one."""
        sockets: Sockets | None = connection.app
        return None if sockets is None or sockets.joined else sockets.idle_since

    def receive_message(self, connection: Connection, message: Frame) -> None:
        """Take a message that no inline handler has taken."""
        sockets: Sockets | None = connection.app
        if sockets is None:  # the Engine.IO server is used by itself
            self.eio.call_message_handler(connection, message)
            return
        if isinstance(message, bytes):
            self._receive_attachment(sockets, message)
            return
        if sockets.partial is not None:
            raise ProtocolViolation("text in place of an attachment")
        if (
            self._strict
            and len(message) > UNREAD // 4  # a character has at most four bytes
            and size_of(message) > UNREAD
            and self._needs_no_reading(sockets, message)
        ):
            return
        read = partial(packets.read_packet if self._strict else self._read_foreign, message)
        packet = read()
        if packet.attachments:
            sockets.partial = Partial(packet, read, len(message), self.eio.max_http_buffer_size)
        else:
            self._dispatch(sockets, packet, Deferred(read, len(message)))

    def _needs_no_reading(self, sockets: Sockets, message: str) -> bool:
        """Deal with a large packet without parsing it, if its head decides what becomes of it.

        Returns whether it is dealt with: a CONNECT is refused, and an ack that nobody awaits is ignored.

        Raises:
            ProtocolViolation: No client sends it, or it is for a namespace that is not joined.
        """
        kind, namespace, ack_id = packets.head_of(message) or (None, "", None)
        if kind == packets.CONNECT:
            self.joins.refuse(sockets, namespace, TOO_MUCH_AUTH)
            return True
        if kind in (packets.DISCONNECT, packets.CONNECT_ERROR):
            raise ProtocolViolation("a large packet of a kind that has no data")
        socket = sockets.get(namespace)
        if socket is None and namespace not in sockets.barred:
            raise ProtocolViolation(NOT_JOINED)
        return kind == packets.ACK and socket is not None and not self.handling.awaits(socket, ack_id)

    def _receive_attachment(self, sockets: Sockets, attachment: bytes) -> None:
        begun = sockets.partial
        if begun is not None:
            if begun.add(attachment):
                sockets.partial = None
                self._dispatch(sockets, begun.packet(), Deferred(begun.packet, begun.size))
        elif self._strict:
            raise ProtocolViolation("an attachment that no packet announced")
        else:
            read = partial(self._read_foreign, attachment)
            self._dispatch(sockets, read(), Deferred(read, len(attachment)))

    def _read_foreign(self, message: Frame) -> Packet:
        """Read a packet with the host's serializer, which may raise anything."""
        try:
            pkt = self.packet_class(encoded_packet=message)
            packet = Packet(
                pkt.packet_type, pkt.namespace or "/", pkt.id, pkt.data, getattr(pkt, "attachment_count", 0)
            )
        except Exception:  # noqa: BLE001 - the packet can't be read, whatever the error is
            raise ProtocolViolation("a packet that the serializer can't read") from None
        packets.check_packet(packet)
        return packet

    def _dispatch(self, sockets: Sockets, packet: Packet, deferred: Deferred) -> None:
        socket = sockets.get(packet.namespace)
        if socket is not None and socket.state is State.JOINING:
            socket.defer(packet, deferred, self.eio.max_http_buffer_size)
        elif packet.kind == packets.CONNECT:
            self.joins.connect(sockets, packet.namespace, packet.data)
        elif socket is None:
            if packet.namespace not in sockets.barred:
                raise ProtocolViolation(NOT_JOINED)
        elif socket.state is State.JOINED:
            self.handling.act(socket, packet, deferred)

    def resume(self, socket: Socket) -> None:
        """Act on the packets that waited until CONNECT was answered; after a refusal, only on another CONNECT."""
        sockets = socket.sockets
        deferred, socket.deferred = socket.deferred, []
        try:
            for each in deferred:
                if sockets.connection.closed:
                    return
                packet = each.read()
                if packet.kind == packets.CONNECT or sockets.get(packet.namespace) is not None:
                    self._dispatch(sockets, packet, each)
        except ProtocolViolation as violation:
            sockets.connection.violate(violation)
