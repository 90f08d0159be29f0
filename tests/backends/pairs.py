"""Two nodes on one Redis server, without peers' connections: backends with sites that remember."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from support.redis import RedisServer, redis_server
from support.sites import KeptSite
from support.waiting import WITHIN, becomes, eventually
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
    await eventually(lambda: site.backend.ready, what="ready", within=within)


async def away(site: Site, within: float = WITHIN) -> None:
    """Wait until a backend knows that it can't."""
    await becomes(lambda: site.backend.ready, expected=False, within=within)
