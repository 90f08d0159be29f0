"""What the peers of this node may do, and how much of it. The arithmetic is in `core.limits`.

There are two rules for this file: who is over a limit is told so, with the time after which to try again; and what
one address may do is counted only if the address is known, for behind a Unix socket all peers would be one.
"""

from __future__ import annotations

from time import monotonic

from walkie_signal.core.addresses import network_of
from walkie_signal.core.limits import Allowances, Limit, milliseconds
from walkie_signal.errors import LimitReached, SignalingError, SuspectRefused
from walkie_signal.node.peers import Peer
from walkie_signal.settings import Settings

TOLD_FOR_ONE = 100
"""A join costs one more for each so many members: they are told of it, and the joiner of them."""

REFUSALS = Limit("event_rate", rate=20, burst=1000)
"""How often a peer is told that it is over a limit; one that goes on after that is closed. A stock client that was
offline sends a burst before it hears anything, and 20 a second are a tenth of the default of `event_rate`: who is a
little over it stays."""


class Limits:
    """The limits of one node's peers; those of an address count this node only."""

    def __init__(self, settings: Settings) -> None:
        self._connections = settings.connections_per_user
        self._gone_within = settings.ping_interval + settings.ping_timeout
        self._events = Limit("event_rate", settings.event_rate, settings.event_burst)
        self._bytes = Limit("byte_rate", settings.byte_rate, settings.byte_burst)
        self._joins = Limit("join_rate", settings.join_rate, settings.join_burst)
        self._new_rooms = Allowances(Limit("new_room_rate", settings.new_room_rate, settings.new_room_burst))
        per_minute = settings.bad_credentials
        self._bad_credentials = Allowances(Limit("bad_credentials", per_minute / 60, per_minute))

    # Events

    def admit(self, peer: Peer, size: int) -> bool:
        """Count an event unless there is a `refusal` for it; returns whether it was counted.

        Each signal comes here, so this is written out.
        """
        now = monotonic()
        events, sizes = self._events, self._bytes
        events_whole_at, bytes_whole_at = peer.events_whole_at, peer.bytes_whole_at
        if events_whole_at - now > events.slack or bytes_whole_at - now > sizes.slack:
            return False
        peer.events_whole_at = (max(now, events_whole_at)) + events.each
        peer.bytes_whole_at = (max(now, bytes_whole_at)) + size * sizes.each
        return True

    def refusal(self, peer: Peer) -> LimitReached | None:
        """Return the error for an event that a peer sends now; ``None`` if the peer is not over a limit."""
        now = monotonic()
        waits = (
            (self._events.wait(peer.events_whole_at, now), self._events.name),
            (self._bytes.wait(peer.bytes_whole_at, now), self._bytes.name),
        )
        wait, name = max(waits)
        return LimitReached("too many events", name, milliseconds(wait)) if wait else None

    def count(self, peer: Peer, size: int) -> None:
        """Count an event of a peer, of so many bytes."""
        now = monotonic()
        peer.events_whole_at = self._events.spent(peer.events_whole_at, 1, now)
        peer.bytes_whole_at = self._bytes.spent(peer.bytes_whole_at, size, now)

    def may_be_told(self, peer: Peer) -> bool:
        """Count a refusal; returns whether the peer is told of it, because it has not been told too often yet."""
        now = monotonic()
        if REFUSALS.wait(peer.refusals_whole_at, now):
            return False
        peer.refusals_whole_at = REFUSALS.spent(peer.refusals_whole_at, 1, now)
        return True

    # Joins

    def begin_join(self, peer: Peer) -> None:
        """Count a join.

        Raises:
            LimitReached: There were too many.
        """
        now = monotonic()
        wait = self._joins.wait(peer.joins_whole_at, now)
        if wait:
            raise LimitReached("too many joins", self._joins.name, milliseconds(wait))
        peer.joins_whole_at = self._joins.spent(peer.joins_whole_at, 1, now)

    def weigh_join(self, peer: Peer, members: int) -> None:
        """Count what the join cost others, into a room of so many members."""
        whole_at = peer.joins_whole_at
        peer.joins_whole_at = self._joins.spent(whole_at, members // TOLD_FOR_ONE, monotonic())

    def refusal_of_new_room(self, peer: Peer) -> LimitReached | None:
        """Return the error for a peer whose address has made too many rooms; ``None`` if it may make one."""
        if peer.address is None:
            return None
        wait = self._new_rooms.wait(network_of(peer.address), monotonic())
        return LimitReached("too many new rooms", "new_room_rate", milliseconds(wait)) if wait else None

    def count_new_room(self, peer: Peer) -> None:
        """Count a room that a peer has made by joining it."""
        if peer.address is not None:
            self._new_rooms.spend(network_of(peer.address), 1, monotonic())

    # Users and credentials

    def check_connections(self, count: int) -> None:
        """Do nothing if a user with so many connections here may have another one.

        Raises:
            LimitReached: It may not; after the time in it, those that are dead are gone.
        """
        if self._connections and count >= self._connections:
            raise LimitReached(
                "too many connections of this user", "connections_per_user", milliseconds(self._gone_within)
            )

    def is_suspect(self, address: str | None) -> bool:
        """Tell whether so many bad credentials came from an address that no more is to be done for the next."""
        return address is not None and self._bad_credentials.wait(network_of(address), monotonic()) > 0

    def count_bad_credential(self, address: str | None, refused: SignalingError) -> SignalingError:
        """Count a bad credential; returns the error that answers it."""
        if address is None:
            return refused
        now, network = monotonic(), network_of(address)
        wait = self._bad_credentials.wait(network, now)
        if wait:
            return SuspectRefused(milliseconds(wait))
        self._bad_credentials.spend(network, 1, now)
        return refused
