"""How many connections there may be: of one address, and of those that have joined nothing yet.

A connection is *half open* until it has joined a namespace for the first time. Opening one takes a request and no
credential, so only this bounds how many somebody may have.
"""

from __future__ import annotations

from collections import Counter

from walkie_signal.settings.transport import TransportSettings
from walkie_signal.transport.engineio.http import TOO_MANY, TOO_MANY_HALF_OPEN, RefusedError


class Crowd:
    """Counts the connections of one server.

    An address counts as `walkie_signal.core.addresses.network_of` says; ``None`` is one that is not known, of which
    there may be any number.
    """

    def __init__(self, settings: TransportSettings) -> None:
        self._settings = settings
        self._half_open = Counted()
        self._open = Counted()

    def enter(self, sid: str, network: str | None) -> None:
        """Count a connection.

        Raises:
            RefusedError: There are too many.
        """
        settings = self._settings
        if settings.half_open and len(self._half_open) >= settings.half_open:
            raise RefusedError(TOO_MANY_HALF_OPEN)
        if network is not None:
            self._check(self._half_open, network, settings.half_open_per_address)
            self._check(self._open, network, settings.connections_per_address)
            if settings.connections_per_address:
                self._open.add(sid, network)
        self._half_open.add(sid, network)

    @staticmethod
    def _check(counted: Counted, network: str, most: int) -> None:
        if most and counted.of(network) >= most:
            raise RefusedError(TOO_MANY)

    def join(self, sid: str) -> None:
        """Record that a connection is half open no longer."""
        self._half_open.remove(sid)

    def leave(self, sid: str) -> None:
        """Record that a connection has closed."""
        self._half_open.remove(sid)
        self._open.remove(sid)


class Counted:
    """Connections by id, and how many of them each address has."""

    def __init__(self) -> None:
        self._network_of: dict[str, str | None] = {}
        self._counts: Counter[str | None] = Counter()

    def __len__(self) -> int:
        return len(self._network_of)

    def of(self, network: str) -> int:
        """Return how many an address has."""
        return self._counts[network]

    def add(self, sid: str, network: str | None) -> None:
        """Add a connection."""
        self._network_of[sid] = network
        self._counts[network] += 1

    def remove(self, sid: str) -> None:
        """Remove a connection if it is there."""
        if sid not in self._network_of:
            return
        network = self._network_of.pop(sid)
        self._counts[network] -= 1
        if not self._counts[network]:
            del self._counts[network]
