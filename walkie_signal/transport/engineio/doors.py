"""Serves the requests that open and carry sessions: it checks them, and finds the session of each."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Protocol

from walkie_signal.core.facts import Facts, HandshakeRefused
from walkie_signal.transport.engineio import http
from walkie_signal.transport.engineio.connection import Connection
from walkie_signal.transport.engineio.cors import Cors
from walkie_signal.transport.engineio.direct import DirectWebSocket, websocket_of
from walkie_signal.transport.engineio.http import (
    Receive,
    Refusal,
    RefusedError,
    Request,
    Response,
    Scope,
    Send,
)
from walkie_signal.transport.engineio.lingering import Lingering
from walkie_signal.transport.engineio.polling import Polling
from walkie_signal.transport.engineio.states import State
from walkie_signal.transport.engineio.websocket import WebSocket
from walkie_signal.wire.frames import PING, PONG, UPGRADE

log = logging.getLogger("walkie_signal.transport")

UPGRADE_TIMEOUT = 10.0
"""Seconds that a WebSocket has to probe and take over, as in the JavaScript server."""


class HandOver(Protocol):
    """The other workers of this port, as a server sees them."""

    def start(self) -> str:
        """Take requests of other workers from now on; returns what session ids have to begin with."""

    async def end(self) -> None:
        """Take no more of them, and end those under way."""

    async def pass_on(self, request: Request, send: Send) -> Refusal | None:
        """Let the worker that holds the session serve a request; returns the refusal if no worker does."""

    def hand_back(self) -> None:
        """Let the other workers end what is carried here for them."""

    async def handed_back(self) -> None:
        """Wait until they have done so."""


class Connections(Protocol):
    """The connections of one server, as its doors see them; the attributes are python-engineio's, but for three."""

    allow_upgrades: bool
    compression_threshold: int
    cookie: Any
    cors: Cors
    cors_credentials: bool
    facts: Facts
    hand_over: HandOver | None
    http_compression: bool
    lingering: Lingering
    reason: Any
    transports: Any

    def find(self, sid: str) -> Connection | None:
        """Return an open connection, or ``None``."""

    async def open(self, request: Request, upgrades: list[str]) -> tuple[Connection, str]:
        """Make a connection; returns it with its OPEN packet.

        Raises:
            RefusedError: The host refuses it.
        """

    def _generate_sid_cookie(self, sid: str, attributes: Any) -> str: ...


