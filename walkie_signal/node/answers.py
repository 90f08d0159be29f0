"""How a peer's own events are answered."""

from __future__ import annotations

import logging

from walkie_signal.bounded_log import BoundedLog
from walkie_signal.core.facts import EventRefused, Facts, PeerLimited
from walkie_signal.core.peer_events import CLIENT_EVENTS
from walkie_signal.errors import SignalingError, SuspectRefused
from walkie_signal.node.peers import Peer
from walkie_signal.wire.event_packets import Event

log = logging.getLogger("walkie_signal")


class Answers:
    """Answers events that failed, and tells why."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._lines = BoundedLog(log)

    def fail(self, peer: Peer, event: Event, error: Exception) -> None:
        """Answer an event that failed: by its ack, or by ``signal_error`` if the peer asked for no ack."""
        if not isinstance(error, SignalingError):
            self._lines.write(logging.ERROR, "internal", "%r failed", event.name, fault=error)
            error = SignalingError("internal", "internal error")
        else:
            name = event.name if event.name in CLIENT_EVENTS else None
            self._facts.tell(
                EventRefused,
                name,
                error.code,
                peer.peer_id,
                peer.link or "away",
                error.why,
                isinstance(error, SuspectRefused),
            )
        if event.ack_id is not None:
            peer.ack(event.ack_id, {"ok": False, "error": error.to_payload()})
        else:
            encodable = event.name.encode(errors="replace").decode()  # the name may hold a lone surrogate
            peer.tell("signal_error", {"event": encodable, **error.to_payload()})

    def give_up(self, peer: Peer) -> None:
        """Record that a peer gets no more answers, because it has gone on after it was told of a limit."""
        self._facts.tell(PeerLimited, peer.peer_id, peer.link or "away")
