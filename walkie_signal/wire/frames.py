"""Engine.IO 4 packets as text: pure functions, strict in what they read.

If a conforming client can't have sent a text, reading it raises `ProtocolViolation`, whose text quotes nothing of
what was sent.

Source: https://socket.io/docs/v4/engine-io-protocol/.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any

from walkie_signal.errors import ProtocolViolation
from walkie_signal.wire.json import dumps, loads

Frame = str | bytes
"""An encoded Engine.IO packet: text that begins with the digit of its type, or the bytes of a binary message."""

# Engine.IO packet types
OPEN, CLOSE, PING, PONG, MESSAGE, UPGRADE, NOOP = "0123456"

SEPARATOR = "\x1e"
"""Separates the packets of a long-polling payload."""


def read_payload(body: bytes) -> Iterator[Frame]:
    """Split the body of a long-polling POST into its frames; each is decoded when it is asked for.

    Only the size of the body bounds their number: python-engineio refuses more than 16, but a burst of ICE
    candidates has more.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise ProtocolViolation("a body that is not UTF-8") from None
    for part in text.split(SEPARATOR):
        yield _from_base64(part[1:]) if part[:1] == "b" else part


def write_payload(frames: list[Frame]) -> bytes:
    """Join frames into the body of an answer to a poll."""
    return SEPARATOR.join(
        frame if isinstance(frame, str) else "b" + base64.b64encode(frame).decode() for frame in frames
    ).encode()


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ProtocolViolation("a binary packet that is not base64") from None


def write_message(data: Any) -> Frame:
    """Encode a message as python-engineio does."""
    if isinstance(data, (bytes, bytearray)):
        return bytes(data)
    if isinstance(data, str):
        return MESSAGE + data
    if isinstance(data, (dict, list)):
        return MESSAGE + dumps(data)
    return MESSAGE + ("" if data is None else str(data))


def read_message(text: str) -> Any:
    """Decode a message as python-engineio does: as JSON, unless it begins with a digit or is not JSON."""
    if text[:1].isnumeric():
        return text
    try:
        return loads(text)
    except ValueError:
        return text
