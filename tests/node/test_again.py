"""Peers that join the room they are in: who hears of it, and how much that may come to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import pytest

from support.limits import unlimited
from support.links import Phone
from support.nodes import on_the_clock, phone, running
from support.redis import RedisServer, redis_server
from walkie_signal.backends.redis import RedisBackend
from walkie_signal.core.pacing import BURST
from walkie_signal.node.node import Node

INTERVAL = 0.4
STORES = pytest.mark.parametrize(
    "count",
    [
        pytest.param(0, id="memory"),
        pytest.param(2, id="Redis, two nodes", marks=pytest.mark.programs),
    ],
)


@asynccontextmanager
async def nodes_on(count: int, **settings: Any) -> AsyncIterator[tuple[RedisServer | None, list[Node]]]:
    chosen = unlimited(**{"status_interval": 0, "announce_interval": INTERVAL, **settings})
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(redis_server()) if count else None
        backends = [RedisBackend(server.url) for _ in range(count)] if server is not None else [None]
        yield server, [await stack.enter_async_context(running(chosen, each)) for each in backends]


async def room_of(nodes: list[Node], count: int, **claims: Any) -> list[Phone]:
    """Put peers into a room, spread over nodes, and wait until each has heard of all."""
    peers = [phone(nodes[n % len(nodes)], f"p{n:03}") for n in range(count)]
    for peer in peers:
        assert (await peer.call("join_room", {"room": "r", **claims}))["ok"]
    for peer in peers:
        await peer.link.until(partial(knows, peer, count))
    for peer in peers:
        peer.link.texts.clear()
    return peers


def knows(peer: Phone, count: int) -> bool:
    statuses = peer.link.events("room_status")
    return bool(statuses) and len(statuses[-1][1]["members"]) == count


def announced(peer: Phone) -> int:
    return len([payload for _, payload in peer.link.events("new_peer") if payload["peerId"] == "p000"])


async def once(peers: list[Phone], count: int) -> None:
    for peer in peers:
        await peer.link.until(partial(lambda peer: announced(peer) >= count, peer))


@pytest.mark.promise(
    "The wire",
    "A join that changes nothing is told to the others at once, then once in 5 s, and only the joiner gets "
    "the roster",
)
@STORES
async def test_the_others_hear_it_at_once_then_once_when_the_interval_is_over(count: int) -> None:
    async with nodes_on(count) as (_, nodes):
        again, *others = await room_of(nodes, 4, userId=7.0, role="guard")
        same = {"room": "r", "userId": 7, "role": "guard"}
        started = asyncio.get_running_loop().time()
        for _ in range(20):
            assert len((await again.call("join_room", same))["peers"]) == 3
        await once(others, 1)
        assert [announced(each) for each in others] == [1, 1, 1]
        assert again.link.order() == ["ack", *["new_peer"] * 3, "room_status"] * 20
        await once(others, 2)
        assert asyncio.get_running_loop().time() - started > INTERVAL / 2
        for each in others:
            each.emit("signal", {"targetId": "p000", "signal": 1})
        await again.link.until(lambda: len(again.link.events("signal")) == 3)
        assert [announced(each) for each in others] == [2, 2, 2]
        assert [each.link.events("room_status", "peer_disconnected") for each in others] == [[]] * 3


@pytest.mark.promise(
    "The wire",
    "A join that changes nothing is told to the others at once, then once in 5 s, and only the joiner gets "
    "the roster",
)
@STORES
async def test_what_changes_is_told_to_all_at_once_each_time(count: int) -> None:
    async with nodes_on(count, announce_interval=30) as (_, nodes):
        again, *others = await room_of(nodes, 4)
        said: list[dict[str, Any]] = [{"role": "a"}, {"role": "b"}, {"userId": 7}, {"userId": "7"}, {}]
        for number, claims in enumerate(said, 1):
            assert (await again.call("join_room", {"room": "r", **claims}))["ok"]
            await once(others, number)
            for each in others:
                told = [payload for _, payload in each.link.events("new_peer") if payload["peerId"] == "p000"]
                assert {key: told[-1][key] for key in claims} == claims
                await each.link.until(
                    partial(lambda n, e: len(e.link.events("room_status")) == n, number, each)
                )


@STORES
async def test_who_leaves_or_goes_is_not_announced_and_leaves_nothing_behind(count: int) -> None:
    async with nodes_on(count, rooms_per_peer=2) as (_, nodes):
        first, second, other = await room_of(nodes, 3)
        for each in (first, second):
            for _ in range(2):
                assert (await each.call("join_room", {"room": "r"}))["ok"]
        await once([other], 1)
        await first.call("leave_room")
        await second.call("join_room", {"room": "q"})
        nodes[1 % len(nodes)].disconnect(second.peer_id, "disconnected")
        await second.peer.settled()
        await other.link.until(lambda: len(other.link.events("peer_disconnected")) == 2)
        for node in nodes:
            assert (node.census().announcements, on_the_clock(node, "announcement")) == (0, {})


@pytest.mark.promise(
    "The wire",
    "A join that changes nothing is told to the others at once, then once in 5 s, and only the joiner gets "
    "the roster",
)
@pytest.mark.programs
async def test_when_redis_is_away_it_is_told_when_it_is_back() -> None:
    async with nodes_on(2) as (server, nodes):
        assert server is not None
        again, _, other, far = await room_of(nodes, 4)
        await again.call("join_room", {"room": "r"})
        await once([other, far], 1)
        server.stop()
        assert (await again.call("join_room", {"room": "r"}))["ok"], "it is there, and told later"
        await asyncio.sleep(INTERVAL * 1.5)  # the announcement is under way, and finds nobody
        server.cont()
        await once([other, far], 2)


async def bytes_sent(peers: list[Phone], ask: Callable[[], Any], event: str) -> int:
    for peer in peers:
        peer.link.texts.clear()
    await ask()
    return sum(len(text) for peer in peers for text in peer.link.texts if f'"{event}"' in text)


@pytest.mark.promise(
    "The wire",
    "A join that changes nothing is told to the others at once, then once in 5 s, and only the joiner gets "
    "the roster",
)
@pytest.mark.parametrize("size", [20, 200])
async def test_a_second_join_costs_as_much_as_one_roster_however_large_the_room(size: int) -> None:
    """36 bytes made a server send 38 MB: the roster of 1,000 to each of them."""
    async with nodes_on(0) as (_, nodes):
        peers = await room_of(nodes, size)
        again = peers[0]

        async def rejoin() -> None:
            assert (await again.call("join_room", {"room": "r"}))["ok"]

        sent = [await bytes_sent(peers, rejoin, "room_status") for _ in range(5)]
        assert max(sent) < size * 60
        assert await bytes_sent(peers, rejoin, "new_peer") < size * 100, (
            "to the joiner; the others have heard"
        )


@pytest.mark.promise(
    "The wire",
    "`room_status` is sent at once, then at its pace, which is slower in larger rooms, and the last state "
    "is always sent",
)
async def test_rosters_come_the_slower_the_larger_the_room_and_the_last_one_always() -> None:
    async with nodes_on(0, status_bytes=100_000) as (_, nodes):
        peers = [phone(nodes[0], f"p{n:03}") for n in range(60)]
        for peer in peers:
            assert (await peer.call("join_room", {"room": "r"}))["ok"]
        begun = asyncio.get_running_loop().time()
        before = len(peers[1].link.events("room_status"))
        for number in range(40):
            await peers[0].call("join_room", {"room": "r", "role": str(number)})
            await asyncio.sleep(0.01)
        for peer in peers:
            await peer.link.until(partial(lambda one: knows(one, 60) and last_role(one) == "39", peer))
        took = asyncio.get_running_loop().time() - begun
        rosters = [text for peer in peers for text in peer.link.texts if '"room_status"' in text]
        largest = max(map(len, rosters))
        # what was told ahead and at once, and then no more than the rate allows
        assert sum(map(len, rosters)) < 100_000 * (took + BURST) + 2 * 60 * largest
        assert len(peers[1].link.events("room_status")) - before < 10


def last_role(peer: Phone) -> str | None:
    members = peer.link.events("room_status")[-1][1]["members"]
    return next((member.get("role") for member in members if member["peerId"] == "p000"), None)
