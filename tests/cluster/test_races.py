"""Peers of two nodes who want the same at the same time."""

from __future__ import annotations

import asyncio
import random

import pytest

from cluster.crowds import crowd
from cluster.service import Store, holders, nodes, rosters
from support.cut import Cut, cut
from support.peers import RawPeer
from support.redis import RedisServer


def slowly(proxy: Cut) -> str:
    """Delay every piece between a node and Redis at random; returns the URL to give to the node."""
    chance = random.Random(proxy.port)  # noqa: S311 - delays are no secret
    proxy.delay = lambda: chance.random() * 0.01
    return f"redis://127.0.0.1:{proxy.port}/0"


@pytest.mark.promise(
    "Many nodes",
    "Two peers that join at once on two nodes are told of each other once, with opposite parts; caps hold "
    "for the whole service",
)
async def test_two_who_join_at_once_are_told_of_each_other_once(store: Store) -> None:
    """And each of the opposite part in the negotiation."""
    async with nodes(store.url, store.url) as (one, two), crowd() as peers:
        pair = [await peers.join(url, "before") for url in (one.url, two.url)]
        await holders(store, *pair)
        rooms = [f"race {number}" for number in range(50)]
        acks = []
        for room in rooms:
            acks.append(await asyncio.gather(*(peer.enter(room) for peer in pair)))
            await asyncio.gather(*(peer.hears("new_peer", room=room) for peer in pair))
        await peers.settled(*pair)
        for room, (one_got, other_got) in zip(rooms, acks, strict=True):
            assert sorted(len(ack["peers"]) for ack in (one_got, other_got)) == [0, 1], (one_got, other_got)
            for peer, other in (pair, pair[::-1]):
                told = peer.all("new_peer", room=room)
                assert [each["peerId"] for each in told] == [other.peer_id], peer.history()
                assert told[0]["polite"] is (peer.peer_id > other.peer_id)


@pytest.mark.promise(
    "Many nodes",
    "Two peers that join at once on two nodes are told of each other once, with opposite parts; caps hold "
    "for the whole service",
)
async def test_of_three_who_race_for_two_places_two_get_in(store: Store) -> None:
    options = ("--room-capacity", "2")
    async with nodes(store.url, store.url, options=options) as (one, two), crowd() as peers:
        three = [
            await peers.join(url, f"before {number}")
            for number, url in enumerate((one.url, one.url, two.url))
        ]
        await holders(store, *three)
        for number in range(20):
            room = f"race {number}"
            before = {peer.peer_id: peer.room for peer in three}
            acks = await asyncio.gather(*(peer.enter(room) for peer in three))
            inside = [peer for peer, ack in zip(three, acks, strict=True) if ack["ok"]]
            assert len(inside) == 2, acks
            (refused,) = [ack["error"]["code"] for ack in acks if not ack["ok"]]
            assert refused == "room_full"
            await peers.settled(*inside)
            (outside,) = [peer for peer in three if peer not in inside]
            kept = await rosters(store)
            assert set(kept[room]) == {peer.peer_id for peer in inside}
            assert outside.peer_id in kept[before[outside.peer_id]], "the refused one has lost its place"
            for peer in inside:
                assert outside.peer_id not in peer.counted("new_peer", room), peer.history()


@pytest.mark.promise(
    "Many nodes", "Signals between nodes keep their order, and never arrive before their sender is known"
)
@pytest.mark.parametrize("meshed", [False, True], ids=["by Redis", "past Redis"])
async def test_signals_keep_their_order_and_come_behind_their_sender_however_slow_redis_is(
    redis: RedisServer,
    meshed: bool,  # noqa: FBT001
) -> None:
    """Nodes that know Redis by two addresses don't meet past it."""
    pairs, rounds, burst = 5, 10, 20
    async with cut(redis.port) as first, cut(redis.port) as second:
        urls = [slowly(proxy) for proxy in ((first, first) if meshed else (first, second))]
        async with nodes(*urls) as (one, two), crowd() as peers:
            senders = await peers.fill(one.url, [f"pair {number}" for number in range(pairs)])
            targets = await peers.fill(two.url, [f"pair {number}" for number in range(pairs)])
            await peers.settled(*senders, *targets)
            await holders(redis, *senders, *targets)
            await asyncio.gather(
                *(_offers(*pair, rounds, burst) for pair in zip(senders, targets, strict=True))
            )
            for sender, target in zip(senders, targets, strict=True):
                told = [each for each in target.told if _about(each.data) == sender.peer_id]
                heard = [each.data["signal"] if each.event == "signal" else each.event for each in told]
                once = ["new_peer", *range(burst), "peer_disconnected"]
                assert heard == ["new_peer", "peer_disconnected"] + once * rounds, target.history()


def _about(data: dict[str, object]) -> object:
    return data.get("fromId", data.get("peerId"))


async def _has_heard(target: RawPeer, signals: int) -> None:
    await target.holds(lambda: len(target.all("signal")) >= signals, f"{signals} signals")


async def _offers(sender: RawPeer, target: RawPeer, rounds: int, burst: int) -> None:
    """Leave, come back and send an offer and its candidates in one go, again and again."""
    room = sender.room
    for number in range(1, rounds + 1):
        await sender.ask("leave_room", {})
        ack = await sender.enter(room)
        assert [each["peerId"] for each in ack["peers"]] == [target.peer_id], ack
        for candidate in range(burst):
            await sender.emit("signal", {"targetId": target.peer_id, "signal": candidate})
        await _has_heard(target, number * burst)
    await sender.ask("leave_room", {})
    await target.holds(
        lambda: len(target.all("peer_disconnected", peerId=sender.peer_id)) == rounds + 1, "the last leave"
    )
