"""Messages as the bytes of frames from a server, which have no mask (RFC 6455, 5.2)."""

from __future__ import annotations

FINAL_TEXT, FINAL_BINARY = 0x81, 0x82
SHORT, MEDIUM = 125, 0xFFFF
"""Up to so many bytes, a length is written in the first form, or in the second."""


def framed(message: str | bytes) -> bytes:
    """Return a message in one frame."""
    first, payload = (FINAL_TEXT, message.encode()) if isinstance(message, str) else (FINAL_BINARY, message)
    size = len(payload)
    if size <= SHORT:
        return bytes((first, size)) + payload
    if size <= MEDIUM:
        return bytes((first, 126, size >> 8, size & 0xFF)) + payload
    return bytes((first, 127)) + size.to_bytes(8, "big") + payload
