"""Peers that join their room again and change nothing: how often the others hear of it.

An app does so to be called again, and anybody can do it without end, each time to a whole room. So the others are
told at once, and then not before an interval has passed, by the pace of `core.pacing`.
"""

from __future__ import annotations

import asyncio

from walkie_signal.core.pacing import Pace
from walkie_signal.node.peers import Announcement, Peer


class Announcements:
    """The paces of one node's own peers, each in its rooms. `interval` is in seconds."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._paces: dict[tuple[str, str], Pace] = {}
        self._timers: dict[tuple[str, str], asyncio.TimerHandle] = {}

    def now(self, peer: Peer, room: str) -> bool:
        """Tell whether the others are to hear of a peer now; if not, they are when the interval is over.

        That is then the peer's own business: an `Announcement`, behind its other items.
        """
        loop, key = asyncio.get_running_loop(), (peer.peer_id, room)
        wait = self._paces.setdefault(key, Pace(self._interval)).changed(loop.time())
        if wait:
            self._timers[key] = loop.call_later(wait, self._due, peer, room)
        return wait == 0

    def _due(self, peer: Peer, room: str) -> None:
        del self._timers[peer.peer_id, room]
        self._paces[peer.peer_id, room].tell(asyncio.get_running_loop().time())
        peer.post(Announcement(room))

    def forget(self, peer_id: str, room: str) -> None:
        """Keep nothing of a peer that has left a room."""
        self._paces.pop((peer_id, room), None)
        timer = self._timers.pop((peer_id, room), None)
        if timer is not None:
            timer.cancel()
