"""Serves the requests that open and carry sessions: it checks them, and finds the session of each."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from walkie_signal.transport import packets, requests
from walkie_signal.transport.connection import Connection
from walkie_signal.transport.direct_websocket import DirectWebSocket, websocket_of
from walkie_signal.transport.polling import Polling
from walkie_signal.transport.requests import Receive, Refusal, Refused, Request, Response, Scope, Send
from walkie_signal.transport.websocket import WebSocket

if TYPE_CHECKING:
    from walkie_signal.transport.engine import Engine

log = logging.getLogger("walkie_signal.transport")

UPGRADE_TIMEOUT = 10.0
"""Seconds that a WebSocket has to probe and take over, as in the JavaScript server."""


class Service:
    """Serves the requests of one Engine.IO server."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

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
        except Refused as refused:
            self._note(request, refused.refusal)
            refusal = await self._elsewhere(request, refused.refusal, send)
            if refusal is None:
                return
            response = requests.refused(refusal)
        except requests.Gone:
            # Nobody reads this answer, but a middleware would treat a missing one as a fault (Starlette's
            # BaseHTTPMiddleware: "No response returned").
            response = requests.refused(requests.BAD_REQUEST)
        response.headers += self._engine.cors.headers(request, credentials=self._engine.cors_credentials)
        if self._engine.http_compression and len(response.body) >= self._engine.compression_threshold:
            response = requests.compressed(response, request.header(b"accept-encoding"))
        await requests.answer(send, response)

    def _note(self, request: Request, refusal: Refusal) -> None:
        """Log that a handshake is refused, unless its origin is the reason.

        A request with a session id is not logged: after a restart of the server, each peer sends one for a session
        that is gone, and then comes back.
        """
        if "sid" not in request.query and refusal is not requests.FORBIDDEN:
            kind = f"handshake refused ({refusal.code})"
            self._engine.lines.write(
                logging.INFO, kind, "handshake refused: %s (from %s)", refusal.message, request.address
            )

    async def _answer(self, request: Request) -> Response:
        self._engine.cors.check(request)
        method = request.scope["method"]
        if method == "OPTIONS":
            return Response(b"")
        if request.query.get("transport") != "polling" or "polling" not in self._engine.transports:
            known = request.query.get("transport") in self._engine.transports
            raise Refused(requests.BAD_REQUEST if known else requests.UNKNOWN_TRANSPORT)
        sid = request.query.get("sid")
        if sid is None:
            self._check_handshake(request, method)
            return await self._open_polling(request)
        connection = self._engine.find(sid)
        if connection is None:
            return await self._owed(sid, method, request)
        if not isinstance(connection.carrier, Polling) or method not in ("GET", "POST"):
            raise Refused(requests.BAD_REQUEST)
        serve = connection.carrier.get if method == "GET" else connection.carrier.post
        return await serve(request)

    def _check_handshake(self, request: Request, method: str) -> None:
        if method != "GET":
            raise Refused(requests.BAD_METHOD)
        if request.query.get("EIO") != "4":
            raise Refused(requests.UNSUPPORTED_VERSION)
        if "j" in request.query:  # JSONP, which version 4 of the protocol dropped
            raise Refused(requests.BAD_REQUEST)

    async def _owed(self, sid: str, method: str, request: Request) -> Response:
        """Answer a poll with what a closed connection is still owed; what the client posts is ignored."""
        carrier = self._engine.lingering.get(sid)
        if carrier is None:
            raise Refused(requests.UNKNOWN_SID)
        if method != "GET":
            return Response(b"ok")
        response = await carrier.get(request)
        if not carrier.owed:
            self._engine.lingering.settle(sid)
        return response

    async def _elsewhere(self, request: Request, refusal: Refusal, send: Send) -> Refusal | None:
        """Let the worker that holds the session serve a request; returns the refusal if no worker does."""
        hand_over = self._engine.hand_over
        if hand_over is None or refusal is not requests.UNKNOWN_SID:
            return refusal
        return await hand_over.pass_on(request, send)

    async def _open_polling(self, request: Request) -> Response:
        upgrades = (
            ["websocket"] if self._engine.allow_upgrades and "websocket" in self._engine.transports else []
        )
        connection, opening = await self._engine.open(request, upgrades)
        response = Response(opening.encode())
        if self._engine.cookie:
            attributes = self._engine.cookie
            if not isinstance(attributes, dict):
                attributes = {"name": self._engine.cookie, "path": "/", "SameSite": "Lax"}
            cookie = self._engine._generate_sid_cookie(connection.sid, attributes)  # noqa: SLF001
            response.headers += requests.lower([("Set-Cookie", cookie)])
        connection.carry(Polling(connection))
        return response

    async def _open_websocket(self, request: Request, send: Send) -> WebSocket | DirectWebSocket | None:
        """Return the carrier that is to run on a WebSocket, or ``None`` if there is none to run here."""
        if (await request.receive())["type"] != "websocket.connect":
            return None
        try:
            self._engine.cors.check(request)
            if request.query.get("transport") != "websocket" or "websocket" not in self._engine.transports:
                raise Refused(requests.UNKNOWN_TRANSPORT)
            sid = request.query.get("sid")
            if sid is None:
                self._check_handshake(request, "GET")
                connection, opening = await self._engine.open(request, [])
            else:
                connection = self._known(sid)
        except Refused as refused:
            self._note(request, refused.refusal)
            if await self._elsewhere(request, refused.refusal, send) is not None:
                await requests.refuse_websocket(send)
            return None
        if sid is None:
            return await self._begin(connection, opening, request, send)
        if isinstance(connection.carrier, Polling) and connection.probe is None:
            return await self._upgrade(connection, request, send)
        # The session has a WebSocket already, which goes on undisturbed. As in the JavaScript server, this one is
        # opened and closed: for a client, a refused handshake is an error, but a close is not.
        await requests.accept_websocket(request, send)
        await _close_quietly(send)
        return None

    async def _begin(
        self, connection: Connection, opening: str, request: Request, send: Send
    ) -> WebSocket | DirectWebSocket:
        try:
            await requests.accept_websocket(request, send)
        except BaseException:
            connection.close(self._engine.reason.TRANSPORT_CLOSE)
            raise
        carrier = websocket_of(connection, request.scope, send)
        early = connection.outbox.take_some()
        connection.carry(carrier)
        for frame in (opening, *early):
            connection.push(frame)
        if connection.closed:
            carrier.end(1000, packets.CLOSE)
        return carrier

    # Upgrading

    def _known(self, sid: str) -> Connection:
        """Return the session that a WebSocket is for."""
        connection = self._engine.find(sid)
        if connection is None:
            raise Refused(requests.UNKNOWN_SID)
        if isinstance(connection.carrier, Polling) and not self._engine.allow_upgrades:
            raise Refused(requests.BAD_REQUEST)
        return connection

    async def _upgrade(
        self, connection: Connection, request: Request, send: Send
    ) -> WebSocket | DirectWebSocket | None:
        """Let a WebSocket take over; if that fails, polling goes on as before.

        After such a failure, python-engineio answers every poll at once: 434 polls a second from one client.
        """
        probe = connection.probe = asyncio.create_task(self._probe(connection, request, send))
        try:
            await asyncio.wait({probe}, timeout=UPGRADE_TIMEOUT)
        finally:
            connection.probe = None
            probe.cancel()
        polling = connection.carrier
        passed = probe.done() and not probe.cancelled() and probe.exception() is None and probe.result()
        if connection.closed or not passed or not isinstance(polling, Polling):
            await _close_quietly(send)
            return None
        carrier = websocket_of(connection, request.scope, send)
        connection.carry(carrier)
        polling.taken_over()
        carrier.flush()
        return carrier

    async def _probe(self, connection: Connection, request: Request, send: Send) -> bool:
        await requests.accept_websocket(request, send)
        receive = request.receive
        if (await receive()).get("text") != packets.PING + "probe":
            return False
        await send({"type": "websocket.send", "text": packets.PONG + "probe"})
        if isinstance(connection.carrier, Polling):
            connection.carrier.release()
        return (await receive()).get("text") == packets.UPGRADE


async def _close_quietly(send: Send) -> None:
    try:
        await send({"type": "websocket.close", "code": 1000})
    except Exception as error:  # noqa: BLE001 - the WebSocket is gone already
        log.debug("a WebSocket took no close: %r", error)
