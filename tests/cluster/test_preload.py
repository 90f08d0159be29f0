"""gunicorn makes the app once and forks: what tells nodes apart is drawn in each of them."""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cluster.crowds import crowd
from cluster.service import BASE, rosters
from support.peers import RawPeer
from support.processes import SCRIPTS, Program, running
from support.redis import RedisServer
from support.waiting import eventually

WORKERS = 4


@asynccontextmanager
async def preloaded(redis_url: str) -> AsyncIterator[tuple[str, Program]]:
    """Run gunicorn with workers that are forks of one process, in which the app was made."""
    gunicorn = [str(SCRIPTS / "gunicorn"), "--preload", "-w", str(WORKERS)]
    command = [*gunicorn, "-k", "uvicorn_worker.UvicornWorker", "--bind", "127.0.0.1:0", "preloaded:app"]
    async with running(command, cwd=Path(__file__).parent, env={"REDIS_URL": redis_url}) as program:
        listens = await program.line(r"Listening at: (http://127\.0\.0\.1:\d+)")
        yield listens[1], program


@pytest.mark.promise(
    "Many nodes",
    "Under `gunicorn --preload` each worker is a node of its own; a backend is a new node at each start "
    "and on each loop",
)
async def test_workers_that_are_forks_of_one_process_are_nodes_of_their_own(redis: RedisServer) -> None:
    async def nodes() -> list[str]:
        found: list[str] = await redis.command("ZRANGE", f"{BASE}:{{nodes}}", 0, -1)
        return found

    async with preloaded(redis.url) as (url, program), crowd() as peers:
        await eventually(nodes, lambda found: len(found) == WORKERS, "a node for each worker", 20)
        joined = [await peers.join(url, "gate") for _ in range(12)]
        while len(set((await rosters(redis))["gate"].values())) == 1:
            joined.append(await peers.join(url, "gate"))  # the kernel has given one worker all of them
        await peers.settled(*joined)

        async def speak(sender: RawPeer, target: RawPeer) -> None:
            assert await sender.signal(target, {"to": target.peer_id}) == {"ok": True}
            await target.hears("signal", fromId=sender.peer_id, signal={"to": target.peer_id})

        await asyncio.gather(*(speak(*both) for both in itertools.permutations(joined, 2)))
        program.send_signal(signal.SIGTERM)
        assert await program.wait() == 0
        assert "Traceback" not in program.output, program.output
