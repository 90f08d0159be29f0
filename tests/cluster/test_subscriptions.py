"""A node whose subscription to Redis was cut, or which hears nothing any more, notices and mends it."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Literal

import pytest

from cluster.crowds import Crowd, crowd
from cluster.service import BASE, holders, nodes
from support.cut import cut
from support.peers import RawPeer
from support.redis import RedisServer
from support.waiting import eventually

MENDED = 4.0
"""Seconds: 3 are promised, one more for a busy machine."""


@pytest.mark.promise(
    "Many nodes", "A subscription that is cut, or a node that hears nothing, is mended within seconds"
)
async def test_subscriptions_that_were_killed_are_back_at_once(redis: RedisServer) -> None:
    async with nodes(redis.url, redis.url) as (one, two), crowd() as peers:
        members = [await peers.join(url, "gate") for url in (one.url, two.url)]
        held_by = await holders(redis, *members)
        assert await _subscribers(redis) == dict.fromkeys(held_by.values(), 1)
        for _ in range(3):
            start = time.monotonic()
            assert await redis.command("CLIENT", "KILL", "TYPE", "pubsub") >= len(held_by)
            members = await _mended(peers, members, start)
        await eventually(
            lambda: _subscribers(redis),
            lambda found: found == dict.fromkeys(held_by.values(), 1),
            "one subscriber for each node",
            MENDED,
        )


@pytest.mark.promise(
    "Many nodes", "A subscription that is cut, or a node that hears nothing, is mended within seconds"
)
@pytest.mark.parametrize("lines", ["every", "subscribed"])
async def test_a_node_that_went_deaf_notices(
    redis: RedisServer, lines: Literal["every", "subscribed"]
) -> None:
    async with (
        cut(redis.port) as proxy,
        nodes(redis.url.replace(str(redis.port), str(proxy.port)), redis.url) as (deaf, other),
        crowd() as peers,
    ):
        members = [await peers.join(url, "gate") for url in (deaf.url, other.url)]
        held_by = await holders(redis, *members)
        start = time.monotonic()
        ports = await _subscribed_ports(redis) if lines == "subscribed" else None
        assert proxy.swallow("in", ports=ports), "no line to swallow on"
        await _mended(peers, members, start)
        await eventually(
            lambda: _subscribers(redis),
            lambda found: found == dict.fromkeys(held_by.values(), 1),
            "one subscriber for each node, the one before gone",
            MENDED,
        )


async def _mended(peers: Crowd, members: list[RawPeer], start: float) -> list[RawPeer]:
    """Wait until a join, and signals both ways, are heard across the nodes; returns all members then.

    No member was announced gone. A joiner may be announced twice: its first try can have been
    carried out, and the answer lost.
    """
    one, two = members[0], members[1]
    joiners = [await peers.connect(peer.url) for peer in (two, one)]
    await asyncio.gather(
        _reaches(one, two, start),
        _reaches(two, one, start),
        *(joiner.enter_at_last("gate", within=MENDED) for joiner in joiners),
    )
    await peers.settled(*members, *joiners, within=max(0.1, start + MENDED - time.monotonic()))
    for member in members:
        for other in members:
            assert member.counted("new_peer", "gate")[other.peer_id] == (other is not member), (
                member.history()
            )
            assert not member.all("peer_disconnected", peerId=other.peer_id), member.history()
    return [*members, *joiners]


async def _reaches(sender: RawPeer, target: RawPeer, start: float) -> None:
    """Send signals until one is heard."""
    numbers: list[str] = []
    while time.monotonic() < start + MENDED:
        numbers.append(f"{start} {len(numbers)}")
        await sender.emit("signal", {"targetId": target.peer_id, "signal": numbers[-1]})
        await asyncio.sleep(0.1)
        if any(each["signal"] == numbers[-1] for each in target.all("signal")):
            return
    raise AssertionError(
        f"no signal of {sender.history()}\n  was heard within {MENDED} s; {target.history()}"
    )


async def _subscribers(redis: RedisServer) -> dict[str, int]:
    """Count who listens to each node's own channel."""
    channels = await redis.command("PUBSUB", "CHANNELS", f"{BASE}:node:*")
    counts = await redis.command("PUBSUB", "NUMSUB", *channels) if channels else []
    pairs = counts.items() if isinstance(counts, dict) else zip(counts[::2], counts[1::2], strict=True)
    return {name.removeprefix(f"{BASE}:node:")[1:-1]: count for name, count in pairs}


async def _subscribed_ports(redis: RedisServer) -> set[int]:
    """Return the ports of those who subscribe to anything, as Redis sees them."""
    listed = str(await redis.command("CLIENT", "LIST", "TYPE", "pubsub"))
    return {int(port) for port in re.findall(r" addr=[^ ]*:(\d+) ", listed)}
