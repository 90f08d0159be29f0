"""Users whose connections are closed, and who are let in again only by what is issued later.

Each node has the whole table, so a connect asks nobody. A revocation is entered in the store, and this change tells
the other nodes. What a node knows and the store lacks, as it was away or has lost its memory, is entered again.
"""

from __future__ import annotations

import asyncio

from walkie_signal.backends.base import Backend
from walkie_signal.backends.revocation_table import RevocationTable, now
from walkie_signal.core.identity import Identity, UserId, checked_user_id
from walkie_signal.core.own_rooms import REVOCATIONS, REVOCATIONS_ROOM
from walkie_signal.core.revocations import Times, digest_of, merged, refuses, shelf_of
from walkie_signal.core.values import ABSENT, Value
from walkie_signal.errors import CredentialRefused, SignalingError
from walkie_signal.host import Host
from walkie_signal.node.parting import Partings
from walkie_signal.node.peers import Peer, Peers
from walkie_signal.settings.identity import IdentitySettings

AGAIN = 1.0
"""Seconds until a node tries again to enter what the store lacks."""


class Revocations:
    """The revoked users, as one node knows them."""

    def __init__(
        self, settings: IdentitySettings, host: Host, backend: Backend, peers: Peers, partings: Partings
    ) -> None:
        self._host = host
        self._backend = backend
        self._peers = peers
        self._partings = partings
        self._table = RevocationTable(backend, settings.revocations_kept)
        self._shelves: dict[str, Times] = {}
        self._read: dict[str, Value] = {}
        self._owed: set[str] = set()
        self._paying: asyncio.Task[None] | None = None
        if host.verifies:
            backend.others.enter(REVOCATIONS, None)

    async def known(self) -> None:
        """Wait until this node has read the store, or until that takes too long."""
        await self._backend.others.entered(REVOCATIONS, None)

    def check(self, identity: Identity) -> None:
        """Do nothing if an identity is good.

        Raises:
            CredentialRefused: Its user was revoked after it was issued.
        """
        if self._refuses(identity):
            raise CredentialRefused("the token was issued before its user was revoked")

    def _refuses(self, identity: Identity) -> bool:
        if not self._shelves or identity.user_id is None:
            return False
        digest = digest_of(identity.user_id)
        at = self._shelves.get(shelf_of(digest), {}).get(digest)
        return at is not None and at >= self._table.since and refuses(at, identity)

    async def revoke(self, user_id: UserId) -> int:
        """Revoke a user; see `Orders.revoke`."""
        known = checked_user_id(user_id)
        if not self._host.verifies:
            raise RuntimeError("there is no authenticate: whoever is closed would come back as anybody")
        at, digest = now(), digest_of(known)
        shelf = shelf_of(digest)
        ended = self._learn(shelf, {digest: at})
        try:
            return len(ended) + await self._table.revoke(known, at)
        except SignalingError as error:
            self._owe(shelf)
            raise SignalingError(error.code, error.message, **error.details, closed=len(ended)) from None
        finally:
            await asyncio.gather(*(peer.settled() for peer in ended))

    def look(self) -> None:
        """Take in what the store has now, and see whether it lacks something."""
        values = {value.key: value for value in self._backend.known(REVOCATIONS_ROOM).values}
        for shelf in {*values, *self._shelves}:
            value = values.get(shelf, ABSENT)
            if self._read.get(shelf, ABSENT) != value:
                self._read[shelf] = value
                stored = self._table.read(value.text)
                self._learn(shelf, stored)
                if self._table.lacks(stored, self._shelves[shelf]):
                    self._owe(shelf)

    def _learn(self, shelf: str, times: Times) -> list[Peer]:
        """Take in revocations, and end the peers of those that are new; returns these peers."""
        known = self._shelves.get(shelf, {})
        news = {digest for digest, at in times.items() if known.get(digest, 0) < at}
        self._shelves[shelf] = merged(known, times, self._table.since).times
        ended = [peer for peer in self._peers if news and self._is_of(peer, news)]
        for peer in ended:
            self._partings.end(peer, "kicked")
        return ended

    def _is_of(self, peer: Peer, news: set[str]) -> bool:
        """Tell whether a peer is one of those users, and was let in by what does not count any more."""
        identity = peer.identity
        return (
            identity is not None
            and identity.user_id is not None
            and digest_of(identity.user_id) in news
            and self._refuses(identity)
        )

    # What the store lacks

    def _owe(self, shelf: str) -> None:
        self._owed.add(shelf)
        if self._paying is None or self._paying.done():
            self._paying = asyncio.create_task(self._pay())

    async def _pay(self) -> None:
        while self._owed:
            shelf = next(iter(self._owed))
            try:
                await self._table.complete(shelf, self._shelves[shelf])
                self._owed.discard(shelf)
            except SignalingError:
                await asyncio.sleep(AGAIN)

    def close(self) -> None:
        """End what runs in the background."""
        if self._paying is not None:
            self._paying.cancel()
