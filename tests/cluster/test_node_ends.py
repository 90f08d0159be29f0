"""What becomes of a node's peers when the node ends, dies, or sleeps for longer than its lease."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter

import pytest

from cluster.crowds import Crowd, crowd
from cluster.service import Folder, Store, contents, holders, nodes, quiet, rosters, traces
from support.cut import cut
from support.peers import RawPeer
from support.raw import RefusedError
from support.redis import RedisServer
from support.waiting import eventually
from walkie_signal.cli.serving import SHUTDOWN_TIMEOUT

ROOMS = [f"room {number}" for number in range(10)]
LOST_WITHIN = 15.0
"""Seconds in which the peers of a dead node are gone from every roster."""
KILLED_WITHIN = 4.0
"""The same where nodes see at once that a process is dead: it takes two, and as long again under load."""
SECOND_THOUGHTS = 2.0
"""Seconds, some beats of a node, in which anything that is said twice would be."""


@pytest.mark.promise("Many nodes", "On SIGTERM peers are told, and nothing of the node is left in Redis")
async def test_a_node_that_is_told_to_end_tells_its_peers_and_leaves_nothing(store: Store) -> None:
    async with nodes(store.url, store.url) as (ends, stays), crowd() as peers:
        told = await peers.fill(ends.url, ROOMS, 5)
        others = await peers.fill(stays.url, ROOMS)
        held_by = await holders(store, *told, *others)
        start = time.monotonic()
        ends.program.send_signal(signal.SIGTERM)
        assert await ends.program.wait() == 0
        assert time.monotonic() - start < SHUTDOWN_TIMEOUT + 1
        for peer in told:
            await peer.hears("server_draining")
            await peer.closed()
        await peers.settled(*others)
        for peer in others:
            gone = Counter(each.peer_id for each in told if each.room == peer.room)
            assert peer.counted("peer_disconnected", peer.room) == gone, peer.history()
            assert not peer.all("peer_disconnected", reason="node_lost"), peer.history()
        assert await traces(store, held_by[ends.url]) == {}
        assert await traces(store, held_by[stays.url]) != {}, "this would find nothing whatever is left"
        stays.program.send_signal(signal.SIGTERM)
        assert await stays.program.wait() == 0
        assert await contents(store) == {}
        for node in (ends, stays):
            assert "Traceback" not in node.program.output, node.program.output


@pytest.mark.promise(
    "Many nodes",
    "When a node dies, its peers are gone from every roster within 15 s, with one `node_lost` for each and "
    "no ghost",
)
async def test_the_peers_of_a_node_that_dies_are_gone_once_and_for_all(store: Store) -> None:
    async with nodes(*[store.url] * 3) as (dies, *others), crowd() as peers:
        lost = await peers.fill(dies.url, ROOMS, 5)
        survivors = [peer for node in others for peer in await peers.fill(node.url, ROOMS, 5)]
        await peers.settled(*lost, *survivors)
        held_by = await holders(store, *lost, *survivors)
        deadline = time.monotonic() + (KILLED_WITHIN if isinstance(store, Folder) else LOST_WITHIN)
        dies.program.send_signal(signal.SIGKILL)
        await dies.program.wait()
        await _settled_by(deadline, peers, survivors)
        late = [peer for node in others for peer in await peers.fill(node.url, ROOMS)]
        await peers.settled(*survivors, *late)
        await quiet(SECOND_THOUGHTS)
        for peer in survivors:
            _lost_just_once(peer, lost)
        ghosts = {peer.peer_id for peer in lost}
        for peer in late:
            assert not ghosts & set(peer.counted("new_peer", peer.room)), peer.history()
            assert not peer.all("peer_disconnected"), peer.history()
        assert not await traces(store, held_by[dies.url], *ghosts)


@pytest.mark.promise(
    "Many nodes",
    "A node that was frozen or cut off for longer than its lease is fenced, and brings no peer back",
)
async def test_a_node_that_was_frozen_finds_out_and_resurrects_nobody(store: Store) -> None:
    async with nodes(store.url, store.url) as (sleeps, watches), crowd() as peers:
        frozen = await peers.fill(sleeps.url, ROOMS, 2)
        watchers = await peers.fill(watches.url, ROOMS)
        await peers.settled(*frozen, *watchers)
        held_by = await holders(store, *frozen, *watchers)
        start = time.monotonic()
        sleeps.program.send_signal(signal.SIGSTOP)
        for peer, watcher in zip(frozen[::2], watchers, strict=True):
            # what the node finds in its buffers when it wakes
            await peer.begin("signal", {"targetId": watcher.peer_id, "signal": "from beyond"})
            await peer.begin("join_room", {"room": "beyond"})
        await _settled_by(start + LOST_WITHIN, peers, watchers)
        await quiet(max(0.0, start + 13 - time.monotonic()))
        sleeps.program.send_signal(signal.SIGCONT)
        await asyncio.gather(*(peer.closed(within=5) for peer in frozen))
        again = [await _joined_at_last(peers, sleeps.url, room) for room in ROOMS]
        await peers.settled(*watchers, *again)
        await quiet(SECOND_THOUGHTS)
        assert sleeps.program.output.count("trying again") == 1, "it connects as another, and stays that"
        ghosts = {peer.peer_id for peer in frozen}
        for watcher in watchers:
            _lost_just_once(watcher, frozen)
            assert not watcher.all("signal"), watcher.history()
            assert set(watcher.counted("new_peer", watcher.room).values()) == {1}, watcher.history()
        for peer in again:
            assert not ghosts & set(peer.counted("new_peer", peer.room)), peer.history()
        assert sorted(await rosters(store)) == sorted(ROOMS)
        assert await traces(store, held_by[sleeps.url], *ghosts) == {}
        await holders(store, *again, *watchers)
        assert await again[0].signal(watchers[0], "hello") == {"ok": True}
        await watchers[0].hears("signal", signal="hello")


@pytest.mark.promise(
    "Many nodes",
    "A node that was frozen or cut off for longer than its lease is fenced, and brings no peer back",
)
async def test_a_node_that_was_cut_off_for_longer_than_its_lease_finds_out_too(redis: RedisServer) -> None:
    """It runs all the time: it is Redis that it does not reach. Its peers have to come back, and know so."""
    async with cut(redis.port) as proxy, crowd() as peers:
        url = f"redis://127.0.0.1:{proxy.port}/0"
        async with nodes(url, redis.url) as (lonely, watches):
            lost = await peers.fill(lonely.url, ROOMS[:3], 2)
            watchers = await peers.fill(watches.url, ROOMS[:3])
            await peers.settled(*lost, *watchers)
            held_by = await holders(redis, *lost, *watchers)
            deadline = time.monotonic() + LOST_WITHIN
            proxy.open = False
            proxy.cut()
            assert await lost[0].signal(lost[1], "beside") == {"ok": True}
            refused = await lost[0].signal(watchers[0], "across")
            assert refused["error"]["code"] == "unavailable", refused
            await _settled_by(deadline, peers, watchers)
            assert all(peer.is_open for peer in lost), "they were given up before anybody could know"
            proxy.open = True
            await asyncio.gather(*(peer.closed(within=5) for peer in lost))
            again = [await _joined_at_last(peers, lonely.url, room) for room in ROOMS[:3]]
            await peers.settled(*watchers, *again)
            for watcher in watchers:
                _lost_just_once(watcher, lost)
            rooms = {room: set(kept) for room, kept in (await rosters(redis)).items()}
            assert rooms == {
                room: {peer.peer_id for peer in (*watchers, *again) if peer.room == room}
                for room in ROOMS[:3]
            }
            assert held_by[lonely.url] not in (await holders(redis, *again)).values()


async def _settled_by(deadline: float, peers: Crowd, survivors: list[RawPeer]) -> None:
    await peers.settled(*survivors, within=deadline - time.monotonic())


def _lost_just_once(survivor: RawPeer, lost: list[RawPeer]) -> None:
    expected = Counter(each.peer_id for each in lost if each.room == survivor.room)
    assert expected, "it has lost nobody"
    assert survivor.counted("peer_disconnected", survivor.room, reason="node_lost") == expected, (
        survivor.history()
    )
    assert survivor.counted("peer_disconnected", survivor.room) == expected, survivor.history()


async def _joined_at_last(peers: Crowd, url: str, room: str) -> RawPeer:
    async def connected() -> RawPeer | None:
        try:
            return await peers.connect(url)
        except (OSError, RefusedError, AssertionError):  # not taking any yet
            return None

    peer: RawPeer | None = await eventually(connected, lambda peer: peer is not None, "connected", 10)
    assert peer is not None
    await peer.enter_at_last(room)
    return peer
