"""Frames on a Unix socket: four bytes of length, and a JSON list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from walkie_signal.wire.json import dumps, loads

LENGTH = 4
"""Bytes of the length of a frame."""

MOST_BYTES = 32 * 1024 * 1024
"""The most that a frame may have. The longest ones hold a room: with 10,000 members it has some 2 MB."""


class BrokenFrameError(Exception):
    """What comes is no frame of ours."""


def pack(*parts: Any) -> bytes:
    """Write a frame."""
    data = dumps(list(parts)).encode()
    return len(data).to_bytes(LENGTH, "big") + data


class Frames:
    """Reads frames from the bytes of one connection."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[list[Any]]:
        """Yield the frames that are complete now.

        Raises:
            BrokenFrameError: What comes is too long, or is no JSON list with something in it.
        """
        self._data += data
        begin = 0
        try:
            while (start := begin + LENGTH) <= len(self._data):
                length = int.from_bytes(self._data[begin:start], "big")
                if length > MOST_BYTES:
                    raise BrokenFrameError(f"a frame of {length} bytes")
                if start + length > len(self._data):
                    return
                begin = start + length
                yield _read(self._data[start:begin])
        finally:
            del self._data[:begin]


def _read(data: bytearray) -> list[Any]:
    try:
        frame = loads(data.decode())
    except ValueError:
        frame = None
    if not isinstance(frame, list) or not frame:
        raise BrokenFrameError("a frame that is no list")
    return frame
