"""What waits for one connection to take it, in order and bounded."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

from walkie_signal.transport.packets import Frame

HARD_LIMIT = 4
"""Times the bounds at which a connection is closed at once: what is over them may be a burst, this is not."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may wait for a connection that takes nothing, and for how long.

    Attributes:
        bytes: Of frames that wait, 1 MiB unless set.
        messages: Frames that wait, 1,000 unless set.
        stall: Seconds without any progress, 10 unless set.
    """

    bytes: int
    messages: int
    stall: float


class Outbox:
    """A queue of frames that knows its size, and when last it moved."""

    __slots__ = ("_bounds", "_clock", "_frames", "_latest", "moved", "size")

    def __init__(self, bounds: Bounds, clock: Callable[[], float]) -> None:
        self._bounds = bounds
        self._clock = clock
        self._frames: list[Frame] = []  # a deque takes 700 bytes when it is empty, as it mostly is
        self._latest: dict[str, Frame] | None = None
        self.size = 0
        self.moved = 0.0

    def __len__(self) -> int:
        return len(self._frames)

    def put(self, frame: Frame) -> None:
        """Add a frame behind the others."""
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
        """Let `forget` find a frame by a key, if it is the last that waits."""
        if self._frames and self._frames[-1] is frame:
            self._latest = {**(self._latest or {}), key: frame}

    def forget(self, key: str) -> None:
        """Take out the frame of that key, if it still waits; it is outdated."""
        frame = self._latest.pop(key, None) if self._latest else None
        if frame is not None and frame in self._frames:
            self._frames.remove(frame)
            self.size -= memory_of(frame)

    def take_some(self, most: int | None = None) -> list[Frame]:
        """Take out what waits, or the first `most` of it."""
        return [self.take() for _ in range(min(len(self._frames), most or len(self._frames)))]

    def clear(self) -> None:
        """Forget whatever waits."""
        self._frames.clear()
        self._latest = None
        self.size = 0

    @property
    def over(self) -> bool:
        """Whether more waits than may wait for long; a single frame is as large as its sender made it."""
        count = len(self._frames)
        return count > 1 and (self.size > self._bounds.bytes or count > self._bounds.messages)

    @property
    def far_over(self) -> bool:
        """Whether more waits than may wait at all."""
        count = len(self._frames)
        bounds = self._bounds
        return count > 1 and (self.size > HARD_LIMIT * bounds.bytes or count > HARD_LIMIT * bounds.messages)

    def stalled(self, now: float) -> bool:
        """Whether nothing has moved for too long; asked only while something waits."""
        return now - self.moved >= self._bounds.stall


def memory_of(frame: Frame) -> int:
    """Return the bytes that a frame takes while it waits: one emoji makes each character of a text take four."""
    return len(frame) if isinstance(frame, bytes) or frame.isascii() else sys.getsizeof(frame)


def size_of(frame: Frame) -> int:
    """Return the bytes that a frame has on the wire."""
    if isinstance(frame, bytes) or frame.isascii():
        return len(frame)
    return len(frame.encode("utf-8", "surrogatepass"))
