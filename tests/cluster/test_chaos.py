"""Whatever happens between nodes and their store, in the end everybody knows just who is there."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import time
from collections import Counter

import pytest

from cluster.crowds import Crowd, crowd
from cluster.service import Folder, Store, holders, nodes, rosters
from support.cut import Cut, cut
from support.peers import RawPeer
from support.redis import RedisServer
from support.servers import Serving
from support.waiting import eventually

ROOMS = [f"room {number}" for number in range(3)]
SEED = int(os.environ.get("CHAOS_SEED", str(time.time_ns() % 100_000)))
TROUBLE = 10.0
"""Seconds in which things go wrong; each for less than a node's lease, so that nobody is given up."""
HEALED = 12.0
"""Seconds in which all is right again: a lease and some."""


@pytest.mark.promise(
    "Many nodes", "After cuts, deafness and lost memory in any order, every peer knows who is there"
)
async def test_after_cuts_deafness_and_lost_memory_everybody_knows_who_is_there(redis: RedisServer) -> None:
    chance = random.Random(SEED)  # noqa: S311 - the same trouble for the same seed
    async with cut(redis.port) as first, cut(redis.port) as second, crowd() as peers:
        proxies = (first, second)
        urls = [f"redis://127.0.0.1:{proxy.port}/0" for proxy in proxies]
        async with nodes(*urls) as served:
            settled = [peer for node in served for peer in await peers.fill(node.url, ROOMS, 2)]
            await peers.settled(*settled)
            await holders(redis, *settled)
            until = time.monotonic() + TROUBLE
            restless = await asyncio.gather(
                _make_trouble(redis, proxies, chance, until),
                *(_wander(peers, [node.url for node in served], seed, until) for seed in range(8)),
            )
            everybody = [*settled, *(peer for peer in restless if peer is not None)]
            try:
                await peers.settled(*everybody, within=HEALED)
                inside = {peer.peer_id: peer.room for peer in everybody}
                await eventually(lambda: _places(redis), lambda kept: kept == inside, "the living alone", 5)
                await holders(redis, *everybody)
                for peer in everybody:
                    _was_told_right(peer, everybody, settled)
            except AssertionError as error:
                logs = "\n".join(_log_of(node) for node in served)
                raise AssertionError(f"CHAOS_SEED={SEED}: {error}\n{logs}") from None


@pytest.mark.promise("One machine", "After stops and lost files in any order, every peer knows who is there")
async def test_after_stops_and_lost_files_everybody_knows_who_is_there(folder: Folder) -> None:
    chance = random.Random(SEED)  # noqa: S311 - the same trouble for the same seed
    async with nodes(*[folder.url] * 3) as served, crowd() as peers:
        settled = [peer for node in served for peer in await peers.fill(node.url, ROOMS, 2)]
        await peers.settled(*settled)
        until = time.monotonic() + TROUBLE
        restless = await asyncio.gather(
            _make_trouble_on_a_machine(folder, served, chance, until),
            *(_wander(peers, [node.url for node in served], seed, until) for seed in range(8)),
        )
        everybody = [*settled, *(peer for peer in restless if peer is not None)]
        try:
            await peers.settled(*everybody, within=HEALED)
            inside = {peer.peer_id: peer.room for peer in everybody}
            await eventually(lambda: _places(folder), lambda kept: kept == inside, "the living alone", 5)
            await holders(folder, *everybody)
            for peer in everybody:
                _was_told_right(peer, everybody, settled)
        except AssertionError as error:
            logs = "\n".join(_log_of(node) for node in served)
            raise AssertionError(f"CHAOS_SEED={SEED}: {error}\n{logs}") from None


async def _make_trouble_on_a_machine(
    folder: Folder, served: list[Serving], chance: random.Random, until: float
) -> None:
    """Stop nodes, never the same one twice running, for less than a lease, but long enough for another keeper.

    And lose files of theirs.
    """
    node = served[0]
    while time.monotonic() < until:
        deed = chance.choice(("stopped", "stopped", "folder", "lock", "socket"))
        node = chance.choice([each for each in served if each is not node])
        length = chance.random() * 3.5
        if deed == "stopped":
            node.program.send_signal(signal.SIGSTOP)
        elif deed == "folder":
            for group in folder.path.iterdir():
                shutil.rmtree(group, ignore_errors=True)
        else:
            for path in folder.path.rglob(f"*.{deed[:4]}"):
                if chance.random() < 0.5:
                    path.unlink(missing_ok=True)
        await asyncio.sleep(length)
        node.program.send_signal(signal.SIGCONT)
        await asyncio.sleep(chance.random())


async def _make_trouble(
    redis: RedisServer, proxies: tuple[Cut, Cut], chance: random.Random, until: float
) -> None:
    while time.monotonic() < until:
        deed = chance.choice(("cut", "deaf", "mute", "gone", "killed", "stopped", "restarted"))
        proxy, length = chance.choice(proxies), chance.random() * 2.5
        if deed == "cut":
            proxy.cut()
        elif deed == "deaf":
            proxy.swallow("in")
        elif deed == "mute":
            proxy.swallow("out")
        elif deed == "gone":
            proxy.open = False
            proxy.cut()
        elif deed == "killed":
            await redis.command("CLIENT", "KILL", "TYPE", chance.choice(("pubsub", "normal")), "SKIPME", "no")
        elif deed == "stopped":
            redis.stop()
        else:
            await redis.restart()
        await asyncio.sleep(length)
        redis.cont()
        proxy.open = True
        await asyncio.sleep(chance.random())


async def _wander(peers: Crowd, urls: list[str], seed: int, until: float) -> RawPeer | None:
    """Come, move, leave and be dropped; returns the peer if it is in a room in the end."""
    chance = random.Random(SEED + seed)  # noqa: S311 - as above
    peer = await peers.connect(chance.choice(urls))
    while time.monotonic() < until:
        deed = chance.choice(("move", "leave", "drop", "drop while joining"))
        if deed == "move":
            await peer.enter(chance.choice(ROOMS))
        elif deed == "leave":
            await peer.ask("leave_room", {})
        elif deed == "drop while joining":
            await peer.begin("join_room", {"room": chance.choice(ROOMS)})
        if deed.startswith("drop"):
            await peer.abort()
            peer = await peers.connect(chance.choice(urls))
        await asyncio.sleep(chance.random() * 0.3)
    await peer.enter_at_last(chance.choice(ROOMS), HEALED)
    return peer


def _log_of(node: Serving) -> str:
    """Return the end of a node's log, without what peers do."""
    lines = node.program.output.splitlines()
    return "\n".join(
        [node.url, *[line for line in lines if " DEBUG " not in line and "refused" not in line][-40:]]
    )


async def _places(store: Store) -> dict[str, str]:
    return {peer: room for room, members in (await rosters(store)).items() for peer in members}


def _was_told_right(peer: RawPeer, everybody: list[RawPeer], settled: list[RawPeer]) -> None:
    """What it was told adds up to who is there, and none of those who never moved was announced gone."""
    known: Counter[str] = Counter()
    for each in peer.told[peer.entered :]:
        if each.event == "new_peer":
            known[each.data["peerId"]] = 1
        elif each.event == "peer_disconnected":
            assert known.pop(each.data["peerId"], None), f"{each.data} twice, or of nobody: {peer.history()}"
    there = {each.peer_id for each in everybody if each.room == peer.room} - {peer.peer_id}
    assert set(known) == there, f"{sorted(there)} are there; {peer.history()}"
    for other in settled:
        assert not peer.all("peer_disconnected", peerId=other.peer_id), peer.history()
