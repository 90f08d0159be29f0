"""Joins a python-socketio server, with its sids and environs, to a node, with its peers and links."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from walkie_signal.bounded_log import BoundedLog
from walkie_signal.core.changes import Reason
from walkie_signal.core.facts import ConnectRefused
from walkie_signal.core.identity import Credentials, Identity
from walkie_signal.errors import ProtocolViolation, SignalingError, SuspectRefused
from walkie_signal.namespace.binding import Binding
from walkie_signal.namespace.credentials import address_of, read_credentials
from walkie_signal.namespace.stock import emits_here_alone, transport_of
from walkie_signal.node.node import Node
from walkie_signal.node.peers import Peer

log = logging.getLogger("walkie_signal")

PEER = "walkie_signal.peer"
"""Where the scope of a connection keeps the last peer on it: one that connects anew goes on with its allowances."""

EMITS_HERE = (
    "this is a stock socketio.AsyncServer: what you emit on it yourself reaches the clients of this process alone. "
    "Make it by walkie_signal.create_server, or give it a client_manager"
)

_REASONS: Mapping[str, Reason] = {
    "ping timeout": "timeout",
    "server disconnect": "kicked",
    "overflow": "overflow",
}
"""Our reasons for a server's reasons for a disconnect; for any other it is ``disconnected``."""


class Adapter:
    """The signaling of one namespace, as the server's binding calls it.

    A sid belongs to a connection, and a peer outlives one: only this class knows which peer a sid speaks for.

    Args:
        registered: The namespace object that the server knows.
        node: Verifies connections, and carries out events.
        host_events: The handlers of a class that derives from ours, by event.
    """

    def __init__(self, registered: Any, node: Node, host_events: Mapping[str, Callable[..., Any]]) -> None:
        self.namespace: str = registered.namespace
        self.registered = registered
        self.host_events = host_events
        self._node = node
        self._server: Any = None
        self._transport: Any = None
        self._peers: dict[str, Peer] = {}
        self._lines = BoundedLog(log)

    def bind(self, server: Any) -> None:
        """Register on a server.

        Raises:
            ValueError: This namespace has a server already, or a handler of the host would hide ours.
        """
        if self._server is not None:
            raise ValueError("this SignalingNamespace has a server already: create one for each server")
        transport = transport_of(server)
        self._node.gate.host_hears = Binding(server, self, is_strict=transport.is_strict).host_hears
        self._server = server
        self._transport = transport
        transport.before_parting(self.namespace, self._farewell)
        transport.reach(self._node.backend.others, self.namespace)
        if self._node.backend.shared and emits_here_alone(server):
            log.warning(EMITS_HERE)

    def hand_back(self) -> None:
        """Let other workers end what the server carries for them."""
        if self._transport is not None:
            self._transport.hand_back()

    def _peer(self, sid: str) -> Peer | None:
        """Return the peer that a sid speaks for, unless it is gone."""
        peer = self._peers.get(sid)
        return None if peer is None or peer.gone else peer

    def _farewell(self, sid: str) -> None:
        peer = self._peer(sid)
        if peer is not None:
            self._node.farewell(peer)

    async def admit(self, sid: str, environ: Mapping[str, Any], auth: object) -> None:
        """Let a connection in.

        Raises:
            SignalingError: It may not or can't be let in, or it has gone meanwhile.
        """
        eio_sid = self._server.manager.eio_sid_from_sid(sid, self.namespace)
        link = self._transport.link(eio_sid, self.namespace)
        peer = self._peers[sid] = self._node.open(sid, link, address_of(environ))
        try:
            identity = await self._verified(peer, environ, auth)
            if peer.gone or self._server.environ.get(eio_sid) is not environ:
                raise SignalingError("unavailable", "the connection is gone", retryAfterMs=0)
            link.listen(partial(self._node.gate.receive_frame, peer))
            self._node.admit(peer, identity)
        except BaseException:
            await self.release(sid, "")
            raise

    async def _verified(self, peer: Peer, environ: Mapping[str, Any], auth: object) -> Identity | None:
        log.debug("peer %s connects, from %s", peer.peer_id, address_of(environ) or "a Unix socket")
        scope = environ["asgi.scope"]
        former, scope[PEER] = scope.get(PEER), peer
        try:
            if former is not None:
                self._node.begin_again(peer, former)
            await self._node.ensure_started()
            identity = await self._node.verifier.verify(peer.address, partial(self._read, environ, auth))
            await self._node.accept(peer, identity)
        except SignalingError as error:
            if error.code != "internal":  # a fault is no refusal, and has been logged already
                why = f"{error.code}, {error.why}" if error.why else error.code
                self.refused(why, environ, is_suspect=isinstance(error, SuspectRefused))
            raise
        except Exception as error:
            line = "a connection could not be admitted"
            self._lines.write(logging.ERROR, line, line, fault=error)
            raise SignalingError("internal", "internal error") from error
        return identity

    def _read(self, environ: Mapping[str, Any], auth: object, is_suspect: bool) -> Credentials:  # noqa: FBT001
        cookies = not self._transport.lets_any_page_in
        return read_credentials(environ, auth, cookies=cookies, is_suspect=is_suspect)

    def refused(self, why: str, environ: Mapping[str, Any], *, is_suspect: bool = False) -> None:
        """Tell that a connection was not let in."""
        self._node.facts.tell(ConnectRefused, why, address_of(environ) or "a Unix socket", is_suspect)

    def failed(self, line: str, fault: Exception) -> None:
        """Log that a function of the host failed."""
        self._lines.write(logging.ERROR, line, line, fault=fault)

    async def release(self, sid: str, reason: str) -> None:
        """Take a connection that has ended out of its rooms."""
        peer = self._peers.pop(sid, None)
        if peer is not None and self._node.disconnect(peer.peer_id, _REASONS.get(reason, "disconnected")):
            await peer.settled()

    def receive(self, sid: str, data: list[Any], ack_id: int | None) -> None:
        """Carry out an event that the server has parsed; an event without a handler is answered with an error."""
        peer = self._peer(sid)
        if peer is not None:
            self._node.gate.receive_data(peer, data, ack_id)

    def fail(self, sid: str, data: list[Any], ack_id: int | None, error: Exception) -> None:
        """Answer one of the host's events that could not be carried out."""
        peer = self._peer(sid)
        if peer is not None:
            self._node.gate.fail_data(peer, data, ack_id, error)

    def violate(self, sid: str, violation: ProtocolViolation) -> None:
        """Close a connection that broke the protocol."""
        peer = self._peer(sid)
        if peer is not None:
            kind = f"connection closed: {violation}"
            self._lines.write(logging.WARNING, kind, "connection closed: %s (peer %s)", violation, sid)
            self._node.disconnect(peer.peer_id, "disconnected")
            peer.close()
