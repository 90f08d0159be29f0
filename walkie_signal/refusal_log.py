"""The log of refusals, a sink of facts: what was refused to whom, in one bounded line each."""

from __future__ import annotations

import logging
from typing import get_args

from typing_extensions import assert_never

from walkie_signal.bounded_log import BoundedLog
from walkie_signal.core.facts import (
    ConnectRefused,
    EventRefused,
    Facts,
    HandshakeRefused,
    NamespaceRefused,
    PeerLimited,
    Refusal,
)

TOLD = {
    *("forbidden", "payload_too_large", "rate_limited", "room_full", "too_many_rooms"),
    *("unauthorized", "unavailable"),
}
"""Codes that are logged for operators: a limit, or the host, refused something to a client that may be fine.

The other codes are a client's mistake, or come from two events that crossed; they are logged at the level debug.
"""


class RefusalLog:
    """Writes facts of refusals to a logger."""

    def __init__(self, log: logging.Logger) -> None:
        self._lines = BoundedLog(log)
        self._suspects = BoundedLog(log, most=1)

    def listen(self, facts: Facts) -> None:
        """Log each refusal from now on."""
        for kind in get_args(Refusal):
            facts.listen(kind, self._write)

    def _of(self, fact: EventRefused | ConnectRefused) -> BoundedLog:
        return self._suspects if fact.is_suspect else self._lines

    def _write(self, fact: Refusal) -> None:
        if isinstance(fact, EventRefused):
            level = logging.INFO if fact.code in TOLD else logging.DEBUG
            why = f"{fact.code}, {fact.why}" if fact.why else fact.code
            kind, line = f"refused: {why}", "%s refused: %s (peer %s, %s)"
            name = fact.event or "an event"  # the log does not repeat what a client has chosen
            self._of(fact).write(level, kind, line, name, why, fact.peer_id, fact.link)
        elif isinstance(fact, PeerLimited):
            kind = "peer closed: it went on after rate_limited"
            self._lines.write(logging.INFO, kind, "%s (peer %s, %s)", kind, fact.peer_id, fact.link)
        elif isinstance(fact, ConnectRefused):
            kind = f"connect refused: {fact.why}"
            self._of(fact).write(logging.INFO, kind, "%s (from %s)", kind, fact.address)
        elif isinstance(fact, NamespaceRefused):
            line = f"connect refused: {fact.message}"
            self._lines.write(logging.INFO, line, "%s (%s)", line, fact.connection)
        elif isinstance(fact, HandshakeRefused):
            kind, line = f"handshake refused ({fact.code})", "handshake refused: %s (from %s)"
            self._lines.write(logging.INFO, kind, line, fact.message, fact.address)
        else:
            assert_never(fact)
