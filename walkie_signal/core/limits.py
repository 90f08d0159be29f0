"""How much of something one may do: an allowance that is spent, and comes back at a rate.

An allowance is one number, the time at which it is whole again. So it takes no timer, and as long as nobody spends
anything, it costs nothing. (It is the generic cell rate algorithm of ATM: ITU-T I.371.)

There is one rule for this file: what is spent may cost more than what is left, and the next one waits for longer.
So a single costly thing is always possible, and on average the rate holds.
"""

from __future__ import annotations

from math import ceil, inf

FORGET_AT = 1024
"""Number of allowances at which those that are whole again are looked for, the first time."""


class Limit:
    """A limit on what one may do. Times are seconds of any one clock that only goes forward.

    Args:
        name: The setting that it comes from.
        rate: How much comes back a second; 0 if there is no limit.
        burst: How much may be spent at once after a quiet time.

    Attributes:
        each: Seconds that it takes until one has come back.
        slack: An allowance with one left is whole again in this time; in more, if less is left.
    """

    __slots__ = ("each", "name", "slack")

    def __init__(self, name: str, rate: float, burst: float) -> None:
        self.name = name
        self.each = 1 / rate if rate else 0.0
        self.slack = (burst - 1) / rate if rate else inf

    def wait(self, whole_at: float, now: float) -> float:
        """Return in how many seconds one is left; 0 if that is so now."""
        return max(0.0, whole_at - now - self.slack)

    def spent(self, whole_at: float, amount: float, now: float) -> float:
        """Return when the allowance is whole again after an amount more was spent."""
        return (max(now, whole_at)) + amount * self.each


class Allowances:
    """The allowances of one limit, each known by a key; what is whole again is forgotten.

    Args:
        limit: The limit.
        most: How many are kept at most; then the oldest is forgotten, as if it were whole.
    """

    __slots__ = ("_forget_at", "_limit", "_most", "_whole_at")

    def __init__(self, limit: Limit, most: int = 65_536) -> None:
        self._limit = limit
        self._most = most
        self._whole_at: dict[str, float] = {}
        self._forget_at = FORGET_AT

    def __len__(self) -> int:
        return len(self._whole_at)

    def wait(self, key: str, now: float) -> float:
        """Return in how many seconds there is one left for that key; 0 if there is one now."""
        return self._limit.wait(self._whole_at.get(key, now), now)

    def spend(self, key: str, amount: float, now: float) -> None:
        """Record that an amount was spent, also if less was left."""
        self._whole_at[key] = self._limit.spent(self._whole_at.pop(key, now), amount, now)
        if len(self._whole_at) > self._forget_at:
            self._forget(now)

    def _forget(self, now: float) -> None:
        kept = {key: whole_at for key, whole_at in self._whole_at.items() if whole_at > now}
        for key in list(kept)[: max(0, len(kept) - self._most)]:
            del kept[key]
        self._whole_at = kept
        self._forget_at = max(FORGET_AT, 2 * len(kept))


def milliseconds(wait: float) -> int:
    """Return a wait in whole milliseconds, as ``retryAfterMs`` has it; after them it is over."""
    return ceil(wait * 1000)
