"""The frames of one connection, by picows instead of websockets' `ServerProtocol`."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Sequence
from typing import Any

from websockets.exceptions import InvalidState
from websockets.frames import Close, CloseCode, Frame, Opcode

from walkie_signal.bounded_log import BoundedLog
from walkie_signal.direct import picows
from walkie_signal.direct.framing import framed
from walkie_signal.direct.owner import Owner
from walkie_signal.direct.rules import Fragments, FrameError, close_of, not_utf8, text_of

lines = BoundedLog(logging.getLogger("walkie_signal.transport"))

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
IS_TEXT = picows.WSMsgType.TEXT


class Frames(picows.WSListener):
    """The frames of one connection, with the methods of websockets' `ServerProtocol` that uvicorn's class calls.

    Attributes:
        parser: The asyncio protocol that takes what is read.
        close_sent: The CLOSE that was sent, after which nothing else is sent; ``None`` before.
        close_rcvd: The CLOSE that the client sent; ``None`` before.
    """

    __slots__ = (
        "_ended", "_fragments", "_held", "_large", "_limit", "_on_bytes", "_on_more", "_on_pause", "_on_text",
        "_owner", "_pong", "_transport", "_writer", "close_rcvd", "close_sent", "parser",
    )  # fmt: skip

    def __init__(self, owner: Owner, transport: Any, limit: int | None) -> None:
        self._owner = owner
        self._transport = transport
        self._limit = sys.maxsize if limit is None else limit
        self._writer = picows.new_writer(transport)
        self._fragments: Fragments | None = None
        self._large = self._ended = self._held = False
        self._pong: bytes | None = None
        self.close_sent: Close | None = None
        self.close_rcvd: Close | None = None
        self._on_text: Any = None
        self._on_bytes: Any = None
        self._on_pause: Any = None
        self._on_more: Any = None
        self.parser: Any = picows.new_parser(self, self._limit, self.refused)

    def feed(self, data: bytes) -> None:
        """Parse what was read before the transport knew the parser."""
        while data and not self._ended:
            data = picows.feed(self.parser, data)

    def silence(self) -> None:
        """Stop reading and writing, because the transport is being aborted."""
        self._end()
        self._writer = None

    def lost(self) -> None:
        """Let go of everything: the transport is closed, and its file descriptor may soon be reused."""
        self.silence()
        self.parser = None

    # In: what picows calls

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:  # noqa: ARG002 - picows' signature
        """Take a frame; if it is a whole text message, it goes the short way."""
        if (
            self._on_text is None
            or self._fragments is not None
            or frame.msg_type is not IS_TEXT
            or not frame.fin
            or frame.rsv1
            or frame.rsv2
            or frame.rsv3
        ):
            self._receive_frame(frame)
            size = frame.payload_size
        else:
            try:
                text = frame.get_payload_as_utf8_text()
            except UnicodeDecodeError as error:
                self._fail(not_utf8(error))
                return
            size = len(text)
            try:
                self._on_text(text)
            except Exception as error:  # noqa: BLE001 - the callback may raise anything
                self._fault(error)
        tail = frame.tail_size
        if tail or self._large or size > picows.LARGE:
            self._after(tail, size)

    def _after(self, tail: int, size: int) -> None:
        """Report that more of the same read follows; after the last of it, give a large buffer back."""
        if tail and self._on_more is not None:
            self._on_more()
        if self._large or tail > picows.LARGE or size > picows.LARGE:
            self._give_back(tail)

    def _give_back(self, tail: int) -> None:
        if self._ended or self.close_sent is not None:
            return
        if not tail:
            self._large = False
            self.parser = picows.new_parser(self, self._limit, self.refused)
            self._transport.set_protocol(self.parser)
        elif not self._large:
            # The buffer holds what follows the last whole frame, so it stays, but it must not grow any more
            self._large = True
            self._transport.set_protocol(picows.SmallReads(self.parser, picows.LARGE))

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:  # noqa: ARG002
        """Pass this on to the owner."""
        self._owner.connection_lost(None)

    def pause_writing(self) -> None:
        """Pass this on to the owner and the callback."""
        self._owner.pause_writing()
        if self._on_pause is not None:
            self._on_pause(True)  # noqa: FBT003 - a callback of one argument

    def resume_writing(self) -> None:
        """Pass this on to the owner and the callback, and send the PONG that waits."""
        self._owner.resume_writing()
        self._send_pong()
        if self._on_pause is not None:
            self._on_pause(False)  # noqa: FBT003

    def _send_pong(self) -> None:
        """Send the PONG that waits, if it may be sent now."""
        if self._pong is not None and not self._held and self._owner.writable.is_set():
            self._write(PONG, self._pong)
            self._pong = None

    def refused(self, close: bytes) -> None:
        """Take the parser's CLOSE after a violation; it is sent after the frame that the parser is delivering."""
        refusal = Close.parse(close)
        asyncio.get_running_loop().call_soon(self._fail, FrameError(refusal.code, refusal.reason))

    # In: what the frames mean

    def _receive_frame(self, frame: picows.WSFrame) -> None:
        if self._ended:
            return
        try:
            if frame.rsv1 or frame.rsv2 or frame.rsv3:
                raise FrameError(CloseCode.PROTOCOL_ERROR, "reserved bits must be 0")
            opcode = int(frame.msg_type)  # type: ignore[call-overload] # it is an IntEnum, but its stub is wrong
            if opcode >= CLOSE:
                self._control(opcode, frame.get_payload_as_bytes())
            elif self.close_sent is None:
                self._data(opcode, frame)
        except FrameError as error:
            self._fail(error)

    def _control(self, opcode: int, payload: bytes) -> None:
        if opcode == PING and self._owner.writable.is_set() and not self._held:
            self._write(PONG, payload)
        elif opcode == PING:
            self._pong = payload  # only the last PING has to be answered (RFC 6455, 5.5.3)
        elif opcode == PONG:
            self._owner.handle_pong(Frame(Opcode.PONG, payload))
        else:
            self.close_rcvd = close_of(payload)
            if self.close_sent is None:
                self._write(CLOSE, payload)
                self.close_sent = self.close_rcvd
            self._end()
            self._owner.handle_close(Frame(Opcode.CLOSE, payload))

    def _data(self, opcode: int, frame: picows.WSFrame) -> None:
        if (opcode in (TEXT, BINARY)) is (self._fragments is not None):
            expected = "expected" if self._fragments is not None else "unexpected"
            raise FrameError(CloseCode.PROTOCOL_ERROR, f"{expected} continuation frame")
        if self._fragments is None and frame.fin:
            self._deliver(text_of(frame) if opcode == TEXT else frame.get_payload_as_bytes())
            return
        if self._fragments is None:
            self._fragments = Fragments(is_text=opcode == TEXT, limit=self._limit)
        fragments = self._fragments
        fragments.add(frame.get_payload_as_bytes(), final=bool(frame.fin))
        if frame.fin:
            self._fragments = None
            self._deliver(fragments.whole())

    def _deliver(self, message: str | bytes) -> None:
        take = self._on_text if isinstance(message, str) else self._on_bytes
        if take is None:
            self._owner.deliver(message)
            return
        try:
            take(message)
        except Exception as error:  # noqa: BLE001 - the callback may raise anything
            self._fault(error)

    def _fault(self, error: Exception) -> None:
        line = "a fault in taking a message; the WebSocket is closed with 1011"
        lines.write(logging.ERROR, line, line, fault=error)
        if not self._ended:
            self.fail(CloseCode.INTERNAL_ERROR)
            self._owner.handle_parser_exception()

    def _fail(self, error: FrameError) -> None:
        if not self._ended:
            code = int(error.code)
            line = "WebSocket closed with %s: %s (from %s)"
            lines.write(logging.WARNING, f"closed with {code}", line, code, error.reason, self._owner.client)
            self.fail(error.code, error.reason)
            self._owner.handle_parser_exception()

    def _end(self) -> None:
        self._ended = True
        self._fragments = self._pong = None
        self._on_text = self._on_bytes = self._on_pause = self._on_more = None

    # Out: what uvicorn's class calls

    def send_text(self, data: bytes) -> None:
        """Send a text message.

        Raises:
            InvalidState: The connection is closing or closed.
        """
        self._open()
        self._write(TEXT, data)

    def send_binary(self, data: bytes) -> None:
        """Send a binary message; raises like `send_text`."""
        self._open()
        self._write(BINARY, data)

    def send_ping(self, data: bytes) -> None:
        """Send a PING; raises like `send_text`."""
        self._open()
        self._write(PING, data)

    def send_close(self, code: int, reason: str = "") -> None:
        """Send a CLOSE; raises like `send_text`, and like `Close.serialize` if the code must not be sent."""
        self._open()
        close = Close(code, reason)
        frame = Frame(Opcode.CLOSE, close.serialize())
        frame.check()
        self._write(CLOSE, frame.data)
        self.close_sent = close
        self._on_text = self._on_bytes = self._on_pause = self._on_more = None
        # Only a CLOSE counts now, so what else comes may take its time
        self._transport.set_protocol(picows.SlowReads(self.parser, picows.SMALL, self._transport))

    def fail(self, code: int, reason: str = "") -> None:
        """Send a CLOSE unless one was sent, and take nothing more; the caller has to close the transport."""
        if self.close_sent is None and self._writer is not None:
            self.send_close(code, reason)
        self._end()

    def data_to_send(self) -> tuple[bytes, ...]:
        """Return nothing, because everything is sent already."""
        return ()

    def _open(self) -> None:
        if self.close_sent is not None or self._writer is None:
            raise InvalidState("the connection is closing")

    def _write(self, opcode: int, payload: Any) -> None:
        if self._writer is not None:
            self._writer.send(opcode, payload)

    # Direct frames: once the connection is closing, these methods do nothing

    def listen(self, on_text: Any, on_bytes: Any, on_pause: Any, on_more: Any) -> None:
        """Give each message to these callbacks instead of the owner."""
        if self.close_sent is None and not self._ended:
            self._on_text, self._on_bytes = on_text, on_bytes
            self._on_pause, self._on_more = on_pause, on_more
            self._held = False
            self._send_pong()

    def hold(self, on_message: Any, on_pause: Any) -> None:
        """Give what was read to `on_message`; the next `listen` answers the last PING in it, and no other."""
        self.listen(on_message, on_message, on_pause, None)
        self._held = True
        if not self._large and not self._ended:
            self._transport.set_protocol(picows.SmallReads(self.parser, picows.SMALL))

    def send(self, message: str | bytes) -> None:
        """Send a message in one frame."""
        if self.close_sent is None and self._writer is not None:
            self._writer.send(TEXT if isinstance(message, str) else BINARY, message)

    def send_all(self, messages: Sequence[str | bytes]) -> None:
        """Send messages with one call of the system."""
        if self.close_sent is None and self._writer is not None:
            self._transport.write(b"".join(map(framed, messages)))
