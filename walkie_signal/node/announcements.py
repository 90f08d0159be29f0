"""How often the others hear of a peer that joins its room again and changes nothing.

Apps do this to be called again, but anybody can repeat it without end, and each time it concerns a whole room. So
the others are told at once, and then only after an interval, at the pace of `core.pacing`.
"""

from __future__ import annotations

import asyncio

from walkie_signal.core.pacing import Pace
from walkie_signal.node.peers import Announcement, Peer


class Announcements:
    """The paces of one node's own peers, for each peer and room. `interval` is in seconds."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._paces: dict[tuple[str, str], Pace] = {}
        self._timers: dict[tuple[str, str], asyncio.TimerHandle] = {}

    def now(self, peer: Peer, room: str) -> bool:
        """Tell whether the others are to hear of a peer now; if not, they will when the interval is over.

        At that time an `Announcement` is queued behind the peer's other items.
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