class Doors:
    """Serves the requests of one Engine.IO server."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve an ASGI request, HTTP or WebSocket."""
        if scope["type"] == "websocket":
            carrier = await self._open_websocket(Request(scope, receive), send)
            if carrier is not None:
                await carrier.run(receive)
            return
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except RefusedError as refused:
            self._note(request, refused.refusal)
            refusal = await self._elsewhere(request, refused.refusal, send)
            if refusal is None:
                return
            response = http.refused(refusal, bare=request.from_python)
        except http.GoneError:
            # Nobody reads this answer, but a middleware would treat a missing one as a fault (Starlette's
            # BaseHTTPMiddleware: "No response returned").
            response = http.refused(http.BAD_REQUEST)
        response.headers += self._connections.cors.headers(
            request, credentials=self._connections.cors_credentials
        )
        if (
            self._connections.http_compression
            and len(response.body) >= self._connections.compression_threshold
        ):
            response = http.compressed(response, request.header(b"accept-encoding"))
        await http.answer(send, response)

    def _note(self, request: Request, refusal: Refusal) -> None:
        """Tell that a handshake is refused, unless its origin is the reason, which has its own line in the log.

        A request with a session id is no handshake: after a restart of the server, each peer sends one for a
        session that is gone, and then comes back.
        """
        if "sid" not in request.query and refusal is not http.FORBIDDEN:
            self._connections.facts.tell(HandshakeRefused, refusal.code, refusal.message, request.address)

    async def _answer(self, request: Request) -> Response:
        self._connections.cors.check(request)
        method = request.scope["method"]
        if method == "OPTIONS":
            return Response(b"")
        if request.query.get("transport") != "polling" or "polling" not in self._connections.transports:
            known = request.query.get("transport") in self._connections.transports
            raise RefusedError(http.BAD_REQUEST if known else http.UNKNOWN_TRANSPORT)
        sid = request.query.get("sid")
        if sid is None:
            self._check_handshake(request, method)
            return await self._open_polling(request)
        connection = self._connections.find(sid)
        if connection is None:
            return await self._owed(sid, method, request)
        if not isinstance(connection.carrier, Polling) or method not in ("GET", "POST"):
            raise RefusedError(http.BAD_REQUEST)
        serve = connection.carrier.get if method == "GET" else connection.carrier.post
        return await serve(request)

    def _check_handshake(self, request: Request, method: str) -> None:
        if method != "GET":
            raise RefusedError(http.BAD_METHOD)
        if request.query.get("EIO") != "4":
            raise RefusedError(http.UNSUPPORTED_VERSION)
        if request.head_bytes > http.HEAD_BYTES:
            raise RefusedError(http.HEAD_TOO_LARGE)
        if "j" in request.query:  # JSONP, which version 4 of the protocol dropped
            raise RefusedError(http.BAD_REQUEST)

    async def _owed(self, sid: str, method: str, request: Request) -> Response:
        """Answer a poll with what a closed connection is still owed; what the client posts is ignored."""
        carrier = self._connections.lingering.get(sid)
        if carrier is None:
            raise RefusedError(http.UNKNOWN_SID)
        if method != "GET":
            return Response(b"ok")
        response = await carrier.get(request)
        if not carrier.owed:
            self._connections.lingering.forget(sid)
        return response

    async def _elsewhere(self, request: Request, refusal: Refusal, send: Send) -> Refusal | None:
        """Let the worker that holds the session serve a request; returns the refusal if no worker does."""
        hand_over = self._connections.hand_over
        if hand_over is None or refusal is not http.UNKNOWN_SID:
            return refusal
        return await hand_over.pass_on(request, send)

    async def _open_polling(self, request: Request) -> Response:
        upgrades = (
            ["websocket"]
            if self._connections.allow_upgrades and "websocket" in self._connections.transports
            else []
        )
        connection, opening = await self._connections.open(request, upgrades)
        response = Response(opening.encode())
        if self._connections.cookie:
            attributes = self._connections.cookie
            if not isinstance(attributes, dict):
                attributes = {"name": self._connections.cookie, "path": "/", "SameSite": "Lax"}
            cookie = self._connections._generate_sid_cookie(connection.sid, attributes)  # noqa: SLF001
            response.headers += http.lower([("Set-Cookie", cookie)])
        connection.carry(Polling(connection))
        return response

    async def _open_websocket(self, request: Request, send: Send) -> WebSocket | DirectWebSocket | None:
        """Return the carrier that is to run on a WebSocket, or ``None`` if there is none to run here."""
        if (await request.receive())["type"] != "websocket.connect":
            return None
        try:
            self._connections.cors.check(request)
            if (
                request.query.get("transport") != "websocket"
                or "websocket" not in self._connections.transports
            ):
                raise RefusedError(http.UNKNOWN_TRANSPORT)
            sid = request.query.get("sid")
            if sid is None:
                self._check_handshake(request, "GET")
                connection, opening = await self._connections.open(request, [])
            else:
                connection = self._known(sid)
        except RefusedError as refused:
            self._note(request, refused.refusal)
            if await self._elsewhere(request, refused.refusal, send) is not None:
                await http.refuse_websocket(send)
            return None
        if sid is None:
            return await self._begin(connection, opening, request, send)
        if connection.state is State.POLLING:
            return await self._upgrade(connection, request, send)
        # The session has a WebSocket already, which goes on undisturbed. As in the JavaScript server, this one is
        # opened and closed: for a client, a refused handshake is an error, but a close is not.
        await http.accept_websocket(request, send)
        await _close_quietly(send)
        return None

    async def _begin(
        self, connection: Connection, opening: str, request: Request, send: Send
    ) -> WebSocket | DirectWebSocket:
        try:
            await http.accept_websocket(request, send)
        except BaseException:
            connection.close(self._connections.reason.TRANSPORT_CLOSE)
            raise
        carrier = websocket_of(connection, request.scope, send)
        early = connection.outbox.take_some()
        connection.carry(carrier)
        for frame in (opening, *early):
            connection.push(frame)
        if connection.closed:
            carrier.end(1000, None)
        return carrier

    # Upgrading

    def _known(self, sid: str) -> Connection:
        """Return the session that a WebSocket is for."""
        connection = self._connections.find(sid)
        if connection is None:
            raise RefusedError(http.UNKNOWN_SID)
        if isinstance(connection.carrier, Polling) and not self._connections.allow_upgrades:
            raise RefusedError(http.BAD_REQUEST)
        return connection

    async def _upgrade(
        self, connection: Connection, request: Request, send: Send
    ) -> WebSocket | DirectWebSocket | None:
        """Let a WebSocket take over; if that fails, polling goes on as before.

        After such a failure, python-engineio answers every poll at once: 434 polls a second from one client.
        """
        probe = asyncio.create_task(self._probe(connection, request, send))
        connection.begin_probe(probe)
        passed = False
        try:
            await asyncio.wait({probe}, timeout=UPGRADE_TIMEOUT)
            passed = connection.is_open and _has_passed(probe)
        finally:
            if not passed:
                connection.end_probe()
            probe.cancel()
        polling = connection.carrier
        if not passed or not isinstance(polling, Polling):
            await _close_quietly(send)
            return None
        carrier = websocket_of(connection, request.scope, send)
        connection.carry(carrier)
        polling.taken_over()
        carrier.flush()
        return carrier

    async def _probe(self, connection: Connection, request: Request, send: Send) -> bool:
        await http.accept_websocket(request, send)
        receive = request.receive
        if (await receive()).get("text") != PING + "probe":
            return False
        await send({"type": "websocket.send", "text": PONG + "probe"})
        if isinstance(connection.carrier, Polling):
            connection.carrier.release()
        return (await receive()).get("text") == UPGRADE


def _has_passed(probe: asyncio.Task[bool]) -> bool:
    return probe.done() and not probe.cancelled() and probe.exception() is None and probe.result()


async def _close_quietly(send: Send) -> None:
    try:
        await send({"type": "websocket.close", "code": 1000})
    except Exception as error:  # noqa: BLE001 - the WebSocket is gone already
        log.debug("a WebSocket took no close: %r", error)
