"""Opens the two connections of a node, one that asks and one that listens, and ends those that it had before.

If Redis stood still, it may still carry out what was sent on a connection that has been given up. So a new pair
ends the former ones before it does anything else, and whoever restores on it sees whatever they did.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from functools import partial

from walkie_signal.backends.redis import scripts
from walkie_signal.backends.redis.rights import Housekeeping
from walkie_signal.backends.redis.server import Server
from walkie_signal.backends.redis.wire import Wire
from walkie_signal.backends.shared.lifetime import Lifetime
from walkie_signal.backends.shared.uplink import REPLY_TIMEOUT


class Pairs:
    """The pairs of connections of one node, of which there is one at a time.

    Args:
        server: The server that they lead to.
        lifetime: How long this process may go on as the node that it is.
        hear: Takes a channel and what was published on it.
        lost: Called with the reason when a connection has ended in any way.
    """

    def __init__(
        self,
        server: Server,
        lifetime: Lifetime,
        hear: Callable[[bytes, bytes], None],
        lost: Callable[[str], None],
    ) -> None:
        self._server = server
        self._lifetime = lifetime
        self._hear = hear
        self._lost = lost
        self._housekeeping = Housekeeping(server.address)
        self._former: list[tuple[int, str]] = []  # numbers and names of those that may still have to be ended
        self._opened: list[tuple[int, str]] = []

    async def open(self) -> tuple[Wire, Wire]:
        """Open a pair: the connection that asks, and the one that listens.

        Raises:
            OSError: They can't be opened, or nodes can't use this server.
            hiredis.ReplyError: The server refuses.
        """
        self._opened = []
        asking = await self._open("asks", examines=True)
        try:
            return asking, await self._open("listens", examines=False)
        except BaseException:
            asking.abort()
            raise

    async def prepare(self, asking: Wire) -> bool:
        """End the former pairs, and load the scripts; returns whether the server keeps those.

        If this fails, the pair has asked for no change, so it need not be ended later.
        """
        for number, name in self._former:
            line = await self._housekeeping.ask(asking, "CLIENT", "LIST", "ID", number)
            if line is not None and f" name={name} " in line.decode("utf-8", "replace"):  # it is this node's
                await self._housekeeping.ask(asking, "CLIENT", "KILL", "ID", number)
        keep = partial(self._housekeeping.ask, asking, "SCRIPT", "LOAD")
        kept = await asyncio.gather(*(keep(each.source) for each in scripts.ALL))
        self._former = self._opened
        return None not in kept

    async def _open(self, part: str, *, examines: bool) -> Wire:
        wire = await self._server.open(self._hear, self._lost, self._lifetime)
        try:
            name = f"walkie-signal-{part}-{secrets.token_hex(8)}"
            number = await asyncio.wait_for(self._introduce(wire, name, examines=examines), REPLY_TIMEOUT)
        except BaseException:
            wire.abort()
            raise
        if number is not None:
            self._opened.append((number, name))
        return wire

    async def _introduce(self, wire: Wire, name: str, *, examines: bool) -> int | None:
        """Log in; returns the connection's number, or ``None`` if Redis does not say it."""
        await self._server.enter(wire)
        await self._housekeeping.ask(wire, "CLIENT", "SETNAME", name)
        if examines:
            await self._server.examine(wire)
        number: int | None = await self._housekeeping.ask(wire, "CLIENT", "ID")
        return number
