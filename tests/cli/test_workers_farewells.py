"""How workers end beneath peers whose WebSocket one of them carries for another: each is told, then closed."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from support.process_table import children_of
from support.redis import redis_server
from support.servers import Serving, serve
from support.stock import StockPeer

PEERS = 20
"""About half of them have their WebSocket at another worker than their session: the kernel gives it to either."""

BOUND = 8.0
"""Seconds for a service to end, on a busy machine."""


@asynccontextmanager
async def upgraded(url: str) -> AsyncIterator[list[StockPeer]]:
    """Connect peers as a stock client does, by polling that becomes a WebSocket."""
    connected = [StockPeer() for _ in range(PEERS)]
    try:
        for peer in connected:
            await peer.sio.connect(url)
            assert peer.sio.transport() == "websocket"
            await peer.join("gate")
        yield connected
    finally:
        await asyncio.gather(*(peer.close() for peer in connected))


@asynccontextmanager
async def two_workers() -> AsyncIterator[Serving]:
    async with redis_server() as redis, serve("--workers", "2", "--redis-url", redis.url) as server:
        yield server


def workers_of(server: Serving) -> list[int]:
    return [pid for pid, command in children_of(server.program.pid).items() if "spawn_main" in command]


def events(peer: StockPeer) -> list[str]:
    return [event for event, _ in peer.heard if event in ("server_draining", "disconnect")]


@pytest.mark.promise(
    "Many nodes",
    "A peer whose WebSocket another worker carries is told before it is closed, whichever worker ends; its "
    "polls go on",
)
async def test_each_peer_is_told_once_before_its_connection_is_closed() -> None:
    async with two_workers() as server, upgraded(server.url) as connected:
        server.program.send_signal(signal.SIGTERM)
        assert await server.program.wait(BOUND) == 0
        for peer in connected:
            await peer.hears("disconnect")
        assert [events(peer) for peer in connected] == [["server_draining", "disconnect"]] * PEERS
        assert "Traceback" not in server.program.output
        told = re.findall(r"draining: peers told to come back within 5 s: (\d+)", server.program.output)
        assert sum(map(int, told)) == PEERS, "each worker counts its own, whoever closed their WebSocket"


@pytest.mark.promise(
    "Many nodes",
    "A peer whose WebSocket another worker carries is told before it is closed, whichever worker ends; its "
    "polls go on",
)
async def test_of_one_worker_that_ends_those_that_it_carries_are_told_and_the_others_stay() -> None:
    async with two_workers() as server, upgraded(server.url) as connected:
        ended = min(workers_of(server))
        os.kill(ended, signal.SIGTERM)
        await server.program.line(rf"worker {ended} has ended with status 0")
        stayed = [peer for peer in connected if not events(peer)]
        assert 0 < len(stayed) < PEERS, "all on one worker"
        gone = [events(peer) for peer in connected if peer not in stayed]
        assert gone == [["server_draining", "disconnect"]] * len(gone)
        for peer in stayed:
            assert (await peer.join("elsewhere"))["ok"] is True
        assert "Traceback" not in server.program.output


@pytest.mark.promise(
    "Many nodes",
    "A peer whose WebSocket another worker carries is told before it is closed, whichever worker ends; its "
    "polls go on",
)
async def test_a_worker_that_stands_still_holds_up_the_end_of_another_for_no_longer_than_it_may() -> None:
    async with two_workers() as server, upgraded(server.url):
        still, ends = workers_of(server)
        os.kill(still, signal.SIGSTOP)
        try:
            os.kill(ends, signal.SIGTERM)
            await server.program.line(rf"worker {ends} has ended with status 0", BOUND)
        finally:
            os.kill(still, signal.SIGCONT)
