"""How often the others hear of a peer that joins its room again and changes nothing.

Apps do this to be called again, but anybody can repeat it without end, and each time it concerns a whole room. So
the others are told at once, and then only after an interval, at the pace of `core.pacing`.
"""

from __future__ import annotations

from walkie_signal.clock import Clock
from walkie_signal.core.pacing import Pace
from walkie_signal.node.peers import Announcement, Peer, Peers


class Announcements:
    """The paces of one node's own peers, for each peer and room. `interval` is in seconds."""

    def __init__(self, interval: float, peers: Peers, clock: Clock) -> None:
        self._interval = interval
        self._peer = peers.get
        self._clock = clock
        self._paces: dict[tuple[str, str], Pace] = {}

    @property
    def kept(self) -> int:
        """How many members have a pace for their announcements."""
        return len(self._paces)

    def now(self, peer: Peer, room: str) -> bool:
        """Tell whether the others are to hear of a peer now; if not, they will when the interval is over.

        At that time an `Announcement` is queued behind the peer's other items.
        """
        now = self._clock.now
        wait = self._paces.setdefault((peer.peer_id, room), Pace(self._interval)).changed(now)
        if wait:
            self._clock.at(now + wait, ("announcement", peer.peer_id, room), self._post)
        return wait == 0

    def _post(self, key: tuple[str, str, str], now: float) -> None:
        _, peer_id, room = key
        self._paces[peer_id, room].tell(now)
        peer = self._peer(peer_id)
        if peer is not None:
            peer.post(Announcement(room))

    def forget(self, peer_id: str, room: str) -> None:
        """Keep nothing of a peer that has left a room."""
        if self._paces.pop((peer_id, room), None) is not None:
            self._clock.drop(("announcement", peer_id, room))
