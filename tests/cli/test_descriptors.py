"""File descriptors: how many the command asks for, and what it does when none is left."""

from __future__ import annotations

import asyncio
import resource
import shlex
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from support.bare import bare_serve
from support.heads import head
from support.peers import raw_peer
from support.process_table import children_of
from support.processes import SCRIPTS, running
from support.redis import redis_server
from support.servers import Serving, serve
from support.waiting import eventually
from support.wire import wire

Serve = Callable[..., AbstractAsyncContextManager[Serving]]
BOTH = pytest.mark.parametrize("run", [serve, bare_serve], ids=["uvloop", "asyncio"])
NONE_LEFT = "no file descriptors left"

FEW = 96
MANY = 150
"""Connections, more than there can be."""

only_linux = pytest.mark.skipif(
    sys.platform != "linux", reason="no other system lets one limit a process that runs"
)


def limit(pid: int, number: int) -> None:
    """Let a process that runs have so many files open."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (number, hard))


@contextmanager
def connections(url: str, number: int) -> Iterator[list[socket.socket]]:
    """Open connections that send nothing."""
    address = urlsplit(url)
    with ExitStack() as stack:
        place = (address.hostname, address.port)
        yield [stack.enter_context(socket.create_connection(place)) for _ in range(number)]


def is_open(connection: socket.socket) -> bool:
    connection.settimeout(0)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


async def answers(url: str, within: float = 10.0) -> None:
    """Wait until a new connection is answered."""

    async def status() -> int:
        with suppress(ConnectionError):
            async with wire(url) as client:
                await client.send(head("/healthz", "Connection: close"))
                return (await client.answer())[0]
        return 0

    await eventually(status, lambda answered: answered == 200, "answered", within=within)


@pytest.mark.promise(
    "The command",
    "If no file descriptors are left, the log says so once a minute, connected peers are served, and new "
    "ones are accepted when others leave",
)
@only_linux
@BOTH
async def test_when_none_is_left_it_says_so_once_serves_who_is_there_and_accepts_again(run: Serve) -> None:
    async with run() as server, raw_peer(server.url) as one, raw_peer(server.url) as two:
        limit(server.program.pid, FEW)
        for peer in (one, two):
            await peer.join("gate")
        with connections(server.url, MANY) as made:
            await server.program.line(NONE_LEFT)
            slowest = 0.0
            for number in range(100):
                start = time.monotonic()
                await one.send(f'42["signal",{{"targetId":"{two.peer_id}","signal":{number}}}]')
                assert (await two.event("signal"))["signal"] == number
                slowest = max(slowest, time.monotonic() - start)
                await asyncio.sleep(0.03)  # 3 s in all, in which asyncio tries again and again
            still = [each for each in made if is_open(each)]
            assert 0 < len(still) < FEW
            assert slowest < 1.0
            for connection in still[: len(still) // 2]:
                connection.close()
            await answers(server.url)
        assert server.program.output.count(NONE_LEFT) == 1
        assert len(server.program.output.splitlines()) == 2, server.program.output


@pytest.mark.promise(
    "The command",
    "If no file descriptors are left, the log says so once a minute, connected peers are served, and new "
    "ones are accepted when others leave",
)
@only_linux
async def test_each_of_several_workers_does_so() -> None:
    async with (
        redis_server() as redis,
        serve("--workers", "2", "--redis-url", redis.url, "--head-timeout", "60") as server,
    ):
        workers = [pid for pid, command in children_of(server.program.pid).items() if "spawn_main" in command]
        assert len(workers) == 2
        for worker in workers:
            limit(worker, FEW)
        with ExitStack() as stack:
            for _ in range(200):  # a worker that is full closes some that the other would have taken
                stack.enter_context(connections(server.url, 10))
                await asyncio.sleep(0.05)
                if server.program.output.count(NONE_LEFT) > 1:
                    break
            await asyncio.sleep(1)  # in which each would say it again
            for worker in workers:
                assert server.program.output.count(f"[{worker}] {NONE_LEFT}") == 1
        await answers(server.url)
        assert server.program.output.count(NONE_LEFT) == 2
        assert len(server.program.output.splitlines()) == 5, server.program.output
        server.program.send_signal(signal.SIGTERM)
        assert await server.program.wait() == 0


async def started(soft: int, hard: int) -> list[str]:
    """Return what the command says at its start under such limits."""
    command = shlex.join([str(SCRIPTS / "walkie-signal"), "serve", "--port", "0"])
    shell = f"ulimit -S -n {soft} && ulimit -H -n {hard} && exec {command}"
    async with running([Path("/bin/bash"), "-c", shell]) as program:
        await program.line("listening on")
        return program.output.splitlines()


@pytest.mark.promise(
    "The command",
    "If no file descriptors are left, the log says so once a minute, connected peers are served, and new "
    "ones are accepted when others leave",
)
async def test_at_the_start_it_takes_all_that_it_may_and_says_so() -> None:
    raised, listening = await started(256, 5000)
    assert "INFO    limit of open files raised from 256 to 5000" in raised
    assert "listening on" in listening


@pytest.mark.promise(
    "The command",
    "If no file descriptors are left, the log says so once a minute, connected peers are served, and new "
    "ones are accepted when others leave",
)
async def test_a_limit_that_is_low_is_one_warning() -> None:
    low, listening = await started(128, 128)
    assert "WARNING only 128 files may be open" in low
    assert "LimitNOFILE" in low
    assert "listening on" in listening


async def test_a_limit_that_is_high_already_is_no_line() -> None:
    (listening,) = await started(5000, 5000)
    assert "listening on" in listening
