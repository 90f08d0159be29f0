"""Many peers dropped at once, and all of them back."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable

import pytest

from cluster.crowds import Crowd, crowd
from cluster.service import Store, holders, nodes, rosters
from support.cut import cut
from support.peers import RawPeer
from support.waiting import eventually

PEERS = 300
ROOMS = [f"room {number}" for number in range(30)]
JITTER = 3.0
"""Seconds over which they come back."""
BACK = 30.0
"""Seconds in which all are back."""


@pytest.mark.promise("Many nodes", "300 peers dropped at once are back within 30 s, with no ghost")
async def test_300_peers_dropped_at_once_are_all_back_and_no_ghost_with_them(
    store: Store, record_property: Callable[[str, object], None]
) -> None:
    chance = random.Random(1)  # noqa: S311 - the same run each time
    async with nodes(store.url, store.url) as (one, two), crowd() as peers:
        ports = [int(node.url.rpartition(":")[2]) for node in (one, two)]
        async with cut(ports[0]) as first, cut(ports[1]) as second:
            urls = [f"http://127.0.0.1:{proxy.port}" for proxy in (first, second)]
            before = [await peers.fill(url, ROOMS, PEERS // len(ROOMS) // 2) for url in urls]
            dropped = [peer for each in before for peer in each]
            assert len(dropped) == PEERS
            await peers.settled(*dropped)
            await holders(store, *dropped)
            start = time.monotonic()
            first.cut()
            second.cut()
            await asyncio.gather(*(peer.closed(5) for peer in dropped))
            back = await asyncio.gather(
                *(_back(peers, chance.choice(urls), peer.room, JITTER * chance.random()) for peer in dropped)
            )
            returned = [peer for peer, _ in back]
            await peers.settled(*returned, within=start + BACK - time.monotonic())
            joins = sorted(took for _, took in back)
            record_property("join_p99_s", joins[int(len(joins) * 0.99)])
            record_property("all_back_s", time.monotonic() - start)
            await holders(store, *returned)
            living = {peer.peer_id for peer in returned}
            await eventually(
                lambda: rosters(store),
                lambda kept: {peer for members in kept.values() for peer in members} == living,
                "the living alone",
                5,
            )
            for peer in returned:
                assert set(peer.counted("new_peer", peer.room).values()) == {1}, peer.history()


async def _back(peers: Crowd, url: str, room: str, delay: float) -> tuple[RawPeer, float]:
    await asyncio.sleep(delay)
    start = time.monotonic()
    peer = await peers.connect(url)
    await peer.enter_at_last(room, BACK)
    return peer, time.monotonic() - start
