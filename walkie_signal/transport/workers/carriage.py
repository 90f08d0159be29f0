"""A request that is carried to the worker that holds its session, and the answer that comes back."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from walkie_signal.transport.engineio.http import PARTING, GoneError, Receive, Request, Scope, Send
from walkie_signal.transport.engineio.websocket import FAREWELL
from walkie_signal.transport.workers.pipes import Event, Pipe

log = logging.getLogger("walkie_signal.transport")

CARRIED = ("type", "path", "root_path", "scheme", "method", "http_version", "headers", "subprotocols")
"""The keys of a scope that are carried unchanged."""


class Carriage:
    """One request, in the worker where it came in.

    Args:
        pipe: Leads to the session's worker, which has said that it takes the request.
        request: The request to carry.
        send: Takes the answer.
        limit: Most bytes of a message, or of a body, that the other worker takes.

    Attributes:
        is_websocket: Whether it lasts as long as the session.
        over: Done once nothing more is carried.
    """

    def __init__(self, pipe: Pipe, request: Request, send: Send, limit: int) -> None:
        self._pipe = pipe
        self._request = request
        self._send = send
        self._limit = limit
        self._answered = False
        self.is_websocket = request.scope["type"] == "websocket"
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> bool:
        """Carry until either side has ended; returns whether the request needs no answer any more."""
        with suppress(GoneError):
            await self._pipe.send(_departing(self._request.scope))
        down = asyncio.create_task(self._down())
        up = asyncio.create_task(self._up(self._request.receive))
        try:
            ends: set[asyncio.Future[object]] = {down, up, self._pipe.gone}  # type: ignore[arg-type]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            left = up.done() and up.result()
            if not left:
                # A WebSocket that takes no more is closed; the web server ends an answer that is not taken
                await asyncio.wait({down}, timeout=FAREWELL if self.is_websocket else None)
            return self._answered or (self.is_websocket and up.done() and up.result())
        finally:
            down.cancel()
            up.cancel()
            await asyncio.wait({down, up})
            self.over.set_result(None)

    def hand_back(self) -> None:
        """Tell the session's worker that this one is about to end: it tells its peer, and closes."""
        self._pipe.send_now({"type": PARTING})

    async def _up(self, receive: Receive) -> bool:
        """Carry what the client sends; returns true if the client has left, false if the session's worker has."""
        event: Event = {"type": ""}
        try:
            while not event["type"].endswith(".disconnect"):
                event = await receive()
                await self._pipe.send(_cut(event, self._limit))
        except GoneError:
            return False
        except Exception as error:  # noqa: BLE001 - each server has its own error for a client that is gone
            log.debug("nothing more is to be received: %r", error)
        return True

    async def _down(self) -> None:
        """Carry what the session's worker sends; an HTTP answer is sent completely or not at all."""
        start: Event | None = None
        try:
            while (event := await self._pipe.receive()) is not None:
                if event["type"] == "http.response.start":
                    start = event
                    continue
                self._answered = True
                if start is not None:
                    await self._send(start)
                    start = None
                await self._send(event)
        except Exception as error:  # noqa: BLE001 - as in `_up`
            log.debug("what another worker sent was not taken: %r", error)


def _cut(event: Event, limit: int) -> Event:
    """Cut what is over the limit to a little over it: it is still refused, but less has to be carried."""
    for key in ("body", "bytes"):
        if len(event.get(key) or b"") > limit:
            return {**event, key: event[key][: limit + 1]}
    text = event.get("text") or ""
    if len(text) > limit // 4 and len(encoded := text.encode("utf-8", "surrogatepass")) > limit:
        return {**event, "text": encoded[: limit + 4].decode("utf-8", "ignore")}
    return event


def _departing(scope: Scope) -> Event:
    """Return the part of a scope that is carried."""
    carried = {key: scope[key] for key in CARRIED if key in scope}
    carried["query_string"] = scope.get("query_string", b"").decode("latin-1")
    return {**carried, "client": scope.get("client"), "server": scope.get("server")}
