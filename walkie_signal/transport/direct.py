"""A WebSocket protocol class for uvicorn whose frames are picows', and the ASGI extension for direct frames.

    uvicorn app:app --ws walkie_signal.transport.direct:DirectProtocol

The opening handshake, refusals, the ASGI states, pings, shutdown and the log are uvicorn's own: `DirectProtocol`
is its class for websockets, which from `websocket.accept` on talks to `Frames` where it talked to websockets'
`ServerProtocol`. So it is for any app and any endpoint. It differs from uvicorn's class in this:

- There is no permessage-deflate.
- A CLOSE between the fragments of a message is answered in kind, and not as a protocol error.
- A frame whose length is not in its shortest form is a protocol error (RFC 6455, 5.2).
- A request that passes uvicorn's HTTP parser and not websockets' is answered 400, with one line in the log, and not
  left waiting. A line may have up to 64 KiB; websockets takes 8.
- A text that is no UTF-8 closes with 1007 at the fragment that spoils it, with one line in the log.
- A connection that was closed and takes nothing more of what is left is aborted after `LINGER` seconds, at the
  server's shutdown after `HASTE`; uvicorn waits for ever.
- For a client that doesn't read, of many PINGs only the last is answered.

The extension, `scope["extensions"]["walkie_signal.direct"]`, is a `Direct`: frames in by callbacks, frames out by
plain calls, with no task and no event in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.config import Config
from uvicorn.server import ServerState

from walkie_signal.transport.direct_frames import Frames
from walkie_signal.transport.direct_handshake import opening
from walkie_signal.transport.direct_http import refuse_websocket
from walkie_signal.transport.direct_inbox import Gate, Inbox

if tuple(int(part) for part in uvicorn.__version__.split(".")[:2]) < (0, 52):
    raise ImportError(
        f"walkie_signal.transport.direct works with uvicorn 0.52 and later, not with {uvicorn.__version__}; "
        "install one with: pip install 'walkie-signal[fast]'"
    )

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

EXTENSION = "walkie_signal.direct"
"""The name of the ASGI extension."""

LINGER = 10.0
"""Seconds that a client has to answer a CLOSE, and that a closed connection has to take more of what is left."""

HASTE = 1.0
"""The same when the server shuts down."""


class Direct:
    """The frames of one WebSocket, with nothing in between: the ASGI extension ``walkie_signal.direct``.

    It is offered from the start, and may be started once `websocket.accept` was sent. Whoever uses it has to
    check that `carries(send)` holds for the `send` that it was given: where it doesn't, middleware wants to see
    what is sent. Then, still, `receive` tells of the disconnect, and of nothing else.
    """

    __slots__ = ("_protocol",)

    def __init__(self, protocol: DirectProtocol) -> None:
        self._protocol: DirectProtocol | None = protocol

    def carries(self, send: Callable[..., Any]) -> bool:
        """Tell whether `send` is the server's own, so that nobody is passed over."""
        return self._protocol is not None and send == self._protocol.send

    def start(
        self,
        on_text: Callable[[str], None],
        on_bytes: Callable[[bytes], None],
        on_pause: Callable[[bool], None] | None = None,
        on_more: Callable[[], None] | None = None,
    ) -> None:
        """Hand over each message from now on; those that wait for `receive` are handed over at once, in order.

        After `hold` it reads on, and hands over to these callbacks.

        Args:
            on_text: Takes a text message. A fault in it is logged, and closes with 1011.
            on_bytes: Takes a binary one, likewise.
            on_pause: Is told when the transport's buffer is full (true), and when it has drained (false).
            on_more: Is told after a message behind which more follows that was read with it.

        Raises:
            RuntimeError: The connection is not accepted.
        """
        protocol = self._protocol
        if protocol is None:
            return
        if protocol.frames is None:
            raise RuntimeError("direct frames start once websocket.accept was sent")
        protocol.direct(on_text, on_bytes, on_pause, on_more)

    def hold(self, on_message: Callable[[str | bytes], None], on_pause: Callable[[bool], None]) -> None:
        """Read no more until `start` is called again; `on_message` takes what was read already."""
        if self._protocol is not None:
            self._protocol.hold(on_message, on_pause)

    @property
    def send(self) -> Callable[[str | bytes], None]:
        """Sends a message, a `str` as text and `bytes` as binary; on a connection that is closing does nothing.

        It may be kept, which spares looking it up for each message.
        """
        return _nowhere if self._protocol is None else self._protocol.frames.send

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close behind what was sent; a client that takes none of it is aborted in the end."""
        if self._protocol is not None:
            self._protocol.close(code, reason)

    def abort(self) -> None:
        """Close at once, without what waits."""
        if self._protocol is not None:
            self._protocol.abort()

    @property
    def waiting(self) -> int:
        """How many bytes wait in the transport's write buffer."""
        return self._protocol.transport.get_write_buffer_size() if self._protocol is not None else 0


def _nowhere(_message: str | bytes) -> None:
    """Send nothing: the connection is gone."""


