"""Bounds events that strangers can cause any number of: some of each sort are told, the rest are counted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class _Window:
    ends: float
    told: int = 1
    left_out: int = 0


class Windows:
    """Allows `most` events of a sort in `window` seconds; a window begins with its first event.

    A sort is a word of ours, never one that a stranger chose, so the number of sorts is bounded.
    """

    def __init__(self, most: int, window: float) -> None:
        self._most = most
        self._window = window
        self._windows: dict[str, _Window] = {}

    def admit(self, sort: str, now: float) -> int | None:
        """Return how many of the sort were left out before this one; ``None`` leaves this one out as well."""
        window = self._windows.get(sort)
        if window is None or now >= window.ends:
            self._windows[sort] = _Window(now + self._window)
            return window.left_out if window is not None else 0
        if window.told < self._most:
            window.told += 1
            return 0
        window.left_out += 1
        return None
