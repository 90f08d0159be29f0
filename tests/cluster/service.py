"""Nodes of one service, and what Redis holds of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

from support.peers import RawPeer
from support.redis import RedisServer
from support.servers import Serving, serve

BASE = "walkie-signal:/"
"""What each key and channel begins with, the namespace included."""

ROOM = f"{BASE}:room:"

T = TypeVar("T")


@asynccontextmanager
async def nodes(*redis_urls: str, options: Iterable[str] = ()) -> AsyncIterator[list[Serving]]:
    """Run a node of ``walkie-signal serve`` for each URL of Redis."""
    async with AsyncExitStack() as stack:
        starting = (
            stack.enter_async_context(serve("--redis-url", url, "--log-level", "debug", *options))
            for url in redis_urls
        )
        yield list(await asyncio.gather(*starting))


async def rosters(redis: RedisServer) -> dict[str, dict[str, str]]:
    """Return the members of each room as Redis keeps them, each with its node."""
    found = {}
    for key in await redis.keys(f"{ROOM}*"):
        fields = await redis.command("HGETALL", key)
        members = {peer: value.split(" ", 2)[1] for peer, value in fields.items() if peer}
        found[key.removeprefix(ROOM)[1:-1]] = members
    return found


async def holders(redis: RedisServer, *peers: RawPeer) -> dict[str, str]:
    """Tell which node serves each URL; fails unless each of the peers is held by its own URL's node."""
    kept = await rosters(redis)
    found: dict[str, str] = {}
    for peer in peers:
        node = kept.get(peer.room, {}).get(peer.peer_id)
        assert node is not None, f"{peer.peer_id} is not in {kept}"
        assert found.setdefault(peer.url, node) == node, f"two nodes at {peer.url}"
    assert len(set(found.values())) == len({peer.url for peer in peers}), f"one node at two URLs: {found}"
    return found


async def contents(redis: RedisServer) -> dict[str, str]:
    """Return all that Redis holds, each key's value as text."""
    reads = {
        "hash": ("HGETALL",),
        "set": ("SMEMBERS",),
        "string": ("GET",),
        "zset": ("ZRANGE", 0, -1),
        "list": ("LRANGE", 0, -1),
    }
    found = {}
    for key in await redis.keys():
        read = reads.get(await redis.command("TYPE", key))
        if read is not None:  # else it has gone since
            found[key] = str(await redis.command(read[0], key, *read[1:]))
    return found


async def traces(redis: RedisServer, *marks: str) -> dict[str, str]:
    """Return the keys in whose name or value one of the marks stands: the id of a node, or of a peer."""
    found = await contents(redis)
    return {key: value for key, value in found.items() if any(mark in f"{key} {value}" for mark in marks)}


async def quiet(seconds: float) -> None:
    """Leave time for what must not happen."""
    await asyncio.sleep(seconds)
