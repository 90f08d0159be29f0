"""Emitters: processes that serve nobody, and reach the clients of those that do."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import socketio

from emits.listeners import Host, listening
from emits.radio import make
from support.processes import running
from support.redis import redis_server
from support.servers import hosted
from support.waiting import eventually
from walkie_signal import AsyncEmitter, Emitter, SignalingError
from walkie_signal.runtime_folder import UnusableError

pytestmark = pytest.mark.promise(
    "Hosts", "`Emitter` and `AsyncEmitter` reach the clients from processes that serve nobody"
)

TASK = """
import os
import sys
from walkie_signal import Emitter

emitter = Emitter(sys.argv[1])


def task(number):
    emitter.emit("shift_ended", number, to="site-7")


task(1)
if os.fork() == 0:
    task(2)
    emitter.close()
    os._exit(0)
assert os.wait()[1] == 0
task(3)
print(emitter.call("ask", "now", to=sys.argv[2]))
"""
"""A task of a worker that was forked after the emitter had been used; at its end nothing closes the emitter."""


FORKED = """
import os
import sys
import threading
import time
from walkie_signal import Emitter, SignalingError

emitter = Emitter(sys.argv[1])


def emit():
    try:
        emitter.emit("told")
    except SignalingError as error:
        print(os.getpid() == parent, error.code, flush=True)


parent = os.getpid()
first = threading.Thread(target=emit)
first.start()
while not emitter._emitter._lock.locked():
    time.sleep(0.001)
if os.fork() == 0:
    emit()
    os._exit(0)
first.join()
os.wait()
"""
"""A fork while another thread makes the first call, of a store that does not answer."""


THREADS_OF_A_FORK = """
import os
import sys
import threading
from walkie_signal import Emitter

