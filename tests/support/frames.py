"""Frames of WebSocket (RFC 6455) as they stand on the wire, right or wrong."""

from __future__ import annotations

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FIN, MASKED = 0x80, 0x80

MASK = bytes((0x37, 0xFA, 0x21, 0x3D))  # the one of RFC 6455, 5.7
NO_MASK = bytes(4)
"""A mask that changes nothing, which is as good as another, and quicker."""


def frame(
    opcode: int, payload: bytes | str = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True
) -> bytes:
    """Return a frame."""
    data = payload.encode() if isinstance(payload, str) else payload
    return header(opcode, len(data), fin=fin, rsv=rsv, masked=masked) + (mask(data) if masked else data)


def header(opcode: int, size: int, *, fin: bool = True, rsv: int = 0, masked: bool = True) -> bytes:
    """Return what stands before a payload of that size."""
    return _header(fin << 7 | rsv << 4 | opcode, size, MASK if masked else b"")


def framed(head: int, payload: bytes, key: bytes = NO_MASK) -> bytes:
    """Return a frame by its first byte, and masked with any key."""
    return _header(head, len(payload), key) + (payload if key == NO_MASK else mask(payload, key))


def _header(first: int, size: int, key: bytes) -> bytes:
    masked = MASKED if key else 0
    if size < 126:
        return bytes((first, masked | size)) + key
    if size < 1 << 16:
        return bytes((first, masked | 126)) + size.to_bytes(2, "big") + key
    return bytes((first, masked | 127)) + size.to_bytes(8, "big") + key


def mask(data: bytes, key: bytes = MASK) -> bytes:
    """Return data under a mask; done twice, it is the data again."""
    repeated = (key * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(repeated, "big")).to_bytes(len(data), "big")


def close(code: int | None = None, reason: bytes | str = b"") -> bytes:
    """Return a CLOSE frame."""
    text = reason.encode() if isinstance(reason, str) else reason
    return frame(CLOSE, b"" if code is None else code.to_bytes(2, "big") + text)


def fragments(opcode: int, *payloads: bytes | str) -> bytes:
    """Return a message in as many frames."""
    last = len(payloads) - 1
    return b"".join(
        frame(CONT if index else opcode, payload, fin=index == last) for index, payload in enumerate(payloads)
    )
