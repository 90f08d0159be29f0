"""The nodes in Redis: who is alive, who removes the dead, and which rooms each has members in."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Collection, Iterable
from functools import partial
from typing import Any

from walkie_signal.backends.redis import scripts
from walkie_signal.backends.redis.rights import refuses
from walkie_signal.backends.redis.store.keys import EXPIRY, Keys, pairs_of, text_of
from walkie_signal.backends.redis.store.strange import is_strange
from walkie_signal.backends.redis.wire import ignore, packed, words
from walkie_signal.backends.shared.format import READS, WRITES
from walkie_signal.backends.shared.store import RefusedError, Renewal
from walkie_signal.backends.shared.uplink import REPLY_TIMEOUT
from walkie_signal.errors import SignalingError

SILENT_AFTER = 3_000_000
"""Microseconds without a renewal after which the other nodes watch a node."""

CLAIM_TIME = 5000
"""Milliseconds that a node has to remove a dead one, before another node may do it."""


class StoredNodes(Keys):
    """The nodes of the service, of which this is one."""

    async def check_rights(self) -> None:
        """Try the commands that a node needs.

        Raises:
            SignalingError: Redis refuses some of them; the message names these.
        """
        node = self._incarnation.id
        unsubscribing = self._uplink.listening.ask("UNSUBSCRIBE", self._names.node(node))
        errors = pairs_of(await self._answer(self._uplink.run(scripts.NEEDED, [self._names.trial(node)])))
        await asyncio.wait_for(self._answer(unsubscribing), REPLY_TIMEOUT)
        refused = {command: error for command, error in errors if refuses(error)}
        if refused:
            names, why = ", ".join(refused), words(RefusedError(next(iter(refused.values()))))
            raise SignalingError("unavailable", f"it refuses {names}, which a node needs: {why}")

    async def beat(self) -> Renewal:
        """Renew this node's lease, and enter the node if Redis does not know it yet.

        Raises:
            SignalingError: Redis holds the rooms of a release that this one can't read.
        """
        node, known = self._incarnation.id, self._incarnation.known
        fresh = f"{WRITES}:{secrets.token_hex(8)}"
        keys = [self._names.nodes, self._names.generation]
        asked = self._uplink.run(scripts.BEAT, keys, EXPIRY, node, known, fresh, SILENT_AFTER)
        stored, now, alive, silent, renewed = await self._answer(asked)
        generation = text_of(stored)
        if generation.partition(":")[0] not in READS:
            raise SignalingError(
                "unavailable", "Redis holds the rooms of a release that this one does not know"
            )
        others = {
            name.decode(): at.decode()
            for name, at in zip(silent[::2], silent[1::2], strict=True)
            if name.isascii() and name != node.encode()  # any other text is not the id of a node
        }
        return Renewal(generation, float(now), bool(alive), others, float(renewed or 0))

    # The dead

    async def claim(self, node: str, renewed: str) -> bool:
        """Claim the removal of a node that has been silent since `renewed`; returns whether this node may do it.

        A claim that has become strange is taken over, because no claim lasts longer than seconds.
        """
        claim = self._names.claim(node)
        keys = [self._names.nodes, claim]
        asked = self._uplink.run(scripts.CLAIM, keys, node, renewed, self._incarnation.id, CLAIM_TIME)
        claimed = await self._answer(asked)
        if claimed == scripts.STRANGE_CLAIM:
            self._strange.tell(claim)
        return bool(claimed)

    async def forget(self, node: str) -> None:
        """Remove a node that has no members any more, and its list of rooms."""
        await self._answer(self._uplink.ask("DEL", self._names.rooms_of(node)))
        keys = [self._names.nodes, self._names.generation, self._names.claim(node)]
        await self._answer(self._uplink.run(scripts.FORGET, keys, node))

    # The rooms of a node

    async def rooms_of(self, node: str) -> list[str]:
        """Return the rooms that a node has listed."""
        return [text_of(room) for room in await self._read("SMEMBERS", self._names.rooms_of(node))]

    def list_rooms(self, rooms: Iterable[str], following: Collection[str]) -> None:
        """List rooms as this node's own; nothing is raised.

        Args:
            rooms: The rooms to list, at least one.
            following: All rooms that this node has; they replace the list if that is strange, because it is this
                node's own, and its members are found by it.
        """
        key = self._names.rooms_of(self._incarnation.id)
        self._uplink.post(packed("SADD", key, *rooms), partial(self._listed, key, following))

    def _listed(self, key: str, following: Collection[str], answer: Any) -> None:
        self._strange.look(key, answer)
        if is_strange(answer) and following:
            self._uplink.post(packed("DEL", key), ignore)
            self._uplink.post(packed("SADD", key, *following), ignore)

    def unlist_room(self, room: str) -> None:
        """Take a room out of this node's list; nothing is raised."""
        self._uplink.post(packed("SREM", self._names.rooms_of(self._incarnation.id), room), ignore)

    def touch_list(self) -> None:
        """Keep this node's list of rooms from expiring; nothing is raised."""
        self._uplink.post(packed("PEXPIRE", self._names.rooms_of(self._incarnation.id), EXPIRY), ignore)
