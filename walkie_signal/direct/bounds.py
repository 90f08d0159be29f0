"""Bounds the head of a request in bytes and in time, for both of uvicorn's HTTP protocol classes.

A head is counted before uvicorn's class gets it, in pieces that end where a head ends.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from walkie_signal.direct.draining import Draining

HEAD_BYTES = 1 << 16
"""Most bytes of a request's line and headers. nginx takes 32 KiB (4 lines of 8), Node 16 KiB, h11 16 KiB, Go 1 MiB;
some proxies and single sign-ons make cookies and tokens of more than 16 KiB."""

HEAD_LINES = 256
"""Most lines of a head: Apache takes 100 headers, websockets 128, nginx 1,000, Node 2,000."""

HEAD_TIMEOUT = 10.0
"""Seconds that a head may take: nginx and Node allow 60, Apache 20; uvicorn and h11 have no bound. A head is a
packet or two, which take some seconds on a bad mobile network."""

BODY_PIECE = 1 << 14
"""Bytes of a body that are parsed at once; this much of the next request may be read before its turn."""

INVALID = "Invalid HTTP request received."
END = b"\r\n\r\n"
NOTHING = b"Connection: close\r\nContent-Length: 0\r\n\r\n"
BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\n" + NOTHING
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\n" + NOTHING


class Bounded(Draining):
    """The bounds; one of uvicorn's classes is to follow it among the bases.

    Attributes:
        head_timeout: See `HEAD_TIMEOUT`; a subclass may set another.
    """

    head_timeout: ClassVar[float] = HEAD_TIMEOUT

    flow: Any
    cycle: Any
    scope: Any
    client: Any
    logger: Any

    # Most connections never change these values, so they belong to the class and take no memory in each connection
    _read = 0  # bytes since the last progress: of a head, of trailers, of blank lines
    _lines = 0
    _body = 0  # bytes of a body in the piece that is being parsed
    _rest = b""  # what came before its turn
    _upgrade_later = False  # whether the request behind the one that is being answered is for a WebSocket
    _over = False  # whether nothing is read any more: it is a WebSocket now, or it was refused
    _deadline: asyncio.TimerHandle | None = None

    # Which part of a request is on its way

    def _in_body(self) -> bool:
        raise NotImplementedError

    def _in_new_head(self, scope: Any) -> bool:
        """Tell whether a new head has begun since the scope was `scope`."""
        raise NotImplementedError

    def _is_answering(self) -> bool:
        """Tell whether a whole request has come and its answer is not complete."""
        cycle = self.cycle
        return cycle is not None and not cycle.response_complete and not self._in_body()

    # The life of a connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first head."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(self.head_timeout, transport.abort)  # type: ignore[attr-defined]

    def connection_lost(self, exc: Exception | None) -> None:
        """Record that the transport is gone."""
        super().connection_lost(exc)
        self._over = True
        self._rest = b""
        self._no_deadline()

    def _no_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def data_received(self, data: bytes) -> None:
        """Parse what came, or refuse it."""
        cycle = self.cycle
        if (
            (cycle is None or cycle.response_complete)
            and not self._read
            and data.find(END) == len(data) - len(END)  # otherwise there are several heads
            and len(data) <= HEAD_BYTES
            and data.count(b"\n") <= HEAD_LINES
        ):
            super().data_received(data)  # a head in one piece, as nearly always
        else:
            self._parse(self._rest + data)
        if self._over:
            return
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            self._no_deadline()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.head_timeout, self.transport.abort)

    def _parse(self, data: bytes) -> None:
        self._rest = b""
        start = 0
        while start < len(data) and not self._over and not self.transport.is_closing():
            if self._is_answering():
                self._rest = data[start:]
                if len(self._rest) >= HEAD_BYTES:
                    self.flow.pause_reading()
                return
            end = self._end_of_piece(data, start)
            if end == start or self._lines > HEAD_LINES:
                self._refuse()
                return
            self._parse_piece(data[start:end])
            start = end

    def _end_of_piece(self, data: bytes, start: int) -> int:
        """Return where to stop parsing: at the latest at the end of a head, so that the next is counted afresh."""
        room = HEAD_BYTES - self._read
        if self._in_body():
            return min(len(data), start + min(room, BODY_PIECE))
        found = data.find(END, start, start + room)
        end = min(len(data), start + room) if found < 0 else found + len(END)
        self._lines += data.count(b"\n", start, end)
        return end

    def _parse_piece(self, piece: bytes) -> None:
        cycle, scope, in_body = self.cycle, self.scope, self._in_body()
        self._body = 0
        super().data_received(piece)
        if self._in_new_head(scope):
            self._read = len(piece) - self._body
        elif self.cycle is not cycle or self._body or self._in_body() is not in_body:
            self._read = self._lines = 0
        else:
            self._read += len(piece)

    def _refuse(self) -> None:
        self._over = True
        self.logger.warning(
            "Request refused, its head is over %d bytes or %d lines; from %s",
            HEAD_BYTES,
            HEAD_LINES,
            (self.client or ("a Unix socket",))[0],
        )
        if self._may_answer():
            self.transport.write(TOO_LARGE)
        self._break_off()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, and prevent another answer: uvicorn would send two to one request."""
        self._over = True
        if self._may_answer():
            super().send_400_response(msg)
        self._break_off()

    def _may_answer(self) -> bool:
        """Tell whether the current request has had no part of an answer yet."""
        return not (self._in_body() and self.cycle.response_started)

    def end(self) -> None:
        """Cancel the deadline, and close."""
        self._no_deadline()
        super().end()

    def _break_off(self) -> None:
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        self.end()

    def on_response_complete(self) -> None:
        """Go on with the requests that came meanwhile."""
        super().on_response_complete()
        if self.transport.is_closing():
            self.end()
        elif self._upgrade_later:
            self.handle_websocket_upgrade()
        elif self._rest:
            self.data_received(b"")

    def handle_websocket_upgrade(self, *event: Any) -> None:
        """Leave the transport to a WebSocket protocol, and keep nothing of the request."""
        self._over = True
        self._no_deadline()
        self._unset_keepalive_if_required()
        super().handle_websocket_upgrade(*event)
        protocol: Any = self.transport.get_protocol()
        if not getattr(protocol, "handshake_initiated", True) and not self.transport.is_closing():
            refuse_websocket(protocol)


def refuse_websocket(protocol: Any) -> None:
    """Answer a request for a WebSocket that websockets could not read."""
    sender = (protocol.client or ("a Unix socket",))[0]
    protocol.logger.warning("Request for a WebSocket refused, websockets can't read it; from %s", sender)
    protocol.transport.write(BAD_REQUEST)
    protocol.transport.close()
