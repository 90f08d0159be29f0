"""Processes of one machine that share rooms by a name: what becomes of the peers when one of them ends or stops."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from cluster.crowds import Crowd, crowd, worker_of
from cluster.service import Folder, nodes
from hosts import several
from support.peers import RawPeer
from support.process_table import children_of
from support.servers import Serving, serve
from support.waiting import eventually

ROOMS = [f"room {number}" for number in range(5)]

RIGHT_WITHIN = 2.0
"""Seconds in which the rosters are right after the end of a process."""

STOPPED_WITHIN = 12.0
"""Seconds in which they are right after a process has stopped."""

LOADED = 2.0
"""How much longer it may take on a machine that has other work."""


def files(path: Path) -> list[Path]:
    return list(path.iterdir()) if path.exists() else []


async def gone(peers: Crowd, stay: list[RawPeer], lost: list[RawPeer], within: float) -> None:
    """Check that those who stay see just one another in time, and were told of each that is lost, once."""
    begun = time.monotonic()
    await peers.settled(*stay, within=within * LOADED)
    took = time.monotonic() - begun
    for peer in stay:
        expected = Counter(each.peer_id for each in lost if each.room == peer.room)
        assert peer.counted("peer_disconnected", peer.room) == expected, peer.history()
    assert took < within * LOADED


async def joined(peers: Crowd, node: Serving, room: str = ROOMS[0]) -> RawPeer:
    """Let a peer join, as soon as somebody keeps the rooms."""
    peer = await peers.connect(node.url)
    await eventually(lambda: peer.enter(room), lambda ack: ack["ok"])
    return peer


@pytest.mark.promise(
    "One machine",
    "When a worker is killed or ends, its peers alone are gone, within 2 s, also if it keeps the rooms",
)
@pytest.mark.parametrize("who", ["the keeper", "another"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "ended"])
async def test_only_the_peers_of_a_process_that_ends_are_gone(
    folder: Folder, who: str, how: signal.Signals
) -> None:
    async with nodes(*[folder.url] * 3) as served, crowd() as peers:
        everybody = {node.url: await peers.fill(node.url, ROOMS, 2) for node in served}
        await peers.settled(*(peer for some in everybody.values() for peer in some))
        ends = served[0 if who == "the keeper" else 1]
        stay = [peer for url, some in everybody.items() if url != ends.url for peer in some]
        ends.program.send_signal(how)
        await ends.program.wait()
        await gone(peers, stay, everybody[ends.url], RIGHT_WITHIN)
        reason = "node_lost" if how == signal.SIGKILL else "disconnected"
        for peer in stay:
            assert len(peer.all("peer_disconnected", reason=reason)) == 2, peer.history()
        late = [await joined(peers, node) for node in served if node is not ends]
        await peers.settled(*(peer for peer in stay if peer.room == ROOMS[0]), *late)


@pytest.mark.promise(
    "One machine", "When a worker stops, its peers are gone within 12 s; if it wakes, it brings nobody back"
)
@pytest.mark.parametrize("who", ["the keeper", "another"])
async def test_a_process_that_stops_is_gone_and_comes_back_as_another(folder: Folder, who: str) -> None:
    async with nodes(*[folder.url] * 3) as served, crowd() as peers:
        everybody = {node.url: await peers.fill(node.url, ROOMS) for node in served}
        await peers.settled(*(peer for some in everybody.values() for peer in some))
        stops = served[0 if who == "the keeper" else 1]
        stay = [peer for url, some in everybody.items() if url != stops.url for peer in some]
        stops.program.send_signal(signal.SIGSTOP)
        await gone(peers, stay, everybody[stops.url], STOPPED_WITHIN)
        stops.program.send_signal(signal.SIGCONT)
        for peer in everybody[stops.url]:
            await peer.closed()
        back = [await joined(peers, stops, room) for room in ROOMS]
        await peers.settled(*stay, *back)
        for peer in stay:
            told = Counter(each["peerId"] for each in peer.all("new_peer"))
            assert all(told[each.peer_id] <= 1 for each in everybody[stops.url]), peer.history()


async def test_all_are_killed_and_started_anew(folder: Folder) -> None:
    async with nodes(*[folder.url] * 3) as served, crowd() as peers:
        await asyncio.gather(*(peers.fill(node.url, ROOMS) for node in served))
        for node in served:
            node.program.send_signal(signal.SIGKILL)
        await asyncio.gather(*(node.program.wait() for node in served))
        async with nodes(*[folder.url] * 2) as anew, crowd() as later:
            found = [peer for node in anew for peer in await later.fill(node.url, ROOMS)]
            await later.settled(*found)


async def test_the_folder_is_removed_and_nobody_is_parted(folder: Folder) -> None:
    async with nodes(*[folder.url] * 3) as served, crowd() as peers:
        everybody = [peer for node in served for peer in await peers.fill(node.url, ROOMS)]
        await peers.settled(*everybody)
        (group,) = files(folder.path)
        shutil.rmtree(group)
        await eventually(lambda: len([each for each in files(group) if each.suffix == ".lock"]) > len(served))
        late = [await joined(peers, node) for node in served]
        await peers.settled(*(peer for peer in everybody if peer.room == ROOMS[0]), *late)
        for peer in everybody:
            assert not peer.all("peer_disconnected"), peer.history()


async def test_nothing_is_left_behind(folder: Folder) -> None:
    async with nodes(*[folder.url] * 2) as served, crowd() as peers:
        for node in served:
            await peers.fill(node.url, ROOMS)
        for node in served:
            node.program.send_signal(signal.SIGTERM)
            assert await node.program.wait() == 0
    assert files(folder.path) == []


async def test_the_workers_of_the_command_share_rooms_by_themselves() -> None:
    async with serve("--workers", "3", "--log-level", "debug") as serving, crowd() as peers:
        everybody = await peers.fill(serving.url, ROOMS, 6)
        await peers.settled(*everybody)
        await serving.program.line(r"machine: connected; process \d+ keeps the rooms, workers here: 3")
        await serving.program.line("listening on .*; rooms in machine; 3 workers")


async def lose(worker: int, peers: list[RawPeer]) -> list[RawPeer]:
    """Kill a worker; returns the peers that stay, after each has been told of those that are gone, once."""
    os.kill(worker, signal.SIGKILL)
    first, *_ = await eventually(lambda: [peer for peer in peers if not peer.is_open])
    lost = [peer for peer in peers if worker_of(peer) == worker_of(first)]
    await asyncio.gather(*(peer.closed() for peer in lost))
    stay = [peer for peer in peers if peer not in lost]
    for peer in stay:
        await peer.sees([each.peer_id for each in stay], RIGHT_WITHIN * LOADED)
        told = peer.all("peer_disconnected", reason="node_lost")
        assert Counter(each["peerId"] for each in told) == Counter(each.peer_id for each in lost)
    return stay


async def test_each_worker_of_a_host_is_killed_and_replaced(tmp_path: Path) -> None:
    """The one that keeps the rooms is among them."""
    async with several.run("uvicorn-attach", tmp_path) as (url, program), crowd() as peers:
        first = {pid for pid, command in children_of(program.pid).items() if "spawn_main" in command}
        assert len(first) == 2
        stay = await peers.spread(url, ROOMS[0])
        await peers.settled(*stay)
        for worker in first:
            stay = [*await lose(worker, stay), *await peers.spread(url, ROOMS[0])]
            await peers.settled(*stay)
