"""Signals go from node to node of one machine by Unix sockets, and by the store where these do not lead."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.machine import SIGNALS, Worker, named, socket_of, sockets_in, through_the_store, two
from support.redis import RedisServer, redis_server
from support.sites import KeptSite
from support.waiting import eventually
from walkie_signal.backends.redis import RedisBackend
from walkie_signal.backends.shared.messages import Told, write_told
from walkie_signal.core.changes import Joined


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("m")


@pytest.fixture
async def redis() -> AsyncIterator[RedisServer]:
    async with redis_server() as server:
        yield server


async def published(redis: RedisServer) -> int:
    """Return how many messages were published by nodes so far."""
    stats = await redis.command("INFO", "commandstats")
    return int(stats.get("cmdstat_publish", {"calls": 0})["calls"])


@pytest.mark.parametrize("meshed", [True, False])
@pytest.mark.promise("Many nodes", "Signals between nodes of one machine do not go through Redis")
async def test_signals_go_past_redis_if_both_have_a_mesh(redis: RedisServer, meshed: bool) -> None:  # noqa: FBT001
    backends = RedisBackend(redis.url), RedisBackend(redis.url, mesh=meshed)
    async with two(*backends) as (one, other, b):
        before = await published(redis)
        for number in range(SIGNALS):
            one.send(b, number)
        await other.site.until(lambda: len(other.heard()) == SIGNALS)
        assert other.heard() == [str(number) for number in range(SIGNALS)]
        await eventually(lambda: one.answers == [True] * SIGNALS)
        through = await published(redis) - before
        assert through < SIGNALS / 2 if meshed else through >= SIGNALS, through  # beats are published too


@pytest.mark.promise("One machine", "Whatever comes to a socket between workers harms only who sends it")
async def test_whatever_comes_to_a_socket_harms_only_who_sends_it(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with two(named(folder), named(folder)) as (one, other, b):
        path = socket_of(other, folder)
        for sent, ends in ((b"\xff" * 64, True), (b"\0\0", False), (b"\0\0\0\x04\xff\xfe\xfd\xfc", False)):
            reader, writer = await asyncio.open_unix_connection(str(path))
            writer.write(sent)
            if ends:
                assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()
        await eventually(lambda: "a message from another node can't be read" in caplog.text)
        one.send(b, 1)
        await other.site.until(lambda: other.heard() == ["1"])


async def test_signals_of_workers_go_past_the_keeper(folder: Path) -> None:
    async with two(named(folder), named(folder)) as (one, other, b):
        through = through_the_store(one)
        for number in range(SIGNALS):
            one.send(b, number)
        await other.site.until(lambda: len(other.heard()) == SIGNALS)
        assert (through, one.answers) == ([], [True] * SIGNALS)


async def test_nodes_that_meet_in_different_folders_use_the_store(
    redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As two containers with one Redis do."""
    async with two(RedisBackend(redis.url), RedisBackend(redis.url)) as (one, _, _b):
        monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
        apart = Worker(RedisBackend(redis.url))
        await apart.backend.start(apart.site)
        try:
            c = await apart.join("c")
            await one.site.until(lambda: Joined(c) in one.site.applied)
            through = await published(redis)
            for number in range(SIGNALS):
                one.send(c, number)
            await apart.site.until(lambda: len(apart.heard()) == SIGNALS)
            assert apart.heard() == [str(number) for number in range(SIGNALS)]
            assert await published(redis) - through >= SIGNALS
        finally:
            await apart.backend.close()


async def test_messages_may_come_in_pieces_and_several_at_once(folder: Path) -> None:
    async with two(named(folder), named(folder)) as (_, other, _b):
        frame = write_told(Told("7", '42["told",1]'))
        data = (len(frame).to_bytes(4, "big") + frame) * 3
        _, writer = await asyncio.open_unix_connection(str(socket_of(other, folder)))
        for begin in range(0, len(data), 7):
            writer.write(data[begin : begin + 7])
            await asyncio.sleep(0)
        writer.write(data)
        await other.site.until(lambda: len(other.site.told) == 6)
        writer.close()
        assert other.site.told == [("7", '42["told",1]')] * 6


async def test_the_sockets_of_the_dead_are_removed(folder: Path) -> None:
    async with two(named(folder), named(folder)) as (_, other, _b):
        path = socket_of(other, folder)
        dead, young = path.with_name("0123456789abcdef.sock"), path.with_name("0123456789abcde0.sock")
        for left in (dead, young):
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(str(left))
        os.utime(dead, (time.time() - 60,) * 2)
        third = Worker(named(folder))
        await third.backend.start(third.site)
        await third.backend.close()
        assert not dead.exists()
        assert young.exists(), "it may be about to listen"
        assert path.exists()


async def test_where_there_is_no_folder_for_sockets_all_goes_by_redis(
    redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / f"walkie-signal-{os.geteuid()}").touch()
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    with caplog.at_level(logging.WARNING):
        async with two(RedisBackend(redis.url), RedisBackend(redis.url)) as (one, other, b):
            one.send(b, 1)
            await other.site.until(lambda: other.heard() == ["1"])
            assert not one.backend._mesh._where
    assert caplog.text.count("signals to other nodes only go through the store: ") == 2, "once for each node"
    assert caplog.text.count("is no folder") == 2


async def test_services_of_one_redis_have_folders_of_their_own(
    redis: RedisServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(folder))
    backends = [
        RedisBackend(redis.url),
        RedisBackend(redis.url, prefix="other"),
        RedisBackend(redis.url, namespace="/other"),
    ]
    for backend in backends:
        await backend.start(KeptSite())
    found = {path.stem: path.parent for path in sockets_in(folder)}
    assert found.keys() == {backend.node_id for backend in backends}
    assert len(set(found.values())) == len(backends)
    for backend in backends:
        await backend.close()
    assert sockets_in(folder) == []
    assert not any(path.exists() for path in found.values())


async def test_the_folders_of_services_that_are_no_more_are_removed(
    redis: RedisServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(folder))
    ours = folder / f"walkie-signal-{os.geteuid()}"
    ours.mkdir(0o700)
    left, empty, young = (ours / f"r-{name}" for name in ("left", "empty", "young"))
    for path in (left, empty, young):
        path.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(left / "0123456789abcdef.sock"))
    for path in (left / "0123456789abcdef.sock", left, empty):
        os.utime(path, (time.time() - 60,) * 2)
    backend = RedisBackend(redis.url)
    await backend.start(KeptSite())
    try:
        assert [path.exists() for path in (left, empty, young)] == [False, False, True]
    finally:
        await backend.close()
