"""The rules of RFC 6455 for the frames of a client that picows leaves to its listener.

picows itself refuses reserved opcodes, frames without a mask, fragmented or oversized control frames, lengths
not in their shortest form, and frames over the limit. It knows nothing about messages: which frame may follow
which, how long they are together, and whether a text is UTF-8. These rules are here, with no I/O.
"""

from __future__ import annotations

import codecs
from typing import Any

from websockets.exceptions import ProtocolError
from websockets.frames import Close, CloseCode

UTF8 = codecs.getincrementaldecoder("utf-8")


class FrameError(Exception):
    """A client broke the protocol.

    Attributes:
        code: The code that the connection is closed with (RFC 6455, 7.4.1).
        reason: The reason for the client and for the log.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class Fragments:
    """A message that comes in several frames.

    The bytes are kept in one piece, so a million fragments of one byte take no more memory than their bytes. A text
    that can't become UTF-8 any more is refused at the fragment that breaks it, not at the last one.
    """

    __slots__ = ("_data", "_limit", "_utf8", "is_text")

    def __init__(self, *, is_text: bool, limit: int) -> None:
        self.is_text = is_text
        self._limit = limit
        self._data = bytearray()
        self._utf8 = UTF8() if is_text else None

    def add(self, payload: bytes, *, final: bool) -> None:
        """Take the payload of the next frame.

        Raises:
            FrameError: The message is too long now, or it is not UTF-8.
        """
        if len(self._data) + len(payload) > self._limit:
            raise FrameError(CloseCode.MESSAGE_TOO_BIG, f"message over {self._limit} bytes")
        if self._utf8 is not None:
            try:
                self._utf8.decode(payload, final)
            except UnicodeDecodeError as error:
                raise not_utf8(error) from None
        self._data += payload

    def whole(self) -> str | bytes:
        """Return the message, after its last frame was added."""
        return self._data.decode() if self.is_text else bytes(self._data)


def not_utf8(error: UnicodeDecodeError) -> FrameError:
    """Return the error for a text that is not UTF-8 (RFC 6455, 8.1)."""
    return FrameError(CloseCode.INVALID_DATA, f"{error.reason} at position {error.start}")


def close_of(payload: bytes) -> Close:
    """Read the payload of a CLOSE frame (RFC 6455, 5.5.1).

    Raises:
        FrameError: It is one byte long, its code must not be sent, or its reason is not UTF-8.
    """
    try:
        return Close.parse(payload)
    except ProtocolError as error:
        raise FrameError(CloseCode.PROTOCOL_ERROR, str(error)) from None
    except UnicodeDecodeError as error:
        raise not_utf8(error) from None


def text_of(frame: Any) -> str:
    """Return the text of a picows frame.

    Raises:
        FrameError: It is not UTF-8.
    """
    try:
        text: str = frame.get_payload_as_utf8_text()
    except UnicodeDecodeError as error:
        raise not_utf8(error) from None
    return text
