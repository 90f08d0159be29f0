"""A WebSocket protocol class for uvicorn whose frames are picows', and the ASGI extension for direct frames.

    uvicorn app:app --ws walkie_signal.direct:DirectProtocol

The opening handshake, refusals, the ASGI states, pings, shutdown and the log are uvicorn's own: `DirectProtocol` is
uvicorn's class for websockets, but from `websocket.accept` on it uses `Frames` instead of websockets'
`ServerProtocol`. So it works for any app and any endpoint. It differs from uvicorn's class in these points:

- There is no permessage-deflate.
- A CLOSE between the fragments of a message is answered with a CLOSE, and is not a protocol error.
- A frame whose length is not in its shortest form is a protocol error (RFC 6455, 5.2).
- If a request passes uvicorn's HTTP parser but not websockets', it is answered 400, with one line in the log;
  uvicorn leaves it waiting. A line may have up to 64 KiB; websockets takes 8.
- A text that is not UTF-8 closes with 1007 at the fragment that breaks it, with one line in the log.
- If a closed connection takes nothing more of what is left, it is aborted after `CLOSE_TIMEOUT` seconds, or after
  `HASTE` when the server shuts down; uvicorn waits for ever.
- If a client doesn't read, or sends more at once than a turn allows, only the last of its PINGs is answered.

The extension, `scope["extensions"]["walkie_signal.direct"]`, is a `Direct`: callbacks take frames in, and plain
calls send them, with no task and no event in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import uvicorn
from uvicorn.config import Config
from uvicorn.server import ServerState

from walkie_signal.direct import closing
from walkie_signal.direct.bounds import refuse_websocket
from walkie_signal.direct.frames import Frames
from walkie_signal.direct.handshake import opening
from walkie_signal.direct.inbox import Gate, Inbox

if tuple(int(part) for part in uvicorn.__version__.split(".")[:2]) < (0, 52):
    raise ImportError(
        f"walkie_signal.direct.protocol works with uvicorn 0.52 and later, not with {uvicorn.__version__}; "
        "install one with: pip install 'walkie-signal[fast]'"
    )

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

EXTENSION = "walkie_signal.direct"
"""The name of the ASGI extension."""


class Direct:
    """The frames of one WebSocket, with nothing in between: the ASGI extension ``walkie_signal.direct``.

    It is offered from the start, and may be started once `websocket.accept` was sent. An app that uses it has to
    check that `carries(send)` holds for its `send`: if it doesn't, a middleware wants to see what is sent. Once
    it is started, `receive` only returns the disconnect.
    """

    __slots__ = ("_protocol",)

    def __init__(self, protocol: DirectProtocol) -> None:
        self._protocol: DirectProtocol | None = protocol

    def carries(self, send: Callable[..., Any]) -> bool:
        """Tell whether `send` is the server's own, so that no middleware is bypassed."""
        return self._protocol is not None and send == self._protocol.send

    def start(
        self,
        on_text: Callable[[str], None],
        on_bytes: Callable[[bytes], None],
        on_pause: Callable[[bool], None] | None = None,
        on_more: Callable[[], None] | None = None,
    ) -> None:
        """Give each message to the callbacks from now on; those that wait for `receive` come at once, in order.

        After `hold`, this reads on and uses the new callbacks.

        Args:
            on_text: Takes a text message. If it raises, that is logged, and the WebSocket is closed with 1011.
            on_bytes: Takes a binary message; the same holds for it.
            on_pause: Called with true when the transport's buffer is full, and with false when it has drained.
            on_more: Called after a message if more was read together with it.

        Raises:
            RuntimeError: The connection is not accepted yet.
        """
        protocol = self._protocol
        if protocol is None:
            return
        if protocol.frames is None:
            raise RuntimeError("direct frames start once websocket.accept was sent")
        protocol.direct(on_text, on_bytes, on_pause, on_more)

    def hold(self, on_message: Callable[[str | bytes], None], on_pause: Callable[[bool], None]) -> None:
        """Stop reading until `start` is called again; `on_message` takes what was read already."""
        if self._protocol is not None:
            self._protocol.hold(on_message, on_pause)

    @property
    def send(self) -> Callable[[str | bytes], None]:
        """Sends a message, a `str` as text and `bytes` as binary; if the connection is closing, it does nothing.

        Callers may keep it, so that they need not look it up for each message.
        """
        return _nowhere if self._protocol is None else self._protocol.frames.send

    @property
    def send_all(self) -> Callable[[Sequence[str | bytes]], None]:
        """Sends several messages, as `send` does, but with one call of the system."""
        return _nowhere if self._protocol is None else self._protocol.frames.send_all

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close after what was sent; if a client takes none of that, its connection is aborted after a while."""
        if self._protocol is not None:
            self._protocol.close(code, reason)

    def hang_up(self) -> None:
        """Close after what was sent, without a CLOSE: the client sees its TCP connection end."""
        if self._protocol is not None:
            self._protocol.hang_up()

    def abort(self) -> None:
        """Close at once, without what waits."""
        if self._protocol is not None:
            self._protocol.abort()

    @property
    def waiting(self) -> int:
        """How many bytes wait in the transport's write buffer."""
        return self._protocol.transport.get_write_buffer_size() if self._protocol is not None else 0


