"""The connections of a stock python-socketio server, which can't send synchronously."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Container, MutableMapping, Sequence
from typing import Any

import socketio

from walkie_signal.core.ports import Link, OtherNodes, TextHandler, Transport

log = logging.getLogger("walkie_signal")

CLOSE_TIMEOUT = 5.0
"""Seconds for a close: if a peer does not read, python-engineio would wait for ever."""

_ALLOW_ORIGIN = b"access-control-allow-origin"


def transport_of(server: Any) -> Transport:
    """Return the connections of a server: its own `Transport`, or one for a stock server."""
    own = getattr(server, "connections", None)
    return own if isinstance(own, Transport) else StockTransport(server)


def emits_here_alone(server: Any) -> bool:
    """Tell whether what a server emits reaches the clients of its own process alone, however many there are."""
    return type(server.manager) is socketio.AsyncManager


class StockTransport:
    """The `Transport` of a stock server. Nothing is shared with other workers, and all headers are kept."""

    is_strict = False

    def __init__(self, server: Any) -> None:
        self._server = server

    @property
    def lets_any_page_in(self) -> bool:
        """Whether a web page of any origin may connect: any is named, or none is checked."""
        named = self._server.eio.cors_allowed_origins
        return named == [] or (isinstance(named, Container) and "*" in named)

    def link(self, eio_sid: str, namespace: str) -> Link:  # noqa: ARG002 - its connections have one text stream
        """Return a link that sends in a task of its own."""
        return StockLink(self._server.eio, eio_sid)

    def serve(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        """Serve an ASGI request, with the headers of its answer mended."""
        answer = mended(send, self._server) if scope["type"] == "http" else send
        served: Awaitable[None] = self._server.handle_request(scope, receive, answer)
        return served

    def before_parting(self, namespace: str, farewell: Callable[[str], None]) -> None:
        """Do nothing: it carries no connections of other workers."""

    def reach(self, others: OtherNodes, namespace: str) -> None:
        """Do nothing: a stock server's emits are its client manager's."""

    def keep_headers(self, names: frozenset[bytes]) -> None:
        """Do nothing."""

    def share_requests(self) -> None:
        """Do nothing: several workers need sticky sessions."""

    def hand_back(self) -> None:
        """Do nothing."""

    async def hang_up(self, within: float) -> None:
        """Do nothing: the web server closes the connections."""

    async def close(self) -> None:
        """Do nothing."""


class StockLink:
    """Sends texts in order, with one task while there is something to send."""

    def __init__(self, eio: Any, eio_sid: str) -> None:
        self._eio = eio
        self._eio_sid = eio_sid
        self._texts: deque[str | None] = deque()
        self._task: asyncio.Task[None] | None = None

    def __str__(self) -> str:
        return "on a stock server"

    def send(self, text: str) -> None:
        """Queue a text."""
        self._queue(text)

    def send_all(self, texts: Sequence[str]) -> None:
        """Queue texts."""
        for text in texts:
            self._queue(text)

    def send_latest(self, key: str, text: str) -> None:  # noqa: ARG002 - a text can't be taken back from its queue
        """Queue a text."""
        self._queue(text)

    def close(self, *, for_good: bool) -> None:  # noqa: ARG002 - a stock server has but one way
        """Close the transport after what is queued."""
        self._queue(None)

    def listen(self, handler: TextHandler) -> None:
        """Do nothing: a stock server does not hand over texts; its events arrive through the binding."""

    def _queue(self, text: str | None) -> None:
        self._texts.append(text)
        if self._task is None:
            self._task = asyncio.create_task(self._drain())

    async def _drain(self) -> None:
        try:
            while self._texts:
                text = self._texts.popleft()
                if text is None:
                    await asyncio.wait_for(self._eio.disconnect(self._eio_sid), CLOSE_TIMEOUT)
                else:
                    await self._eio.send(self._eio_sid, text[1:])  # it writes the 4 of a message itself
        except Exception as error:  # noqa: BLE001 - the connection is gone, or does not read
            log.debug("a connection took no more: %r", error)
            self._texts.clear()
        finally:
            self._task = None


def mended(send: Any, sio: Any) -> Any:
    """Mend the headers of a stock server.

    python-engineio writes ``Access-Control-Allow-Origin`` with capital letters. A CORS middleware around us
    does not recognise that, and would add a second one. Also, if any origin is allowed, python-engineio names
    the origin that asks; together with the credentials that such a middleware adds, this would let every page in.
    """
    anybody = sio.eio.cors_allowed_origins == "*" and not sio.eio.cors_credentials

    async def send_mended(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers = [(name.lower(), value) for name, value in message.get("headers", ())]
            if anybody:
                headers = [(name, b"*" if name == _ALLOW_ORIGIN else value) for name, value in headers]
            message = {**message, "headers": headers}
        await send(message)

    return send_mended
