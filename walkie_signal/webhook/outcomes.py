"""What follows from an answer, and when to try again."""

from __future__ import annotations

from enum import Enum, auto
from http import HTTPStatus

FIRST_PAUSE = 1.0
"""Seconds before the second try; it is twice as long after each further failure."""

LONGEST_PAUSE = 30.0
"""Seconds; a receiver that has started again hears of it within half a minute."""

BUSY = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
"""Answers of 400 to 499 that say nothing against the request itself."""


class Outcome(Enum):
    """What became of a request."""

    TAKEN = auto()
    AGAIN = auto()
    REFUSED = auto()


def outcome_of(status: int | None) -> Outcome:
    """Tell what became of a request; a redirect is not followed, and ``None`` stands for no answer."""
    if status is None or status in BUSY or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Outcome.AGAIN
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Outcome.TAKEN
    return Outcome.REFUSED


def pause_after(failures: int, chance: float, asked: float) -> float:
    """Return how long to wait after a failure, in seconds.

    Args:
        failures: How many requests have failed in a row, at least 1.
        chance: From 0 to 1, random: workers that fail together don't try again together.
        asked: Seconds that the receiver has asked for; 0 if it has not.
    """
    pause = FIRST_PAUSE
    for _ in range(failures - 1):
        pause = min(2 * pause, LONGEST_PAUSE)
        if pause == LONGEST_PAUSE:
            break
    return max(pause * (1 + chance) / 2, min(asked, LONGEST_PAUSE))