def _nowhere(_message: str | bytes | Sequence[str | bytes]) -> None:
    """Do nothing: the connection is gone."""


class DirectProtocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol class for WebSockets, with picows' frames."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.conn.available_extensions = None  # picows does not support compression
        self.close_timeout = closing.CLOSE_TIMEOUT
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
        self.transport: Any = closing.Transport(self.transport, self.loop)

    def handle_connect(self, event: Any) -> None:
        """Take the request, and offer the extension; the app only runs after this returns."""
        super().handle_connect(event)
        if self.response.status_code == 101:  # noqa: PLR2004 - it will be upgraded
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[EXTENSION] = self._extension

    def data_received(self, data: bytes) -> None:
        """Take the request; from `_upgrade` on, the transport reads into the parser instead."""
        if not self.handshake_initiated:
            self._open(data)
        elif self.frames is not None:
            self.frames.feed(data)
        else:
            self._early += data  # a well-behaved client sends nothing before it is accepted
            self.transport.pause_reading()

    def _open(self, data: bytes) -> None:
        plain = opening(data)
        if plain is None:
            super().data_received(data)
            if not self.handshake_initiated:  # websockets can't read it, and uvicorn's class would not answer
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
        del self.request, self.response  # they take most of the memory of an idle connection
        self.transport.set_protocol(self.frames.parser)
        early, self._early = self._early, b""
        if early:
            self.transport.resume_reading()
            self.frames.feed(early)

    # While it is open

    def deliver(self, message: str | bytes) -> None:
        """Queue a message for the app, and read on when the app has taken it, as uvicorn does."""
        if not self.close_sent:
            kind = "text" if isinstance(message, str) else "bytes"
            self.queue.put_nowait({"type": "websocket.receive", kind: message})
            if not self.read_paused:
                self.read_paused = True
                self.transport.pause_reading()

    def direct(self, on_text: Callable[[str], None], on_bytes: Callable[[bytes], None], *others: Any) -> None:
        """Give the queued messages to the callbacks, and then each message as it comes."""
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
        """Stop reading, and give what was read to `on_message`."""
        self.frames.hold(on_message, on_pause)
        if not self.read_paused and not self.transport.is_closing():
            self.read_paused = True
            self.transport.pause_reading()

    # The end

    def close(self, code: int, reason: str) -> None:
        """Do what uvicorn's class does for `websocket.close`, even if the transport's buffer is full."""
        if self.frames is None or self.frames.close_sent is not None or self.transport.is_closing():
            return
        self.frames.send_close(code, reason)
        self._await_end(code, reason)

    def hang_up(self) -> None:
        """End what is sent, after what waits in the transport's buffer.

        If the transport were closed at once, with something of the client's unread, the system might drop what was
        sent. TLS can't end one direction alone.
        """
        if self.frames is None or self.close_sent or self.transport.is_closing():
            return
        self.frames.silence()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()
        self._await_end(1006, "")

    def _await_end(self, code: int, reason: str) -> None:
        """Tell the app that this is the end, and give the client some time to close the transport."""
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.close_sent = True
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.close)

    def abort(self) -> None:
        """Close at once."""
        if self.frames is not None:
            self.frames.silence()
        self.transport.abort()

    def shutdown(self) -> None:
        """Close with 1012, or refuse the request, because the server is about to end."""
        if not self.transport.is_closing():
            super().shutdown()
        self.transport.hurry()

    def connection_lost(self, exc: Exception | None) -> None:
        """Record that the transport is gone."""
        super().connection_lost(exc)
        self.transport.gone()
        self._extension._protocol = None  # noqa: SLF001 - the two classes belong together
        if self.frames is not None:
            self.frames.lost()
