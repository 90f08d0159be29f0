"""What Redis holds belongs to the living."""

from __future__ import annotations

import asyncio
import random

import pytest

from cluster.crowds import Crowd, crowd
from cluster.service import BASE, ROOM, contents, holders, nodes, rosters
from support.peers import RawPeer
from support.redis import RedisServer
from support.waiting import eventually

ROOMS = [f"room {number}" for number in range(6)]


@pytest.mark.promise("Many nodes", "Redis never fills up: each key belongs to a living node, or expires")
async def test_after_much_coming_and_going_every_key_belongs_to_the_living(redis: RedisServer) -> None:
    async with nodes(redis.url, redis.url) as (one, two), crowd() as peers:
        urls = (one.url, two.url)
        first = [peer for url in urls for peer in await peers.fill(url, ROOMS)]
        held_by = await holders(redis, *first)
        living = [each for seed in range(20) for each in [await _churn(peers, urls, seed)]]
        everybody = [*first, *living]
        inside = {peer.peer_id: peer.room for peer in everybody}
        await eventually(
            lambda: _places(redis), lambda places: places == inside, "the living where they are", 10
        )
        await peers.settled(*everybody)
        gone = {peer.peer_id for peer in peers.peers} - set(inside)
        assert len(gone) > 20, "the churn did not churn"
        kept = await contents(redis)
        assert not {
            key: value for key, value in kept.items() if any(peer in f"{key} {value}" for peer in gone)
        }
        await _each_has_an_end_or_an_owner(redis, kept, set(held_by.values()))
        await asyncio.gather(*(peer.abort() for peer in everybody))
        empty = await eventually(
            lambda: contents(redis),
            lambda found: (
                not any(peer in f"{found}" for peer in inside) and not any(ROOM in key for key in found)
            ),
            "empty of peers and rooms",
            10,
        )
        await _each_has_an_end_or_an_owner(redis, empty, set(held_by.values()))


async def _churn(peers: Crowd, urls: tuple[str, ...], seed: int) -> RawPeer:
    """Come, go, move and be dropped; returns the peer that stays in the end."""
    chance = random.Random(seed)  # noqa: S311 - the same run each time
    peer = await peers.join(chance.choice(urls), chance.choice(ROOMS), userId=seed)
    for _ in range(12):
        deed = chance.choice(("move", "leave", "again", "goodbye", "drop", "drop while joining"))
        if deed == "leave":
            await peer.ask("leave_room", {})
        elif deed == "again":
            await peer.enter(peer.room, role=chance.choice(("guard", "gate")))
        elif deed == "goodbye":
            await peer.send("41", "1")
        elif deed == "drop":
            await peer.abort()
        elif deed == "drop while joining":
            await peer.begin("join_room", {"room": chance.choice(ROOMS)})
            await peer.abort()
        if deed in ("goodbye", "drop", "drop while joining"):
            peer = await peers.join(chance.choice(urls), chance.choice(ROOMS), userId=seed)
        else:
            ack = await peer.enter(chance.choice(ROOMS))
            assert ack["ok"], ack
    return peer


async def _places(redis: RedisServer) -> dict[str, str]:
    return {peer: room for room, members in (await rosters(redis)).items() for peer in members}


async def _each_has_an_end_or_an_owner(redis: RedisServer, kept: dict[str, str], living: set[str]) -> None:
    """A key expires, or belongs to a node that is there, or is one of the service's own, of which there are few."""
    endless = [key for key in kept if await redis.command("PTTL", key) == -1]
    unowned = [key for key in endless if not any(node in key for node in living)]
    assert set(unowned) <= {f"{BASE}:{{nodes}}", f"{BASE}:{{nodes}}:generation"}, kept
