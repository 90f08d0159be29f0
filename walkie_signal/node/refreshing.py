"""How a peer shows a fresh token in mid-connection."""

from __future__ import annotations

from functools import partial
from time import time

from walkie_signal.core.identity import Credentials
from walkie_signal.core.peer_events import RefreshToken
from walkie_signal.core.registry import Registry
from walkie_signal.errors import CredentialRefused
from walkie_signal.node.leaving import Leaves
from walkie_signal.node.parting import Partings
from walkie_signal.node.peers import Peer
from walkie_signal.node.revoking import Revocations
from walkie_signal.node.verifying import Verifier
from walkie_signal.wire.event_packets import Event


class Refreshes:
    """Gives peers of one node other identities of the same users."""

    def __init__(
        self,
        verifier: Verifier,
        registry: Registry,
        leaves: Leaves,
        partings: Partings,
        revocations: Revocations,
    ) -> None:
        self._verifier = verifier
        self._registry = registry
        self._leaves = leaves
        self._partings = partings
        self._revocations = revocations

    async def refresh(self, peer: Peer, event: Event, message: RefreshToken) -> None:
        """Let a peer stay for as long as its fresh token says, in the rooms that it still allows.

        Raises:
            SignalingError: ``unauthorized``: the token is not valid, or another user's; also ``unavailable``.
        """
        identity = await self._verifier.verify(peer.address, partial(shown, message.token, peer.address))
        if identity is not None and not peer.gone:
            known = peer.identity
            if known is not None and known.user_id != identity.user_id:
                raise CredentialRefused("the token is another user's")
            if identity.expires_at is not None and identity.expires_at <= time():
                raise CredentialRefused("the token has expired")  # it may have been let in by a leeway
            self._revocations.check(identity)
            peer.identity = identity
            self._partings.expect_end(peer)
            left = [room for room in self._registry.rooms_of(peer.peer_id) if not identity.allows(room)]
            await self._leaves.quit(peer, left, "left")
        peer.confirm(event.ack_id)


def shown(token: str, address: str | None, is_suspect: bool) -> Credentials:  # noqa: FBT001 - as `verify` has it
    """Return the credentials of a peer that shows a token in mid-connection."""
    return Credentials(token, {"token": token}, client=address, is_suspect=is_suspect)
