"""``walkie-signal serve --workers``: processes that are one service, and a parent that keeps them so."""

from __future__ import annotations

import asyncio
import operator
import os
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from support.process_table import children_of, table
from support.processes import SCRIPTS, Program, running
from support.redis import RedisServer, redis_server
from support.servers import Serving, serve
from support.stock import StockPeer, meet, peers
from support.waiting import eventually
from support.wire import wire

BOUND = 8.0
"""Seconds for a service to end: the graceful timeout, what Redis takes, and some for a busy machine."""


@pytest.fixture
async def redis() -> AsyncIterator[RedisServer]:
    async with redis_server() as server:
        yield server


@asynccontextmanager
async def two_workers(redis: RedisServer) -> AsyncIterator[Serving]:
    async with serve("--workers", "2", "--redis-url", redis.url) as server:
        yield server


async def node_of(redis: RedisServer, peer: StockPeer, room: str = "gate") -> str:
    """Tell which node holds a member, as Redis keeps it."""
    kept = await redis.command("HGET", f"walkie-signal:/:room:{{{room}}}", peer.peer_id)
    assert kept is not None, f"{peer.peer_id} is not in the room"
    return str(kept.split(" ", 2)[1])


@asynccontextmanager
async def peers_on_each(
    redis: RedisServer, url: str, count: int = 2
) -> AsyncIterator[dict[str, list[StockPeer]]]:
    """Connect peers until so many nodes hold some; they all are in the room "gate"."""
    held: dict[str, list[StockPeer]] = {}
    async with AsyncExitStack() as stack:
        for _ in range(200):
            (peer,) = await stack.enter_async_context(peers(url, "gate"))
            held.setdefault(await node_of(redis, peer), []).append(peer)
            if len(held) == count:
                break
        assert len(held) == count, f"of 200 peers all are on {[*held]}"
        yield held


def workers_of(program: Program) -> set[int]:
    """Return the parent's processes, without the one that multiprocessing keeps for itself."""
    return {pid for pid, command in children_of(program.pid).items() if "spawn_main" in command}


async def gone(pids: set[int], within: float) -> None:
    # they are no children of ours, so that there is nothing to wait on
    await eventually(lambda: [e for e in table() if e.pid in pids], operator.not_, "ended", within=within)


async def test_two_workers_are_one_service_and_say_so_once(redis: RedisServer) -> None:
    async with two_workers(redis) as server:
        first = server.program.output.splitlines()
        (line,) = [each for each in first if "listening on" in each]
        assert f"rooms in Redis at 127.0.0.1:{redis.port}/0; 2 workers)" in line
        connected = [
            each for each in first[: first.index(line)] if "Redis at" in each and "connected" in each
        ]
        assert len(connected) == 2, f"it said so before both did: {first}"
        assert len(workers_of(server.program)) == 2
        async with peers_on_each(redis, server.url) as held:
            (one, *_), (two, *_) = held.values()
            for sender, target in ((one, two), (two, one)):
                assert await sender.signal(target, sender.peer_id) == {"ok": True}
                assert (await target.hears("signal", fromId=sender.peer_id))["signal"] == sender.peer_id
        assert len(re.findall("listening on", server.program.output)) == 1
        assert "WARNING" not in server.program.output


@pytest.mark.promise(
    "Many nodes", "With `--workers`, a worker that dies or hangs is replaced; all end together, with status 0"
)
async def test_a_worker_that_is_killed_is_replaced(redis: RedisServer) -> None:
    async with two_workers(redis) as server:
        before = workers_of(server.program)
        killed = min(before)
        os.kill(killed, signal.SIGKILL)
        await server.program.line(rf"worker {killed} has ended with SIGKILL")
        await joined_by_another(server.program, before)
        after = workers_of(server.program)
        assert len(after) == 2
        assert after & before == before - {killed}
        async with peers_on_each(redis, server.url):
            pass
        server.program.send_signal(signal.SIGTERM)
        assert await server.program.wait(BOUND) == 0


async def joined_by_another(program: Program, before: set[int]) -> None:
    others = "".join(rf"(?!{pid}\])" for pid in before)
    await program.line(rf"\[{others}\d+\] Redis at \S+ connected")


async def test_a_worker_that_is_told_to_end_does_and_is_replaced(redis: RedisServer) -> None:
    """As an operator may renew workers one by one: its peers are told, and the others stay."""
    async with two_workers(redis) as server, peers_on_each(redis, server.url) as held:
        before = workers_of(server.program)
        ended = min(before)
        os.kill(ended, signal.SIGTERM)
        await server.program.line(rf"worker {ended} has ended with status 0")
        await joined_by_another(server.program, before)
        draining = {
            node
            for node, its in held.items()
            for peer in its
            if any(event == "server_draining" for event, _ in peer.heard)
        }
        assert len(draining) == 1, draining
        await meet(server.url)


