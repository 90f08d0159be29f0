"""Closed polling connections whose next poll is still owed an answer, such as the DISCONNECT of a kick."""

from __future__ import annotations

from walkie_signal.transport.engineio.polling import Polling

KEPT_FOR = 5.0
"""Seconds for which the answer is kept."""


class Lingering:
    """The carriers of these connections, by session id."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Polling, float]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, sid: str, carrier: Polling, now: float) -> None:
        """Keep the carrier of a connection that is owed something."""
        self._kept[sid] = (carrier, now + KEPT_FOR)

    def get(self, sid: str) -> Polling | None:
        """Return the carrier of a closed connection that is still owed something."""
        carrier, _ = self._kept.get(sid, (None, 0.0))
        return carrier

    def forget(self, sid: str) -> None:
        """Forget a connection that has got what it was owed."""
        self._kept.pop(sid, None)

    def look(self, sid: str, now: float) -> bool:
        """Forget a connection that did not ask in time; returns whether it is still kept."""
        _, deadline = self._kept.get(sid, (None, now))
        if now >= deadline:
            self.forget(sid)
        return now < deadline

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()