class _Transport:
    """A transport that doesn't linger for ever, and takes several pieces in a copy."""

    __slots__ = ("_linger", "_loop", "_patience", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._patience = LINGER
        self._linger: asyncio.TimerHandle | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if (
            not self._transport.is_closing()
        ):  # asyncio has a line in the log for each write to one that is lost
            self._transport.write(data)

    def writelines(self, pieces: list[bytes]) -> None:
        self.write(b"".join(pieces))

    def close(self) -> None:
        self._transport.close()
        if self._linger is None:
            self._wait(self._transport.get_write_buffer_size())

    def _wait(self, left: int) -> None:
        self._linger = self._loop.call_later(self._patience, self._look, left)

    def _look(self, left_before: int) -> None:
        left = self._transport.get_write_buffer_size()
        if left < left_before:
            self._wait(left)
        else:
            self._transport.abort()

    def hurry(self) -> None:
        self._patience = HASTE
        if self._linger is not None:
            self._linger.cancel()
            self._wait(0)

    def gone(self) -> None:
        if self._linger is not None:
            self._linger.cancel()


class DirectProtocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol class for a WebSocket, with frames by picows."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.conn.available_extensions = None  # picows knows no compression
        self.close_timeout = LINGER
        self.queue: Any = Inbox()
        self.writable: Any = Gate()
        self.writable.set()
        self.frames: Any = None
        self._extension = Direct(self)
        self._early = b""

    # The opening handshake

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport from uvicorn's HTTP protocol."""
        super().connection_made(transport)
        self.transport: Any = _Transport(self.transport, self.loop)

    def handle_connect(self, event: Any) -> None:
        """Take the request, and offer the extension; the app runs no sooner than this returns."""
        super().handle_connect(event)
        if self.response.status_code == 101:  # noqa: PLR2004 - it is to be upgraded
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[EXTENSION] = self._extension

    def data_received(self, data: bytes) -> None:
        """Take the request; from `_upgrade` on the transport reads into the parser."""
        if not self.handshake_initiated:
            self._open(data)
        elif self.frames is not None:
            self.frames.feed(data)
        else:
            self._early += data  # no good client sends before it is accepted
            self.transport.pause_reading()

    def _open(self, data: bytes) -> None:
        plain = opening(data)
        if plain is None:
            super().data_received(data)
            if not self.handshake_initiated:  # websockets can't read it; uvicorn's class would say nothing
                refuse_websocket(self)
        else:
            request, response = plain
            self.conn.accept = lambda _: response
            self.handle_connect(request)

    async def send(self, message: Any) -> None:
        """Take a message from the app."""
        await super().send(message)
        if self.frames is None and message["type"] == "websocket.accept" and not self.transport.is_closing():
            self._upgrade()

    def _upgrade(self) -> None:
        self.frames = Frames(self, self.transport, self.config.ws_max_size)
        self.conn: Any = self.frames
        del self.request, self.response  # the rest of an idle connection is small
        self.transport.set_protocol(self.frames.parser)
        early, self._early = self._early, b""
        if early:
            self.transport.resume_reading()
            self.frames.feed(early)

    # While it is open

    def deliver(self, message: str | bytes) -> None:
        """Queue a message for the app, and read on when it has taken it, as uvicorn does."""
        if not self.close_sent:
            kind = "text" if isinstance(message, str) else "bytes"
            self.queue.put_nowait({"type": "websocket.receive", kind: message})
            if not self.read_paused:
                self.read_paused = True
                self.transport.pause_reading()

    def direct(self, on_text: Callable[[str], None], on_bytes: Callable[[bytes], None], *others: Any) -> None:
        """Hand over what is queued, and then each message as it comes."""
        for _ in range(self.queue.qsize()):
            event: Any = self.queue.get_nowait()
            if event["type"] != "websocket.receive":
                self.queue.put_nowait(event)
            elif event.get("text") is not None:
                on_text(event["text"])
            else:
                on_bytes(event["bytes"])
        self.frames.listen(on_text, on_bytes, *others)
        if self.read_paused and not self.transport.is_closing():
            self.read_paused = False
            self.transport.resume_reading()

    def hold(self, on_message: Callable[[str | bytes], None], on_pause: Callable[[bool], None]) -> None:
        """Read no more, and hand over what was read."""
        self.frames.listen(on_message, on_message, on_pause, None)
        if not self.read_paused and not self.transport.is_closing():
            self.read_paused = True
            self.transport.pause_reading()

    # The end

    def close(self, code: int, reason: str) -> None:
        """Do what uvicorn's class does for `websocket.close`, whether the transport takes it now or not."""
        if self.frames is None or self.frames.close_sent is not None or self.transport.is_closing():
            return
        self.frames.send_close(code, reason)
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.close_sent = True
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.close)

    def abort(self) -> None:
        """Close at once."""
        if self.frames is not None:
            self.frames.silence()
        self.transport.abort()

    def shutdown(self) -> None:
        """Close with 1012, or refuse: the server is about to end."""
        if not self.transport.is_closing():
            super().shutdown()
        self.transport.hurry()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note that the transport is gone."""
        super().connection_lost(exc)
        self.transport.gone()
        self._extension._protocol = None  # noqa: SLF001 - the two are one
        if self.frames is not None:
            self.frames.lost()
