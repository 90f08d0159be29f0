"""The signals of a peer that has not joined a room yet: they wait for its first join.

As soon as a stock client is connected, it sends what it saved while it was offline. Its `connect` handler, which
joins, only runs after that.

    nothing waits ──add──▶ waiting ──stop (a join begins)──▶ stopped ──take_all (it succeeded)▶ carried out
                             │  ▲                              │
                             │  └───────go_on (it failed)──────┘
                             └──expire──▶ refused

There is one rule for this file: the signals that wait are bounded in age, number and size, whatever the peer does.
"""

from __future__ import annotations

from typing import NamedTuple

WAIT = 2.0
"""Seconds that a signal waits. A stock client joins in the same tick, and a host's own look-ups take less."""

MOST = 64
"""How many signals of a peer may wait: enough for the offers and candidates of a few calls. Stock clients save any
number."""

MOST_BYTES = 256 * 1024
"""How many bytes they may add up to: four of the largest events, or some 40 session descriptions."""


class EarlySignal(NamedTuple):
    """A signal that waits, kept as text: once parsed, it would take many times as much memory.

    Attributes:
        target_id: The peer that it is for.
        text: The frame for the target.
        ack_id: ``None`` if its sender asked for no ack.
    """

    target_id: str
    text: str
    ack_id: int | None

    @property
    def size(self) -> int:
        """How many bytes the frame has."""
        return len(self.text) if self.text.isascii() else len(self.text.encode())


class EarlySignals:
    """The waiting signals of one peer. Times are seconds of any one clock that only goes forward."""

    __slots__ = ("_size", "_stood_still", "_stopped_at", "_waiting")

    def __init__(self) -> None:
        self._waiting: list[tuple[float, EarlySignal]] = []
        self._size = 0
        self._stopped_at: float | None = None
        self._stood_still = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, signal: EarlySignal, now: float) -> bool:
        """Let a signal wait; returns false if it would exceed a bound."""
        size = signal.size
        if len(self._waiting) >= MOST or self._size + size > MOST_BYTES:
            return False
        self._size += size
        self._waiting.append((self._elapsed(now), signal))
        return True

    def stop(self, now: float) -> None:
        """Stop the clock: a join has begun."""
        self._stopped_at = now

    def go_on(self, now: float) -> None:
        """Start the clock again: the join has failed."""
        self._stood_still = now - self._elapsed(now)
        self._stopped_at = None

    def wait(self, now: float) -> float | None:
        """Return in how many seconds the first one expires; ``None`` if none does."""
        if self._stopped_at is not None or not self._waiting:
            return None
        return max(0.0, self._waiting[0][0] + WAIT - self._elapsed(now))

    def expire(self, now: float) -> list[EarlySignal]:
        """Take out those that have waited too long."""
        latest = self._elapsed(now) - WAIT
        count = sum(added <= latest for added, _ in self._waiting)
        return self._take_first(count)

    def take_all(self) -> list[EarlySignal]:
        """Take out all of them, in the order in which they came."""
        return self._take_first(len(self._waiting))

    def _take_first(self, count: int) -> list[EarlySignal]:
        taken = [signal for _, signal in self._waiting[:count]]
        del self._waiting[:count]
        self._size -= sum(signal.size for signal in taken)
        return taken

    def _elapsed(self, now: float) -> float:
        """Return what the clock shows: the time while it was not stopped."""
        return (now if self._stopped_at is None else self._stopped_at) - self._stood_still