emitter = Emitter(sys.argv[1])
emitter._emitter._lock.acquire()
if os.fork() == 0:
    assert not emitter._emitter._lock.locked()
    threads = [threading.Thread(target=emitter.emit, args=("told", number)) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    names = [each.name for each in threading.enumerate() if each.name == "walkie-signal emitter"]
    print(len(names), flush=True)
    emitter.close()
    os._exit(0)
assert os.wait()[1] == 0
"""
"""A fork whose threads make the first calls, beside a thread of its parent that holds the lock."""


@asynccontextmanager
async def host_on(backend: str) -> AsyncIterator[Host]:
    """Run one node with one client, in the room ``site-7``."""
    app = make(backend)
    async with hosted(app) as url, listening(url) as client:
        host = Host(app, url, [client])
        await eventually(host.ready)
        await app.sio.enter_room(client.sid, "site-7")
        yield host


async def test_each_call_of_an_async_emitter(backend: str) -> None:
    async with host_on(backend) as host, AsyncEmitter(backend) as emitter:
        (client,) = host.clients
        client.sio.on("ask", lambda asked: asked + 1)
        await emitter.start()  # once more: that changes nothing
        await emitter.emit("told", {"data": b"\x00"}, to="site-7")
        await emitter.emit("told", 2, room="site-7", skip_sid=client.sid)
        await emitter.emit("told", 3, to=[])
        with pytest.raises(ValueError, match="everybody"):
            await emitter.emit("told", 4, to="")
        await emitter.send("hello")
        assert await emitter.call("ask", 1, to=client.sid) == 2
        assert client.heard == [("told", {"data": b"\x00"}), ("message", "hello")]
        await emitter.enter_room(client.sid, "other")
        assert "other" in host.sio.rooms(client.sid)
        await emitter.leave_room(client.sid, "other")
        await emitter.close_room("site-7")
        await eventually(lambda: host.sio.rooms(client.sid), lambda rooms: rooms == [client.sid])
        gone = asyncio.Event()
        client.sio.on("disconnect", lambda _reason: gone.set())
        await emitter.disconnect(client.sid)
        await asyncio.wait_for(gone.wait(), 5)
        with pytest.raises(socketio.exceptions.TimeoutError):
            await emitter.call("ask", 1, to="nobody-has-this-sid-0", timeout=0.1)


async def test_a_task_that_blocks_and_its_fork(backend: str, tmp_path: Path) -> None:
    (tmp_path / "task.py").write_text(TASK)
    async with host_on(backend) as host:
        (client,) = host.clients
        client.sio.on("ask", lambda asked: f"heard {asked}")
        async with running([sys.executable, tmp_path / "task.py", backend, client.sid]) as program:
            assert await program.wait() == 0, program.output
        assert program.output == "heard now\n"
        assert client.told("shift_ended") == [1, 2, 3]


async def test_a_fork_beside_a_call_that_connects_is_answered(tmp_path: Path) -> None:
    (tmp_path / "forked.py").write_text(FORKED)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        async with running([sys.executable, tmp_path / "forked.py", url]) as program:
            assert await program.wait() == 0, program.output
    answers = [line for line in program.output.splitlines() if line.endswith("unavailable")]
    assert sorted(answers) == ["False unavailable", "True unavailable"], program.output


async def test_the_threads_of_a_fork_share_one_emitter(backend: str, tmp_path: Path) -> None:
    (tmp_path / "threads.py").write_text(THREADS_OF_A_FORK)
    async with host_on(backend) as host:
        (client,) = host.clients
        for _ in range(5):
            async with running([sys.executable, tmp_path / "threads.py", backend]) as program:
                assert await program.wait() == 0, program.output
            assert program.output == "1\n"
        await eventually(lambda: sorted(client.told("told")), lambda told: told == sorted([*range(8)] * 5))


async def test_tasks_that_start_an_emitter_at_once_all_wait_until_it_is_started(backend: str) -> None:
    async with host_on(backend) as host:
        (client,) = host.clients
        emitter = AsyncEmitter(backend)

        async def emit(number: int) -> None:
            await emitter.start()
            await emitter.emit("told", number)

        await asyncio.gather(*(emit(number) for number in range(5)))
        await emitter.close()
        await eventually(lambda: sorted(client.told("told")), lambda told: told == list(range(5)))


async def test_an_emitter_is_closed_after_a_start_that_nobody_waits_for_any_more(backend: str) -> None:
    """Nothing of it is left in the store, and it starts again."""
    async with host_on(backend) as host:
        (client,) = host.clients
        emitter = AsyncEmitter(backend)
        starts = asyncio.create_task(emitter.start())
        await asyncio.sleep(0)
        starts.cancel()
        await emitter.close()
        assert not emitter._backend.ready
        async with emitter:
            await emitter.emit("told", 1)
        await client.hears("told", 1)


def test_a_start_that_fails_leaves_no_thread_and_is_tried_again(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("m") / "m"
    folder.write_text("a file is in the way")
    emitter, before = Emitter(f"machine:{folder}"), set(threading.enumerate())
    for _ in range(3):
        with pytest.raises(UnusableError):
            emitter.emit("told")
    assert set(threading.enumerate()) == before
    folder.unlink()
    folder.mkdir()
    with emitter:
        emitter.emit("told")


async def test_an_emitter_that_is_closed_connects_again(backend: str) -> None:
    async with host_on(backend) as host:
        (client,) = host.clients

        def twice() -> None:
            with Emitter(backend) as emitter:
                emitter.emit("told", 1)
            emitter.emit("told", 2)
            emitter.close()

        await asyncio.to_thread(twice)
        await client.hears("told", 2)
        assert client.told("told") == [1, 2]


async def test_threads_emit_while_others_close(backend: str) -> None:
    """Each call is answered: it is carried out before the close, or connects again."""
    async with host_on(backend) as host:
        (client,) = host.clients
        emitter = Emitter(backend)

        def emit(number: int) -> None:
            for each in range(20):
                emitter.emit("told", [number, each])

        def close() -> None:
            for _ in range(5):
                emitter.close()

        await asyncio.wait_for(
            asyncio.gather(
                *(asyncio.to_thread(emit, number) for number in range(3)), asyncio.to_thread(close)
            ),
            30,
        )
        await asyncio.to_thread(emitter.close)
        expected = [[number, each] for number in range(3) for each in range(20)]
        await eventually(lambda: sorted(client.told("told")), lambda told: told == expected)


async def test_where_nobody_is_nothing_happens(backend: str) -> None:
    async with AsyncEmitter(backend) as emitter:
        await emitter.emit("told", 1)
        await emitter.enter_room("nobody-has-this-sid-0", "ward")


async def test_an_emitter_says_that_redis_is_away() -> None:
    async with redis_server() as redis, AsyncEmitter(redis.url) as emitter:
        await redis.kill()
        await eventually(lambda: not emitter._backend.ready)
        for ask in (
            emitter.emit("told", 1),
            emitter.close_room("ward"),
            emitter.enter_room("x" * 20, "a"),
            emitter.revoke("guard-7"),
        ):
            with pytest.raises(SignalingError, match="cut off"):
                await ask
        await redis.restart()
        await eventually(lambda: emitter._backend.ready)
        await emitter.emit("told", 2)


async def test_what_an_emitter_can_not_do_is_an_error(machine: str) -> None:
    emitter = AsyncEmitter(machine)
    with pytest.raises(RuntimeError, match="not started"):
        await emitter.emit("told", 1)
    async with emitter:
        with pytest.raises(TypeError, match="a text or an integer"):
            await emitter.emit("told", 1, to=UUID(int=7))
        with pytest.raises(TypeError, match="UUID"):
            await emitter.enter_room("nobody-has-this-sid-0", UUID(int=7))
    with pytest.raises(RuntimeError, match="closed"):
        await emitter.emit("told", 1)


@pytest.mark.parametrize(
    "backend", [None, "", "auto", "machine", "memory", "http://127.0.0.1", "redis:/nowhere"]
)
@pytest.mark.parametrize("kind", [Emitter, AsyncEmitter])
def test_an_emitter_needs_a_store_that_others_find(kind: type, backend: Any) -> None:
    with pytest.raises(ValueError, match=r"URL|redis"):
        kind(backend)
