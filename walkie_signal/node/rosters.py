"""Tells rosters by ``room_status``: each room at its pace, however often its members change."""

from __future__ import annotations

from walkie_signal.clock import Clock
from walkie_signal.core.deliveries import status_of
from walkie_signal.core.pacing import Pace
from walkie_signal.core.registry import Registry
from walkie_signal.node.fanout import Fanout
from walkie_signal.node.peers import Peer
from walkie_signal.settings.pacing import PaceSettings


class Statuses:
    """Tells the members on this node; other nodes tell theirs."""

    def __init__(self, settings: PaceSettings, registry: Registry, fanout: Fanout, clock: Clock) -> None:
        self._settings = settings
        self._registry = registry
        self._fanout = fanout
        self._paces: dict[str, Pace] = {}
        self._clock = clock

    @property
    def rosters(self) -> int:
        """How many rooms have a pace for their roster."""
        return len(self._paces)

    def changed(self, room: str) -> None:
        """Tell the new roster of a room, now or when its pace allows."""
        if not self._registry.room(room):
            self._forget(room)
            return
        now = self._clock.now
        pace = self._paces.get(room)
        if pace is None:
            pace = self._paces[room] = Pace(self._settings.status_interval, self._settings.status_bytes)
        wait = pace.changed(now)
        if wait == 0 and not self._tell(room, pace):
            self._forget(room)  # nobody here was told, so the next one need not wait
        elif wait:
            self._clock.at(now + wait, ("status", room), self._tell_later)

    def tell(self, room: str, peer: Peer) -> None:
        """Tell the roster of a room to one peer; this does not delay the roster for the others."""
        status = status_of(self._registry.room(room))
        peer.tell_latest(room, status.event, status.payload)

    def close(self) -> None:
        """Cancel everything that is to be told later."""
        for room in list(self._paces):
            self._forget(room)

    def _tell_later(self, key: tuple[str, str], now: float) -> None:
        _, room = key
        pace = self._paces[room]
        pace.tell(now)
        self._tell(room, pace)

    def _tell(self, room: str, pace: Pace) -> bool:
        """Tell the roster to the members that are here; returns whether there are any."""
        size = self._fanout.deliver_latest(room, status_of(self._registry.room(room)))
        pace.weigh(size)
        return size > 0

    def _forget(self, room: str) -> None:
        if self._paces.pop(room, None) is not None:
            self._clock.drop(("status", room))
