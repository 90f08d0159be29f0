"""What a peer is told of its own events."""

from __future__ import annotations

import logging
from typing import Any

from walkie_signal.core.packets import Event, ack_text, event_text
from walkie_signal.core.payloads import Payload
from walkie_signal.errors import SignalingError
from walkie_signal.node.peers import Peer

log = logging.getLogger("walkie_signal")

OK: dict[str, Any] = {"ok": True}


class Answers:
    """Answers events; `prefix` is `packets.prefix_of` the namespace."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def ack(self, peer: Peer, ack_id: int | None, payload: Payload) -> None:
        """Answer an event, where its peer asked for an ack."""
        if ack_id is not None:
            peer.link.send(ack_text(self._prefix, ack_id, payload))

    def fail(self, peer: Peer, event: Event, error: Exception) -> None:
        """Answer an event that failed: by its ack, or where none was asked for by ``signal_error``."""
        if not isinstance(error, SignalingError):
            log.error("%r failed", event.name, exc_info=error)
            error = SignalingError("internal", "internal error")
        if event.ack_id is not None:
            self.ack(peer, event.ack_id, {"ok": False, "error": error.to_payload()})
        else:
            name = event.name.encode(errors="replace").decode()  # it may hold a lone surrogate
            payload = {"event": name, **error.to_payload()}
            peer.link.send(event_text(self._prefix, "signal_error", payload))
