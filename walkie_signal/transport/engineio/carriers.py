"""What carries the frames of a connection; `polling`, `websocket` and `direct` each have one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from walkie_signal.transport.engineio.outbox import Outbox
from walkie_signal.transport.engineio.states import Step
from walkie_signal.wire.frames import Frame


class Carrier(Protocol):
    """Moves the frames of a connection; `step` is how it becomes the carrier."""

    name: str
    step: Step

    def push(self, frame: Frame) -> None:
        """Send a frame, or put it into the outbox until it can be sent."""

    def push_all(self, frames: Sequence[Frame]) -> None:
        """Push frames that belong together."""

    def end(self, code: int, farewell: str | None) -> None:
        """Write what waits, and end: a WebSocket with `code`, a poll with the packet `farewell`.

        ``None`` stands for the packet after which the client comes back by itself.
        """

    @property
    def waiting(self) -> bool:
        """Whether something is still to be written."""

    def note_progress(self, now: float) -> None:
        """Let the outbox know if what waits elsewhere has moved since this was called last."""


class Connecting:
    """The carrier of a connection that is not accepted yet: everything that is sent waits."""

    name = "none"
    step = Step.POLL  # never taken: a connection begins with it
    waiting = False

    def __init__(self, outbox: Outbox) -> None:
        self.push = outbox.put

    def push_all(self, frames: Sequence[Frame]) -> None:
        """Let all of them wait."""
        for frame in frames:
            self.push(frame)

    def note_progress(self, now: float) -> None:
        """Do nothing: all that waits is in the outbox."""

    def end(self, code: int, farewell: str | None) -> None:
        """Do nothing: the code that accepts the connection sees that it is closed."""
