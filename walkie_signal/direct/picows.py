"""picows' parser and writer, without the rest of picows. Only this module knows how picows is built.

It relies on parts of picows that are not public: `WSProtocol` (the parser) and the constructor of `WSTransport`
(the writer). It works around the following in picows 2.3:

- picows has its own opening handshake. uvicorn has checked the real one, so the parser gets a plain one, and its
  answer goes nowhere.
- It sets TCP options, which fail on a Unix socket, and which asyncio and uvloop have set already.
- It parses one frame ahead, and if that frame is wrong, it closes before it delivers the frame before. So the
  parser writes to `_Nobody`, which takes its CLOSE as a violation to be acted upon later.
- Its writer passes frames over 8 KiB to `writelines` as a view of a buffer that it then uses again, so the given
  transport has to copy them.
- Its read buffer doubles with each read that fills it, up to what the kernel holds, and never shrinks. After a
  large read, it needs a new parser, and until then we have to read less than the buffer offers.
- It leaves UTF-8, reserved bits, the order of fragments and some close codes to its listener.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, ClassVar, cast

try:
    import picows
    from picows import (
        WSAutoPingStrategy,
        WSFrame,
        WSListener,
        WSMsgType,
        WSTransport,
        WSUpgradeResponse,
        WSUpgradeResponseWithListener,
    )
    from picows.picows import WSProtocol  # type: ignore[attr-defined]
except ImportError as error:
    raise ImportError(
        "walkie_signal.direct.protocol needs picows; install it with: pip install 'walkie-signal[fast]'"
    ) from error

if not picows.__version__.startswith("2.3."):  # type: ignore[attr-defined]
    raise ImportError(
        f"walkie_signal.direct.protocol works with picows 2.3, not with {picows.__version__}; "  # type: ignore[attr-defined]
        "install it with: pip install 'walkie-signal[fast]'"
    )

__all__ = [
    "LARGE",
    "SMALL",
    "SlowReads",
    "SmallReads",
    "WSFrame",
    "WSListener",
    "WSMsgType",
    "WSTransport",
    "feed",
    "new_parser",
    "new_writer",
]

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
"""The opening handshake that the parser gets."""

LARGE = 1 << 16
"""If one read has more bytes than this, the parser's buffer is given back when they are dealt with."""

SMALL = 1 << 14
"""Most bytes of a read from a client that has sent more at once than a turn allows: at most 2,700 frames, which
take some ms to parse."""

CLOSE = 0x88
"""The first byte of a CLOSE frame."""


class _Log:
    """picows' log; only our own faults are kept, because picows logs a line for each connection, and more."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: ARG002, N802 - the name in `logging`
        return False

    def debug(self, *_: Any) -> None: ...

    info = warning = error = log = debug

    def exception(self, text: str, *arguments: Any) -> None:
        logging.getLogger("walkie_signal.transport").error(text, *arguments, exc_info=sys.exc_info())


class _Answer:
    """The answer to the handshake; all parsers share one, because it goes nowhere."""

    status = HTTPStatus.SWITCHING_PROTOCOLS
    headers: ClassVar[dict[str, str]] = {}

    def to_bytes(self) -> bytearray:
        return bytearray(b"HTTP")


_log = _Log()
_answer = _Answer()


class _Nobody:
    """A parser's transport and socket: bytes always seem to wait in it, so everything goes to `write`."""

    __slots__ = ("_refuse",)

    def __init__(self, refuse: Callable[[bytes], None]) -> None:
        self._refuse = refuse

    def get_extra_info(self, name: str) -> Any:
        return self if name == "socket" else None

    def fileno(self) -> int:
        return -1

    def setsockopt(self, *_: Any) -> None: ...

    def getsockopt(self, *_: Any) -> int:
        return 0

    def get_write_buffer_size(self) -> int:
        return 1

    def write(self, data: bytes | bytearray) -> None:
        if data[0] == CLOSE:  # otherwise it is `_Answer`
            self._refuse(bytes(data[2:]))

    def close(self) -> None: ...


def new_parser(listener: WSListener, limit: int, refuse: Callable[[bytes], None]) -> Any:
    """Return an asyncio protocol that parses frames for `listener`.

    Args:
        listener: Gets each valid frame, and the calls of asyncio to a protocol.
        limit: Most bytes of a frame's payload.
        refuse: Takes the payload of the CLOSE after a violation; the frame before it is delivered later.
    """
    accepted = WSUpgradeResponseWithListener(cast("WSUpgradeResponse", _answer), listener)
    parser = WSProtocol(
        host_port=None,
        ws_path=None,
        is_client_side=False,
        ws_listener_factory=lambda _: accepted,
        logger=_log,
        disconnect_on_exception=True,
        websocket_handshake_timeout=None,
        enable_auto_ping=False,
        auto_ping_idle_timeout=0,
        auto_ping_reply_timeout=0,
        auto_ping_strategy=WSAutoPingStrategy.PING_PERIODICALLY,
        enable_auto_pong=False,
        max_frame_size=limit,
        extra_headers=None,
        read_buffer_init_size=0,
    )
    parser.connection_made(_Nobody(refuse))
    feed(parser, HANDSHAKE)
    parser.transport.request.headers = _Answer.headers  # nobody reads its own headers, which take half a KiB
    return parser


class SmallReads(asyncio.BufferedProtocol):
    """A protocol in front of a parser, with which a transport reads at most `most` bytes at once."""

    passed_on: ClassVar[tuple[str, ...]] = (
        "buffer_updated",
        "eof_received",
        "connection_lost",
        "pause_writing",
        "resume_writing",
    )

    def __init__(self, parser: Any, most: int) -> None:
        self._parser = parser
        self._most = most
        for name in self.passed_on:
            setattr(self, name, getattr(parser, name))

    def get_buffer(self, sizehint: int) -> Any:
        """Return the buffer to read into."""
        return self._parser.get_buffer(sizehint)[: self._most]


class SlowReads(SmallReads):
    """A protocol with which a transport reads at most `most` bytes in a turn; libuv reads up to 32 times in one."""

    passed_on: ClassVar[tuple[str, ...]] = SmallReads.passed_on[1:]

    def __init__(self, parser: Any, most: int, transport: Any) -> None:
        super().__init__(parser, most)
        self._transport = transport

    def buffer_updated(self, nbytes: int) -> None:
        """Parse what was read, and read on in the next turn."""
        self._transport.pause_reading()
        asyncio.get_running_loop().call_soon(self._read_on)
        self._parser.buffer_updated(nbytes)

    def _read_on(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()


def feed(parser: Any, data: bytes) -> bytes:
    """Give the parser what was read before the transport knew it; returns what does not fit in yet."""
    buffer = parser.get_buffer(-1)
    size = min(len(buffer), len(data))
    buffer[:size] = data[:size]
    parser.buffer_updated(size)
    return data[size:]


def new_writer(transport: Any) -> Any:
    """Return a writer of frames; its `send(opcode, payload)` writes to the socket itself while that takes them.

    It bypasses `transport` by using the file descriptor, so nothing may be sent once the transport is closed.
    """
    writer: Any = WSTransport
    return writer(False, transport, _log, asyncio.get_running_loop())  # noqa: FBT003 - no keywords
