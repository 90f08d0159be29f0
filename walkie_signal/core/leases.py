"""When a node counts as dead: it has been silent for a lease, by the clock of the node that watches it.

Expiry in the store does not decide this: if the store stood still for longer than an expiry, living nodes would
count as dead. The watcher only counts the time in which its own beats went through, because a living node could
have renewed its lease then. Times are in seconds: `sent` and `answered` by the watcher's monotonic clock, the
others by the store's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

LONGEST_GAP = 3.0
"""If there are more seconds between two beats, the watcher can't tell what happened in between."""

CLOCK_TOLERANCE = 1.0
"""Seconds by which the store's clock and the watcher's may differ from beat to beat."""


class _Beat(NamedTuple):
    sent: float
    answered: float
    store_time: float


class _Silence(NamedTuple):
    renewed: float
    since: float


class Watch:
    """Judges silent nodes."""

    def __init__(self, lease: float) -> None:
        self._lease = lease
        self._last: _Beat | None = None
        self._steady_since = 0.0
        self._silent: dict[str, _Silence] = {}

    def beat(self, sent: float, answered: float, store_time: float, silent: Mapping[str, float]) -> list[str]:
        """Record the answer to a beat; returns the nodes that are dead by now.

        Args:
            sent: When the beat was sent.
            answered: When its answer came.
            store_time: The store's time in that answer.
            silent: The nodes that have not renewed lately, each with the store's time of its last renewal.
        """
        beat = _Beat(sent, answered, store_time)
        if not self._is_steady(beat):
            self._steady_since = sent
            self._silent.clear()
        self._last = beat
        judged = {}
        for node, renewed in silent.items():
            known = self._silent.get(node)
            if known is None or known.renewed != renewed:
                known = _Silence(renewed, max(self._steady_since, answered - (store_time - renewed)))
            judged[node] = known
        self._silent = judged
        return [node for node, silence in judged.items() if sent - silence.since >= self._lease]

    def _is_steady(self, beat: _Beat) -> bool:
        """Tell whether there was no gap since the last beat, and both clocks have gone equally fast."""
        last = self._last
        if last is None or beat.answered - last.answered > LONGEST_GAP:
            return False
        drift = (beat.store_time - last.store_time) - (beat.answered - last.answered)
        return abs(drift) < CLOCK_TOLERANCE
