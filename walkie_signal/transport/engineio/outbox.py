"""The frames that wait until one connection takes them, in order and bounded."""

from __future__ import annotations

import sys
from collections.abc import Callable

from walkie_signal.settings.transport import TransportSettings
from walkie_signal.wire.frames import Frame

HARD_LIMIT = 4
"""How many times the bounds close a connection at once: a burst may be over the bounds, but not over this."""


class Outbox:
    """A queue of frames that knows its size, and the time when it last moved."""

    __slots__ = ("_clock", "_frames", "_latest", "_settings", "moved", "size")

    def __init__(self, settings: TransportSettings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._frames: list[Frame] = []  # a deque takes 700 bytes even if it is empty, as it mostly is
        self._latest: dict[str, Frame] | None = None
        self.size = 0
        self.moved = 0.0

    def __len__(self) -> int:
        return len(self._frames)

    def put(self, frame: Frame) -> None:
        """Add a frame after the others."""
        if not self._frames:
            self.moved = self._clock()
        self._frames.append(frame)
        self.size += memory_of(frame)

    def take(self) -> Frame:
        """Take the first frame out; there must be one."""
        frame = self._frames.pop(0)
        self.size -= memory_of(frame)
        self.moved = self._clock()
        if not self._frames:
            self._latest = None
        return frame

    def name_last(self, key: str, frame: Frame) -> None:
        """Let `forget` find a frame by a key, if it is the last one that waits."""
        if self._frames and self._frames[-1] is frame:
            self._latest = {**(self._latest or {}), key: frame}

    def forget(self, key: str) -> None:
        """Take out the frame of that key if it still waits, because it is outdated."""
        frame = self._latest.pop(key, None) if self._latest else None
        if frame is not None and frame in self._frames:
            self._frames.remove(frame)
            self.size -= memory_of(frame)

    def take_some(self, most: int | None = None) -> list[Frame]:
        """Take out all frames, or the first `most` of them."""
        return [self.take() for _ in range(min(len(self._frames), most or len(self._frames)))]

    def clear(self) -> None:
        """Drop all frames."""
        self._frames.clear()
        self._latest = None
        self.size = 0

    @property
    def over(self) -> bool:
        """Whether more waits than may wait for long; a single frame may have any size."""
        count = len(self._frames)
        settings = self._settings
        return count > 1 and (self.size > settings.outbox_bytes or count > settings.outbox_messages)

    @property
    def far_over(self) -> bool:
        """Whether more waits than may wait at all."""
        count = len(self._frames)
        most = HARD_LIMIT * self._settings.outbox_messages
        return count > 1 and (self.size > HARD_LIMIT * self._settings.outbox_bytes or count > most)


def memory_of(frame: Frame) -> int:
    """Return the bytes of memory that a frame takes: if a text has one emoji, each of its characters takes four."""
    return len(frame) if isinstance(frame, bytes) or frame.isascii() else sys.getsizeof(frame)


def size_of(frame: Frame) -> int:
    """Return the bytes that a frame has on the wire."""
    if isinstance(frame, bytes) or frame.isascii():
        return len(frame)
    return len(frame.encode("utf-8", "surrogatepass"))