@pytest.mark.promise(
    "Many nodes", "With `--workers`, a worker that dies or hangs is replaced; all end together, with status 0"
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_all_with_0_and_each_peer_is_told(
    number: signal.Signals, redis: RedisServer
) -> None:
    async with two_workers(redis) as server, peers_on_each(redis, server.url) as held:
        workers = workers_of(server.program)
        server.program.send_signal(number)
        assert await server.program.wait(BOUND) == 0
        for peer in (peer for its in held.values() for peer in its):
            await peer.hears("server_draining")
            await peer.hears("disconnect")
        await gone(workers, 0.5)
        assert await redis.keys() == []
        assert "Traceback" not in server.program.output
        assert "WARNING" not in server.program.output


async def test_who_comes_while_they_end_is_refused_and_does_not_wait(redis: RedisServer) -> None:
    """The parent has the port open as well, and it ends last: here Redis, which is frozen, holds workers up."""
    async with two_workers(redis) as server, peers_on_each(redis, server.url):
        redis.stop()
        server.program.send_signal(signal.SIGTERM)
        try:
            await eventually(lambda: connects(server.url), operator.not_, "refused", within=BOUND)
            assert len(workers_of(server.program)) == 2, "nothing held them up"
        finally:
            redis.cont()
        assert await server.program.wait(BOUND) == 0


async def connects(url: str) -> bool:
    with suppress(ConnectionError):  # refused, or reset where the port closes just now
        async with wire(url):
            return True
    return False


async def test_ctrl_c_reaches_parent_and_workers_at_once(redis: RedisServer) -> None:
    """A terminal tells the whole group, and systemd each process of the service."""
    async with two_workers(redis) as server, peers_on_each(redis, server.url) as held:
        os.killpg(server.program.pid, signal.SIGINT)
        assert await server.program.wait(BOUND) == 0
        for peer in (peer for its in held.values() for peer in its):
            await peer.hears("server_draining")
        assert "Traceback" not in server.program.output
        assert "has ended" not in server.program.output


async def test_workers_whose_parent_was_killed_end_in_order(redis: RedisServer) -> None:
    async with two_workers(redis) as server, peers_on_each(redis, server.url) as held:
        workers = workers_of(server.program)
        server.program.send_signal(signal.SIGKILL)
        for peer in (peer for its in held.values() for peer in its):
            await peer.hears("server_draining")
            await peer.hears("disconnect")
        await gone(workers, BOUND)
        assert await redis.keys() == []
        assert await server.program.wait() == -signal.SIGKILL
        assert server.program.output.count("the parent process is gone") == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
async def test_a_signal_while_they_start_ends_all(number: signal.Signals, redis: RedisServer) -> None:
    """With no traceback, at whatever moment it comes; before they serve there is nothing to end with 0."""
    command: list[str | Path] = [SCRIPTS / "walkie-signal", "serve", "--port", "0", "--workers", "2"]
    for delay in (0, 0.05, 0.1, 0.2, 0.4, 0.8):
        async with running([*command, "--redis-url", redis.url]) as program:
            await eventually(lambda: workers_of(program))
            await asyncio.sleep(delay)  # the moment is the point
            os.killpg(program.pid, number)
            assert await program.wait(BOUND) in (0, 1, -number)
            assert "Traceback" not in program.output, program.output


async def test_workers_on_a_unix_socket(redis: RedisServer, tmp_path: Path) -> None:
    path = tmp_path / "signal.sock"
    command: list[str | Path] = [SCRIPTS / "walkie-signal", "serve", "--uds", path, "--workers", "2"]
    async with running([*command, "--redis-url", redis.url]) as program:
        await program.line(r"listening on unix:(\S+) ")
        for transport in ("polling", "websocket"):
            await meet(
                "http://signal",
                transport=transport,
                connector=lambda: aiohttp.UnixConnector(path=str(path)),
            )
        program.send_signal(signal.SIGTERM)
        assert await program.wait(BOUND) == 0


IMPATIENT = """
from walkie_signal.cli import main, workers
workers.SILENCE, workers.END_TIMEOUT = 8, 1
if __name__ == "__main__":
    main()
"""


@asynccontextmanager
async def impatient_parent(redis: RedisServer) -> AsyncIterator[Program]:
    """Run two workers whose parent waits for less long than that of the command."""
    command = [sys.executable, "-c", IMPATIENT, "serve", "--port", "0", "--workers", "2"]
    async with running([*command, "--redis-url", redis.url]) as program:
        await program.line("listening on")
        yield program


@pytest.mark.promise(
    "Many nodes", "With `--workers`, a worker that dies or hangs is replaced; all end together, with status 0"
)
async def test_a_worker_that_hangs_is_killed_and_replaced(redis: RedisServer) -> None:
    async with impatient_parent(redis) as program:
        before = workers_of(program)
        hangs = min(before)
        os.kill(hangs, signal.SIGSTOP)
        await program.line(rf"worker {hangs} has been silent for 8 s: killed")
        await program.line(rf"worker {hangs} has ended with SIGKILL")
        await joined_by_another(program, before)
        assert len(workers_of(program)) == 2
        assert program.output.count("killed") == 1, "the one that answers has been killed too"


async def test_a_worker_that_hangs_does_not_keep_the_others_from_ending(redis: RedisServer) -> None:
    async with impatient_parent(redis) as program:
        hangs = min(workers_of(program))
        os.kill(hangs, signal.SIGSTOP)
        program.send_signal(signal.SIGTERM)
        assert await program.wait(BOUND) == 0
        assert f"worker {hangs} did not end in time: killed" in program.output


async def test_workers_that_can_not_start_end_the_parent_with_1(redis: RedisServer) -> None:
    """Of the environment they find less than it: their own import of Redis' parser fails."""
    broken = "import sys\nif __name__ != '__main__':\n    sys.modules['hiredis'] = None\n"
    script = broken + "from walkie_signal.cli import main\nif __name__ == '__main__':\n    main()\n"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "broken.py"
        path.write_text(script)
        command: list[str | Path] = [sys.executable, path, "serve", "--port", "0", "--workers", "2"]
        async with running([*command, "--redis-url", redis.url]) as program:
            assert await program.wait() == 1
            assert "a worker could not start" in program.output.splitlines()[-1], program.output
            assert "listening" not in program.output
