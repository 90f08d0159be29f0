"""Two nodes on one Redis server, without peers' connections: backends with sites that remember."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from support.redis import RedisServer, redis_server
from support.sites import KeptSite
from support.waiting import WITHIN, eventually
from walkie_signal.backends.redis import RedisBackend
from walkie_signal.core.changes import Member

ROOM = "walkie-signal:/:room:{r}"
NODES = "walkie-signal:/:{nodes}"


def frame(word: str) -> str:
    """Return the text of an event, which nodes hand over."""
    return f'42["signal",{{"fromId":"x","signal":"{word}"}}]'


class Site:
    """A backend and its node."""

    def __init__(self, url: str) -> None:
        self.backend = RedisBackend(url)
        self.kept = KeptSite()
        self._falls = self._known_falls = 0
        self._down, self.backend._uplink._down = self.backend._uplink._down, self._fall

    def _fall(self) -> None:
        self._falls += 1
        self._down()

    @property
    def fell(self) -> bool:
        """Whether the backend was cut off since it was last seen ready, for however short a time."""
        return self._falls > self._known_falls

    def rose(self) -> bool:
        """Look whether the backend can order changes; if it can, what cut it off before is done with."""
        if self.backend.ready:
            self._known_falls = self._falls
        return self.backend.ready

    def member(self, peer_id: str, room: str = "r") -> Member:
        return Member(peer_id, room, None, None, self.backend.node_id)

    async def join(self, peer_id: str, room: str = "r", capacity: int = 1000) -> Member:
        member = self.member(peer_id, room)
        await self.backend.join(member, capacity)
        return member

    @property
    def channel(self) -> str:
        return f"walkie-signal:/:node:{{{self.backend.node_id}}}"

    async def until(self, condition: Callable[[], bool], within: float = WITHIN) -> None:
        await self.kept.until(condition, within)


@asynccontextmanager
async def pair(count: int = 2) -> AsyncIterator[tuple[RedisServer, Any]]:
    """Run a Redis server and nodes on it; gives the server and the nodes."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(redis_server())
        sites = [Site(server.url) for _ in range(count)]
        await asyncio.gather(*(site.backend.start(site.kept) for site in sites))
        for site in sites:
            stack.push_async_callback(site.backend.close)
        assert all(site.backend.ready for site in sites)
        yield server, sites


async def ready(site: Site, within: float = WITHIN) -> None:
    """Wait until a backend can order changes."""
    await eventually(site.rose, what="ready", within=within)


async def away(site: Site, within: float = WITHIN) -> None:
    """Wait until a backend has known that it can't, since `ready`; it may be back already."""
    await eventually(lambda: site.fell, what="cut off", within=within)
