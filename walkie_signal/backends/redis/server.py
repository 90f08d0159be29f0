"""The Redis server of a URL: which server it is now, how to reach it, and whether nodes can use it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import hiredis

from walkie_signal.backends.redis.address import Address
from walkie_signal.backends.redis.dial import WITHIN, Dialer, Unreachable
from walkie_signal.backends.redis.sentinels import Primary, Sentinels
from walkie_signal.backends.redis.wire import Wire
from walkie_signal.backends.shared.lifetime import Lifetime

OLDEST = (6, 2)
"""The first release of Redis with everything that nodes ask for; `CLIENT LIST ID` was the last to come."""


class Unfit(OSError):  # noqa: N818 - what it is, not a fault of ours
    """Nodes can't use this server; the text says why."""


class Server:
    """The server of a URL. Call `find` before each pair of connections.

    Raises:
        UnusableURLError: `url` asks for something that can't be done.
    """

    def __init__(self, url: str) -> None:
        self.address = Address(url)
        self._sentinels = Sentinels(self.address) if self.address.service is not None else None
        self._primary: Primary | None = None
        self._useless: Primary | None = None
        self._dialer = None if self._sentinels or self.address.path else Dialer(*self.address.hosts[0])

    async def find(self) -> None:
        """Find out which server to connect to.

        Raises:
            OSError: No sentinel names one.
        """
        if self._sentinels is not None:
            primary = await self._sentinels.primary(self._useless)
            if self._primary is None or primary[1:3] != self._primary[1:3]:
                self.close()
                self._dialer = Dialer(primary.host, primary.port)
            self._primary = primary
        if self._dialer is not None:
            self._dialer.renew()

    async def open(
        self, hear: Callable[[bytes, bytes], None], lost: Callable[[str], None], lifetime: Lifetime
    ) -> Wire:
        """Open a connection, on which nothing has been asked yet; see `Wire`.

        Raises:
            OSError: It can't be opened.
        """
        wire = Wire(hear, lost, lifetime)
        if self._dialer is not None:
            await self._dialer.connect(wire, self.address.tls())
            return wire
        connecting = asyncio.get_running_loop().create_unix_connection(lambda: wire, self.address.path)
        try:
            await asyncio.wait_for(connecting, WITHIN)
        except OSError as error:
            raise Unreachable(f"{self.address.path}: {error.strerror or error}") from None
        return wire

    async def enter(self, wire: Wire) -> None:
        """Log in on a new connection, and choose the database.

        Raises:
            hiredis.ReplyError: The server refuses.
            LostError: The connection has ended.
        """
        if self.address.login:
            await wire.ask("AUTH", *self.address.login)
        if self.address.database:
            await wire.ask("SELECT", self.address.database)

    async def examine(self, wire: Wire) -> None:
        """Check whether nodes can use this server.

        Raises:
            Unfit: It is too old, or a sentinel named it as the primary and it is not.
            hiredis.ReplyError: It refuses to tell its role, which is only asked if a sentinel named it.
        """
        _check(await _told(wire, "HELLO"))
        if self._primary is not None:
            role = (await wire.ask("ROLE"))[0].decode()
            if role != "master":
                raise Unfit(
                    f"{self._at()} says that it is a {role}, but the sentinel at {self._primary.sentinel} "
                    "names it as the primary"
                )

    def where(self) -> str:
        """Return the log's words for where the connections lead; empty if the server's name says it all."""
        dialer, primary = self._dialer, self._primary
        if dialer is None or (primary is None and dialer.reached == dialer.name):
            return ""
        by = f", by the sentinel at {primary.sentinel}" if primary is not None else ""
        passed_over = f" ({'; '.join(dialer.passed_over)})" if dialer.passed_over else ""
        return f" to {self._at()}{by}{passed_over}"

    def _at(self) -> str:
        return self._dialer.reached if self._dialer is not None else str(self.address)

    def shun(self) -> None:
        """From now on, try other addresses first: the server that was reached can't be used now."""
        self._useless = self._primary
        if self._dialer is not None:
            self._dialer.shun()

    def close(self) -> None:
        """End what runs in the background."""
        if self._dialer is not None:
            self._dialer.close()
        if self._sentinels is not None:
            self._sentinels.close()


async def _told(wire: Wire, command: str) -> dict[bytes, Any]:
    """Return what the server says about itself; empty if it refuses, or does not know the command."""
    try:
        facts = await wire.ask(command)
    except hiredis.ReplyError:
        return {}
    return dict(zip(facts[::2], facts[1::2], strict=True))


def _check(facts: dict[bytes, Any]) -> None:
    version = facts.get(b"version", b"").decode()
    found = re.match(r"(\d+)\.(\d+)\.", version)
    if facts.get(b"server") == b"redis" and found and (int(found[1]), int(found[2])) < OLDEST:
        raise Unfit(f"it is Redis {version}, and {OLDEST[0]}.{OLDEST[1]} or later is needed")
