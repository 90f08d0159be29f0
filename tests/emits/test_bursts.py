"""More is emitted at once than another node can take: whoever emits waits, and nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from emits.listeners import Host, Two, all_heard, listening
from emits.radio import make
from emits.workers import workers
from support.machine import sockets_in
from support.redis import redis_server
from support.servers import hosted
from support.waiting import eventually, in_time
from walkie_signal import SignalingError
from walkie_signal.backends.redis import RedisBackend
from walkie_signal.backends.shared import backlogs

pytestmark = pytest.mark.promise(
    "Hosts", "A burst of large emits reaches other nodes whole and in order: whoever emits waits for room"
)

LARGE = 3_000_000
"""Bytes of a large event; other nodes get it as 4 MB."""

MUCH = 200_000_000
"""What may wait for a client, so that none is closed."""


@pytest.fixture(params=["machine", "keeper", "redis", "channel"])
async def two(request: pytest.FixtureRequest, machine: str) -> AsyncIterator[Two]:
    """Two nodes with a client each, which send one another messages by sockets, or by their store."""
    async with AsyncExitStack() as stack:
        url = ""
        if request.param in ("redis", "channel"):
            url = (await stack.enter_async_context(redis_server())).url
        hosts = []
        for _ in range(2):
            backend = (
                machine if not url else url if request.param == "redis" else RedisBackend(url, mesh=False)
            )
            app = make(backend, outbox_bytes=MUCH)
            host = Host(app, await stack.enter_async_context(hosted(app)), [])
            await eventually(host.ready)
            host.clients.append(await stack.enter_async_context(listening(host.url)))
            hosts.append(host)
        if request.param == "keeper":
            await eventually(lambda: len(sockets_in(Path(machine.removeprefix("machine:")))) == 2)
            for path in sockets_in(Path(machine.removeprefix("machine:"))):
                path.unlink()
        await hosts[0].reaches(hosts[1].clients[0])
        yield hosts[0], hosts[1]


async def test_large_emits_one_after_the_other(two: Two) -> None:
    here, there = two
    for number in range(15):
        await here.sio.emit("tick", [number, bytes(LARGE)])
    await all_heard(here, there.clients[0])
    assert [number for number, _ in there.clients[0].told("tick")] == list(range(15))


async def test_many_emits_at_once(two: Two) -> None:
    """Both nodes emit, so each of them has to say what it has read while it waits for the other one."""
    here, there = two
    emits = [
        host.sio.emit(name, [number, bytes(100_000)])
        for number in range(200)
        for host, name in ((here, "tick"), (there, "tock"))
    ]
    await in_time(asyncio.gather(*emits), lambda: "emits wait for ever", within=60)
    for host, name, hearer in ((here, "tick", there), (there, "tock", here)):
        await all_heard(host, hearer.clients[0])
        assert [number for number, _ in hearer.clients[0].told(name)] == list(range(200))


async def test_more_at_once_than_redis_keeps_for_a_node(two: Two) -> None:
    """It cuts off a node for which 32 MB wait."""
    here, there = two
    emits = (here.sio.emit("tick", [number, bytes(LARGE)]) for number in range(20))
    await in_time(asyncio.gather(*emits), lambda: "emits wait for ever", within=60)
    await all_heard(here, there.clients[0])
    assert [number for number, _ in there.clients[0].told("tick")] == list(range(20))


async def test_the_workers_of_a_command() -> None:
    """They have another event loop than the tests."""
    async with workers(None, 2) as (url, program), AsyncExitStack() as stack:
        processes: dict[int, Any] = {}
        while len(processes) < 2:
            client = await stack.enter_async_context(listening(url))
            processes.setdefault(await client.sio.call("join_channel", "patrol"), client)
        speaker, hearer = processes.values()
        await eventually(lambda: speaker.sio.call("flood", ("patrol", 1, 1)), lambda _: hearer.told("flood"))
        await speaker.sio.emit("flood", ("patrol", 200, 100_000))
        numbers = lambda: [number for number, _ in hearer.told("flood")]  # noqa: E731 - it is asked again
        await eventually(numbers, lambda it: it[-200:] == list(range(200)), lambda: program.output)


def transports_of(host: Host) -> list[Any]:
    """Return the connections by which a node hears others."""
    backend = host.app.signaling.backend
    return [end._transport for end in getattr(backend, "_now", backend)._mesh._ends]


@pytest.mark.parametrize("two", ["machine"], indirect=True)
async def test_a_node_that_reads_again_gets_all_and_signals_do_not_wait(two: Two) -> None:
    here, there = two
    for host in two:
        await host.clients[0].sio.call("join_room", {"room": "gate"})
    (transport,) = transports_of(there)
    transport.pause_reading()
    emits = [asyncio.create_task(here.sio.emit("tick", [number, bytes(LARGE)])) for number in range(5)]
    await asyncio.wait(emits, timeout=0.3)
    assert [each.done() for each in emits] == [True, True, False, False, False]
    signal = {"targetId": there.clients[0].sid, "signal": "offer"}
    answer = await here.clients[0].sio.call("signal", signal)
    assert answer == {"ok": True}
    transport.resume_reading()
    await in_time(asyncio.gather(*emits), lambda: "emits wait for ever")
    await eventually(
        lambda: [number for number, _ in there.clients[0].told("tick")], lambda it: it == [0, 1, 2, 3, 4]
    )
    assert there.clients[0].told("signal")


@pytest.mark.parametrize("two", ["machine"], indirect=True)
async def test_a_node_that_does_not_read_is_an_error_for_who_emits(
    two: Two, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = two
    monkeypatch.setattr(backlogs, "PATIENCE", 0.5)
    (transport,) = transports_of(there)
    transport.pause_reading()
    with caplog.at_level(logging.WARNING):
        emits = (here.sio.emit("tick", [number, bytes(LARGE)]) for number in range(4))
        results = await in_time(asyncio.gather(*emits, return_exceptions=True), lambda: "emits wait for ever")
    assert results[:2] == [None, None]
    for error in results[2:]:
        assert isinstance(error, SignalingError)
        assert error.code == "unavailable"
    assert "a node has not read for" in caplog.text
    await here.clients[0].hears("tick", [3, bytes(LARGE)])
    transport.resume_reading()
    await all_heard(here, there.clients[0])
    assert [number for number, _ in there.clients[0].told("tick")] == [0, 1]


@pytest.mark.parametrize("two", ["channel"], indirect=True)
async def test_a_word_that_was_lost_holds_up_emits_only_once(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the other node was cut off from the store for a moment."""
    here, there = two
    monkeypatch.setattr(backlogs, "PATIENCE", 0.5)
    (way,) = here.app.signaling.backend._mail._ways.values()
    monkeypatch.setattr(way, "read", lambda _number: None)
    for number in range(3):
        with contextlib.suppress(SignalingError):
            await here.sio.emit("tick", [number, bytes(LARGE)])
    for number in range(3, 6):
        await here.sio.emit("tick", [number, bytes(LARGE)])
    await all_heard(here, there.clients[0])
    assert [number for number, _ in there.clients[0].told("tick")] == [0, 2, 3, 4, 5]
