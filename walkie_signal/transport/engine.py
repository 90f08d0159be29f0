"""The Engine.IO server: sessions, and the requests that open and carry them.

It stands under `walkie_signal.transport.server.Server`, and is an `engineio.AsyncServer` by itself.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

import engineio

from walkie_signal.core.codec import dumps, loads
from walkie_signal.transport import packets, requests
from walkie_signal.transport.connection import Connection, log
from walkie_signal.transport.liveness import Sweep
from walkie_signal.transport.outbox import Bounds
from walkie_signal.transport.packets import Frame
from walkie_signal.transport.polling import Polling
from walkie_signal.transport.requests import Receive, Refused, Request, Response, Scope, Send
from walkie_signal.transport.websocket import WebSocket

UPGRADE_TIMEOUT = 10.0
"""Seconds for a WebSocket to probe and take over, as in the JavaScript server."""

LINGER = 5.0
"""Seconds for which a closed connection's next poll still gets what it is owed, a kick's DISCONNECT say."""

EVERYBODY: Any = object()
"""What `Engine.disconnect` without an argument means; python-engineio takes ``None`` for it too."""


class Engine(engineio.AsyncServer):  # type: ignore[misc]  # python-engineio has no types
    """A strict Engine.IO 4 server for ASGI."""

    def __init__(self, *, bounds: Bounds, connect_timeout: float, **options: Any) -> None:
        """Take python-engineio's options, and ours.

        Args:
            bounds: Of each connection's outbox.
            connect_timeout: Seconds for the protocol above to be joined (`joined`).
            options: python-engineio's.
        """
        super().__init__(**options)
        self.bounds = bounds
        self.connect_timeout = connect_timeout
        self.sockets: dict[str, Connection] = {}
        self.take: Callable[[Connection, Frame], None] = self._take_message
        self.joined: Callable[[Connection, float], bool] = lambda _connection, _since: True
        self._monitor: bool = self.start_service_task
        self._lingering: dict[str, tuple[Connection, float]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._interval: float = self.ping_interval + self.ping_interval_grace_period
        self._sweep = Sweep(min(self._interval, self.ping_timeout, connect_timeout), self._visit)

    # What python-engineio offers

    def generate_id(self) -> str:
        """Return an id of 144 random bits: whoever knows a session's can speak in it."""
        return secrets.token_urlsafe(18)

    async def send(self, sid: str, data: Any) -> None:
        """Send a message."""
        connection = self.sockets.get(sid)
        if connection is not None:
            connection.send(_encode(data))

    async def send_packet(self, sid: str, pkt: Any) -> None:
        """Send an `engineio.packet.Packet`."""
        connection = self.sockets.get(sid)
        if connection is not None:
            connection.send(pkt.encode())

    async def disconnect(self, sid: str | None = EVERYBODY) -> None:
        """Close a connection, or all of them where no `sid` is given at all.

        With python-engineio ``None``, which is what looking up a peer that just left gives, closes everybody's,
        no connections at all is an error, and a connection that does not read is waited for.
        """
        found = list(self.sockets.values()) if sid is EVERYBODY else [self.sockets.get(sid or "")]
        open_ones = [connection for connection in found if connection is not None and not connection.closed]
        for connection in open_ones:
            connection.close(self.reason.SERVER_DISCONNECT)
        ends = [connection.ending for connection in open_ones if connection.ending is not None]
        if ends:
            await asyncio.wait(ends)

    async def shutdown(self) -> None:
        """Close all connections, waiting for none, and end what runs in the background."""
        for connection in list(self.sockets.values()):
            connection.close(self.reason.SERVER_DISCONNECT, code=1012)
        self._lingering.clear()
        self._sweep.stop()

    def _get_socket(self, sid: str) -> Connection:
        # A closed one is still there for its disconnect handler, which may ask for its session.
        try:
            return self.sockets[sid]
        except KeyError:
            raise KeyError("Session not found") from None

    # What connections ask

    def deliver(self, connection: Connection, message: Frame) -> None:
        """Hand a message to whoever takes them."""
        self.take(connection, message)

    def alive(self, connection: Connection) -> None:
        """Set when the next ping is due."""
        connection.pinged = False
        connection.ping_at = asyncio.get_running_loop().time() + self._interval
        connection.expires = connection.ping_at + self.ping_timeout

    def ended(self, connection: Connection) -> None:
        """Tell the disconnect handler, in a task of its own, and forget the connection after that."""
        kicked = connection.reason == self.reason.SERVER_DISCONNECT
        if kicked and isinstance(connection.carrier, Polling) and connection.carrier.owed:
            deadline = asyncio.get_running_loop().time() + LINGER
            self._lingering[connection.sid] = (connection, deadline)
        connection.ending = self.spawn(self._end(connection))

    async def _end(self, connection: Connection) -> None:
        try:
            await self._trigger_event("disconnect", connection.sid, connection.reason, run_async=False)
        finally:
            self.sockets.pop(connection.sid, None)

    def spawn(self, coroutine: Any) -> asyncio.Task[Any]:
        """Start a task, and keep it from being collected."""
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _take_message(self, connection: Connection, message: Frame) -> None:
        if "message" in self.handlers:
            data = message if isinstance(message, bytes) else _decode(message)
            self.spawn(self._trigger_event("message", connection.sid, data, run_async=False))

    def _visit(self, now: float) -> bool:
        """Ping who is due, and close who is dead, stalled, or has joined nothing."""
        for connection in list(self.sockets.values()):
            if not connection.closed:
                self._check(connection, now)
        for sid, (_, deadline) in list(self._lingering.items()):
            if now >= deadline:
                del self._lingering[sid]
        return bool(self.sockets or self._lingering)

    def _check(self, connection: Connection, now: float) -> None:
        self._check_pong(connection, now)
        if not connection.pinged and now >= connection.ping_at:
            connection.pinged = True
            if now - connection.ping_at > self.ping_timeout / 4:  # the loop was held up, not the other side
                connection.expires = now + self.ping_timeout
            connection.send(packets.PING)
        if connection.carrier.waiting and connection.outbox.stalled(now):
            connection.overflow()
        elif not self.joined(connection, now - self.connect_timeout):
            connection.close(self.reason.SERVER_DISCONNECT)

    def _check_pong(self, connection: Connection, now: float) -> None:
        if connection.pinged and now >= connection.expires and self._monitor:
            connection.close(self.reason.PING_TIMEOUT)

    # Requests

    async def handle_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve an ASGI request, HTTP or WebSocket."""
        request = Request(scope, receive)
        if scope["type"] == "websocket":
            await self._serve_websocket(request, send)
            return
        try:
            response = await self._serve(request)
        except Refused as refused:
            response = requests.refused(refused.refusal)
        except requests.Gone:
            return
        response.headers += self._cors(request)
        if self.http_compression and len(response.body) >= self.compression_threshold:
            response = requests.compressed(response, request.header(b"accept-encoding"))
        await requests.answer(send, response)

    def _cors(self, request: Request) -> requests.Headers:
        if self.cors_allowed_origins == [] or request.header(b"origin") is None:
            return []
        headers = requests.lower(self._cors_headers(requests.environ_of(request.scope)))
        return [*headers, (b"vary", b"Origin")]

    async def _serve(self, request: Request) -> Response:
        self._check_origin(request)
        method = request.scope["method"]
        if method == "OPTIONS":
            return Response(b"")
        if request.query.get("transport") != "polling" or "polling" not in self.transports:
            known = request.query.get("transport") in self.transports
            raise Refused(requests.BAD_REQUEST if known else requests.UNKNOWN_TRANSPORT)
        sid = request.query.get("sid")
        if sid is None:
            self._check_handshake(request, method)
            return await self._open_polling(request)
        connection = self._find(sid)
        if connection is None:
            return await self._owed(sid, method, request)
        if not isinstance(connection.carrier, Polling) or method not in ("GET", "POST"):
            raise Refused(requests.BAD_REQUEST)
        serve = connection.carrier.get if method == "GET" else connection.carrier.post
        return await serve(request)

    def _check_origin(self, request: Request) -> None:
        if self.cors_allowed_origins == [] or (origin := request.header(b"origin")) is None:
            return
        allowed = self._cors_allowed_origins(requests.environ_of(request.scope))
        if allowed is not None and origin.decode("latin-1") not in allowed:
            raise Refused(requests.FORBIDDEN)

    def _check_handshake(self, request: Request, method: str) -> None:
        if method != "GET":
            raise Refused(requests.BAD_METHOD)
        if request.query.get("EIO") != "4":
            raise Refused(requests.UNSUPPORTED_VERSION)
        if "j" in request.query:  # JSONP, which version 4 of the protocol dropped
            raise Refused(requests.BAD_REQUEST)

    def _find(self, sid: str) -> Connection | None:
        connection = self.sockets.get(sid)
        if connection is None:
            return None
        if not connection.closed:
            self._check_pong(connection, asyncio.get_running_loop().time())
        return None if connection.closed else connection

    async def _owed(self, sid: str, method: str, request: Request) -> Response:
        """Serve what a closed connection is still owed; what it sends is heard by nobody."""
        connection, _ = self._lingering.get(sid, (None, 0.0))
        if connection is None or not isinstance(connection.carrier, Polling):
            raise Refused(requests.UNKNOWN_SID)
        if method == "GET":
            del self._lingering[sid]
            return await connection.carrier.get(request)
        return Response(b"ok")

    # Opening

    async def _open(self, request: Request, upgrades: list[str]) -> tuple[Connection, str]:
        """Make a connection that the host's connect handler lets in; returns it with its OPEN packet."""
        sid = self.generate_id()
        client = request.scope.get("client")
        connection = Connection(self, sid, client[0] if client else "a Unix socket")
        self.sockets[sid] = connection
        self.alive(connection)
        self._sweep.start()
        environ = requests.environ_of(request.scope)
        try:
            answer = await self._trigger_event("connect", sid, environ, run_async=False)
        except BaseException:
            del self.sockets[sid]
            raise
        if answer is not None and answer is not True:
            del self.sockets[sid]
            connection.reason = self.reason.SERVER_DISCONNECT
            message = answer if isinstance(answer, str) else "Unauthorized"
            raise Refused(requests.Refusal(401, requests.FORBIDDEN.code, message))
        opening = {
            "sid": sid,
            "upgrades": upgrades,
            "pingInterval": round(self._interval * 1000),
            "pingTimeout": round(self.ping_timeout * 1000),
            "maxPayload": self.max_http_buffer_size,
        }
        return connection, packets.OPEN + dumps(opening)

    async def _open_polling(self, request: Request) -> Response:
        upgrades = ["websocket"] if self.allow_upgrades and "websocket" in self.transports else []
        connection, opening = await self._open(request, upgrades)
        response = Response(opening.encode())
        if self.cookie:
            attributes = self.cookie
            if not isinstance(attributes, dict):
                attributes = {"name": self.cookie, "path": "/", "SameSite": "Lax"}
            cookie = self._generate_sid_cookie(connection.sid, attributes)
            response.headers += requests.lower([("Set-Cookie", cookie)])
        connection.carry(Polling(connection))
        return response

    async def _serve_websocket(self, request: Request, send: Send) -> None:
        if (await request.receive())["type"] != "websocket.connect":
            return
        try:
            self._check_origin(request)
            if request.query.get("transport") != "websocket" or "websocket" not in self.transports:
                raise Refused(requests.UNKNOWN_TRANSPORT)
            sid = request.query.get("sid")
            if sid is None:
                self._check_handshake(request, "GET")
                connection, opening = await self._open(request, [])
            else:
                connection = self._upgradable(sid)
        except Refused:
            await requests.refuse_websocket(send)
            return
        if sid is None:
            await self._run_websocket(connection, opening, request, send)
        else:
            await self._upgrade(connection, request, send)

    async def _run_websocket(self, connection: Connection, opening: str, request: Request, send: Send) -> None:
        try:
            await send({"type": "websocket.accept"})
        except BaseException:
            connection.close(self.reason.TRANSPORT_CLOSE)
            raise
        carrier = WebSocket(connection, send)
        early = connection.outbox.take_all()
        connection.carry(carrier)
        for frame in (opening, *early):
            connection.push(frame)
        if connection.closed:
            carrier.end(1000, packets.CLOSE)
        await carrier.run(request.receive)

    # Upgrading

    def _upgradable(self, sid: str) -> Connection:
        connection = self._find(sid)
        if connection is None:
            raise Refused(requests.UNKNOWN_SID)
        if not isinstance(connection.carrier, Polling) or connection.probe is not None or not self.allow_upgrades:
            raise Refused(requests.BAD_REQUEST)
        return connection

    async def _upgrade(self, connection: Connection, request: Request, send: Send) -> None:
        """Let a WebSocket take over, or leave the polling as it was where that fails.

        python-engineio then answers every poll at once, for good: 434 polls a second from one client.
        """
        probe = connection.probe = asyncio.create_task(self._probe(connection, request.receive, send))
        try:
            await asyncio.wait({probe}, timeout=UPGRADE_TIMEOUT)
        finally:
            connection.probe = None
            probe.cancel()
        polling = connection.carrier
        passed = probe.done() and not probe.cancelled() and probe.exception() is None and probe.result()
        if connection.closed or not passed or not isinstance(polling, Polling):
            await _close_quietly(send)
            return
        carrier = WebSocket(connection, send)
        connection.carry(carrier)
        polling.release()
        carrier.flush()
        await carrier.run(request.receive)

    async def _probe(self, connection: Connection, receive: Receive, send: Send) -> bool:
        await send({"type": "websocket.accept"})
        if (await receive()).get("text") != packets.PING + "probe":
            return False
        await send({"type": "websocket.send", "text": packets.PONG + "probe"})
        if isinstance(connection.carrier, Polling):
            connection.carrier.release()
        return (await receive()).get("text") == packets.UPGRADE


async def _close_quietly(send: Send) -> None:
    try:
        await send({"type": "websocket.close", "code": 1000})
    except Exception as error:  # noqa: BLE001 - it is gone already
        log.debug("a WebSocket took no close: %r", error)


def _encode(data: Any) -> Frame:
    """Encode a message as python-engineio does."""
    if isinstance(data, (bytes, bytearray)):
        return bytes(data)
    if isinstance(data, str):
        return packets.MESSAGE + data
    if isinstance(data, (dict, list)):
        return packets.MESSAGE + dumps(data)
    return packets.MESSAGE + ("" if data is None else str(data))


def _decode(text: str) -> Any:
    """Decode a message as python-engineio does: JSON but for what begins with a digit, else text."""
    if text[:1].isnumeric():
        return text
    try:
        return loads(text)
    except ValueError:
        return text
